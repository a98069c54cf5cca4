"""`tailrace classify export NAME --out FILE` and `import NAME FILE`: labels with their texts, as gold files have them.

What is exported can be shown to a model as examples (`examples.from`), labelled by others and imported again.
"""

import asyncio
import csv
import io
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import settings_load
from tailrace.classify.cells import guarded
from tailrace.classify.ready import Ready
from tailrace.commands.classify_chosen import Name, chosen
from tailrace.commands.classify_values import field_of, gold_of, value_in
from tailrace.commands.options import Config, DataDir
from tailrace.commands.reading import reading
from tailrace.commands.terminal import iso_utc
from tailrace.errors import UserError, WorkFailed
from tailrace.labeller.subjects import Item, labels_before, turn_of
from tailrace.records import Json, LabelSource
from tailrace.store import labels
from tailrace.store.labels import Labelled

_PAGE: Final = 500
_BESIDE: Final = ("context", "previous", "source", "confidence", "version", "who", "at")


@dataclass(slots=True)
class _Left:
    """What was not exported, by reason."""

    rows: int = 0
    no_turn: int = 0
    no_label: int = 0
    by_source: dict[str, int] = field(default_factory=dict)


def export(
    name: Name,
    *,
    out: Annotated[Path, typer.Option("--out", readable=False, help="A .jsonl or a .csv; it must not be there yet.")],
    sources: Annotated[
        str | None, typer.Option(help="Only labels of these: human, imported, llm, …; commas between.")
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="Also labels of other versions than the one in force.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Write the labels that count, with their texts, as a gold file."""
    settings = settings_load.load(config, os.environ)
    ready = chosen(settings, name)
    if out.suffix.lower() not in {".jsonl", ".csv"}:
        raise UserError(f"--out {out}: expected a file named .jsonl or .csv")
    if out.exists() and not force:
        raise UserError(f"--out {out}: is there already; give another, or --force")
    left = _Left()
    version = None if all_versions else ready.version
    asyncio.run(_export(ready, data_dir or settings.log.data_dir, out, _sources(sources), version, left))
    told = ", ".join(f"{count:,} {source}" for source, count in sorted(left.by_source.items()))
    typer.echo(f"{left.rows:,} labels{f' ({told})' if told else ''} in {out}")
    if left.no_turn:
        typer.echo(f"{left.no_turn:,} left out: their turn is not kept", err=True)
    if left.no_label:
        typer.echo(f"{left.no_label:,} left out: they are none of the labels that the settings have now", err=True)


async def _export(
    ready: Ready, data_dir: Path, out: Path, sources: list[LabelSource], version: str | None, left: _Left
) -> None:
    made = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        async with reading(data_dir) as connection:
            with made.open("x", encoding="utf-8", newline="") as file:
                writer = _writer(file, ready, as_csv=out.suffix.lower() == ".csv")
                async for row in _rows(connection, ready, sources, version, left):
                    writer(row)
                    left.rows += 1
                    left.by_source[row["source"]] = left.by_source.get(row["source"], 0) + 1
                file.flush()
                os.fsync(file.fileno())
        made.replace(out)
    except OSError as exc:
        raise WorkFailed(f"--out {out}: cannot be written ({exc.strerror})") from exc
    finally:
        made.unlink(missing_ok=True)


async def _rows(
    connection: AsyncConnection, ready: Ready, sources: Iterable[LabelSource], version: str | None, left: _Left
) -> AsyncIterator[dict[str, Any]]:
    after, is_last = 0, False
    while not is_last:
        page = await labels.training(
            connection, ready.name, after_seq=after, version=version, sources=sources, limit=_PAGE
        )
        after, is_last = page.cursor, page.is_last
        with_turn: list[tuple[Labelled, Item]] = []
        for one in page.items:
            subject = turn_of(ready.settings, one.completion, one.request)
            if subject is None:
                left.no_turn += 1
            else:
                with_turn.append((one, Item(one.completion, subject)))
        before = await labels_before(connection, ready, [item.row for _, item in with_turn])
        await connection.rollback()
        for one, item in with_turn:
            row = _row(ready, one, item, before)
            if value_in(ready, row, item.subject.text)[0] is None:
                left.no_label += 1
            else:
                yield row


def _row(ready: Ready, one: Labelled, item: Item, before: dict[int, str]) -> dict[str, Any]:
    label, name = one.label, field_of(ready.settings)
    row: dict[str, Any] = {
        "id": str(label.completion),
        "text": item.subject.text,
        name: None if label.label is None else gold_of(name, label.label),
    }
    if item.subject.turns:
        row["context"] = [{"role": turn.role, "text": turn.text} for turn in item.subject.turns]
    if item.row.parent is not None and item.row.parent in before:
        row["previous"] = before[item.row.parent]
    row |= {"source": label.source, "confidence": label.confidence, "version": label.version, "who": label.who}
    return row | {"at": iso_utc(label.at_us)}


class _writer:  # noqa: N801 - called for each row
    def __init__(self, file: io.TextIOWrapper, ready: Ready, *, as_csv: bool) -> None:
        self._file = file
        self._csv = csv.DictWriter(file, ["id", "text", field_of(ready.settings), *_BESIDE]) if as_csv else None
        if self._csv is not None:
            self._csv.writeheader()

    def __call__(self, row: dict[str, Any]) -> None:
        if self._csv is not None:
            self._csv.writerow({name: _cell(name, value) for name, value in row.items()})
        else:
            self._file.write(orjson.dumps(row).decode() + "\n")


def _cell(name: str, value: Json) -> str:
    if value is None:
        return ""
    if name == "labels":
        return guarded(",".join(value))
    return guarded(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _sources(words: str | None) -> list[LabelSource]:
    if words is None:
        return list(LabelSource)
    try:
        return [LabelSource(word.strip()) for word in words.split(",") if word.strip()]
    except ValueError as exc:
        raise UserError(f"--sources: {words[:60]!r} holds what is none of {', '.join(LabelSource)}") from exc
