"""`tailrace classify import NAME FILE`: labels that others gave to turns of the log, all of the file or none.

Each row names its completion by id. A label that counts already is not written again, so importing a file twice is
importing it once.
"""

import asyncio
import getpass
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import settings_load
from tailrace.classify.ready import Ready
from tailrace.classify.tasks import TASKS
from tailrace.commands.classify_chosen import Name, chosen
from tailrace.commands.classify_files import rows_of
from tailrace.commands.classify_keeping import keeping
from tailrace.commands.classify_values import value_in
from tailrace.commands.keeping import Keeper
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import reading
from tailrace.commands.terminal import echo_json
from tailrace.errors import UserError
from tailrace.labeller.bulk_log import id_of
from tailrace.labeller.subjects import turn_of
from tailrace.records import Json, Label, LabelSource, LabelValue
from tailrace.store import labels, read
from tailrace.store.rebuild import Rebuilder

_MOST: Final = 1_000_000
_PAGE: Final = 500
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Given:
    """A row that may be imported."""

    completion: UUID
    value: LabelValue
    confidence: float | None


def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="A .jsonl or .csv: id and label each.")],
    *,
    as_human: Annotated[bool, typer.Option("--as-human", help="People gave them: they outrank all others.")] = False,
    who: Annotated[str, typer.Option(help="With --as-human: who; by default who runs this.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Take in labels that others gave: of each row its completion's id and the label."""
    settings = settings_load.load(config, os.environ)
    ready = chosen(settings, name)
    folder = data_dir or settings.log.data_dir
    given = asyncio.run(_checked(ready, folder, file))
    source = LabelSource.HUMAN if as_human else LabelSource.IMPORTED
    person = (who or getpass.getuser()) if as_human else None

    async def work() -> tuple[int, int]:
        async with keeping(settings, folder, name) as keeper:
            return await put_labels(ready, folder, keeper, given, source, person)

    written, known = asyncio.run(work())
    if as_json:
        echo_json(orjson.dumps({"classifier": name, "written": written, "there_already": known}))
        return
    typer.echo(f"{written:,} labels imported{f', {known:,} were there already' if known else ''}.")


async def put_labels(
    ready: Ready, data_dir: Path, keeper: Keeper, given: Sequence[Given], source: LabelSource, who: str | None
) -> tuple[int, int]:
    """Writes those that do not count yet; how many, and how many did. Raises LogUnavailable."""
    written = 0
    for few in _chunks(given):
        async with reading(data_dir) as connection:
            counting = await labels.counting(connection, [one.completion.bytes for one in few])
        records = []
        for one in few:
            now = counting.get(one.completion.bytes, {}).get(ready.name)
            if now is None or (now.label, now.source) != (one.value, source):
                records.append(_record(ready, one, source, who, now, keeper.clock.now_us()))
        await keeper.put(*records)
        written += len(records)
    return written, len(given) - written


def _record(ready: Ready, one: Given, source: LabelSource, who: str | None, now: Label | None, at_us: int) -> Label:
    """Its id comes from what it says and from what it follows: the same step taken twice is one label."""
    former = "" if now is None else str(now.id)
    value = orjson.dumps(one.value).decode()
    id_ = id_of(one.completion, ready.name, ready.version, source, "given", value, former)
    confidence = None if source is LabelSource.HUMAN else one.confidence
    return Label(
        id_, one.completion, at_us, ready.name, ready.version, source, one.value, confidence=confidence, who=who
    )


async def _checked(ready: Ready, data_dir: Path, file: Path) -> list[Given]:
    """Raises UserError: a row is wrong; the first ones are told with their lines."""
    given: dict[UUID, Given] = {}
    problems: list[str] = []
    rows: list[tuple[int, UUID, dict[str, Any]]] = []
    seen: dict[UUID, int] = {}
    for line, row in rows_of(file):
        id_ = _id(row)
        if id_ is None or not isinstance(row, dict):
            problems.append(f"{file}, line {line}: has no id of a completion; give it whole, as `classify export` does")
        elif id_ in seen:
            problems.append(f"{file}, line {line}: labels what line {seen[id_]} labels; leave one out")
        elif len(seen) >= _MOST:
            raise UserError(f"{file}: holds more than {_MOST:,} rows; split it")
        else:
            seen[id_] = line
            rows.append((line, id_, row))
    async with reading(data_dir) as connection:
        for few in _chunks(rows):
            texts = await _texts(ready, connection, [id_ for _, id_, _ in few])
            for line, id_, row in few:
                text = texts.get(id_.bytes)
                value, why = (None, f"no completion has the id {id_}") if text is None else value_in(ready, row, text)
                if value is None:
                    problems.append(f"{file}, line {line}: {why}")
                else:
                    given[id_] = Given(id_, value, _confidence(row.get("confidence")))
    if problems:
        more = [f"and {len(problems) - _TOLD:,} more"] if len(problems) > _TOLD else []
        raise UserError("\n".join([*problems[:_TOLD], *more, "nothing was imported"]))
    return list(given.values())


async def _texts(ready: Ready, connection: AsyncConnection, ids: Sequence[UUID]) -> dict[bytes, str]:
    """The turns' texts, where the task's answers point into them; else nothing but that they are there."""
    filed = await read.by_id(connection, [id_.bytes for id_ in ids])
    if TASKS[ready.settings.task].folds:
        return dict.fromkeys(filed, "")
    exchanges = await Rebuilder(connection).exchanges(list(filed.values()))
    subjects = (turn_of(ready.settings, row, one.request) for row, one in zip(filed.values(), exchanges, strict=True))
    return {id_: "" if subject is None else subject.text for id_, subject in zip(filed, subjects, strict=True)}


def _id(row: Json) -> UUID | None:
    said = row.get("id") if isinstance(row, dict) else None
    try:
        return UUID(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _confidence(said: Json) -> float | None:
    try:
        value = float(said)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value <= 1 else None


def _chunks(some: Sequence[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(some), _PAGE):
        yield list(some[at : at + _PAGE])
