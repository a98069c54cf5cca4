"""What is read of labels and actions: those of given completions, what is not labelled yet, what a student learns from.

Of a classifier's labels on a completion one counts: a person's newest, else the newest live one. All of them are kept,
and what is called a history here has the others too. A page is found by its cursor, a `seq`, through an index, and
costs the same however deep it lies; begin with 0, go on with `Page.cursor`, end at an `is_last` one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, exists, literal, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.records import Action, Json, Label, LabelMode, LabelSource, LabelValue, Origin
from tailrace.store import read
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Filed
from tailrace.store.rebuild import Rebuilder, readable

LABEL: Final = SQLModel.metadata.tables["label"]
ACTION: Final = SQLModel.metadata.tables["action"]
_FEW: Final = 500
WINDOW: Final = 5_000
"""Completions that are looked at for one page: it ends there, full or not, so that no read lasts long."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many, in order. `cursor` is where the next one begins, whatever was left out of this one."""

    items: list[T]
    cursor: int
    is_last: bool
    """Nothing came after these when they were read; more may have been filed since."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label with the completion it is about, and what was asked there: what is learned from."""

    seq: int  # of the label
    label: Label
    completion: Filed
    request: Json | None  # None where it is not kept, or is damaged


async def history(connection: AsyncConnection, ids: Iterable[bytes]) -> dict[bytes, list[Label]]:
    """All labels of each of the completions that has one, in order of filing."""
    found: dict[bytes, list[Label]] = {}
    for few in _chunks(ids):
        statement = select(LABEL).where(LABEL.c.completion.in_(few)).order_by(LABEL.c.seq)
        for row in await connection.execute(statement):
            found.setdefault(row.completion, []).append(label_of(row))
    return found


async def counting(
    connection: AsyncConnection, ids: Iterable[bytes], *, up_to_seq: int | None = None
) -> dict[bytes, dict[str, Label]]:
    """The labels that count of each of the completions that has one, by classifier; with `up_to_seq`, that counted."""
    found: dict[bytes, dict[str, Label]] = {}
    then = () if up_to_seq is None else (LABEL.c.seq <= up_to_seq,)
    for few in _chunks(ids):
        statement = select(LABEL).where(LABEL.c.completion.in_(few), LABEL.c.rank > 0, *then)
        for row in await connection.execute(statement.order_by(LABEL.c.rank, LABEL.c.seq)):
            found.setdefault(row.completion, {})[row.classifier] = label_of(row)
    return {completion: dict(sorted(labels.items())) for completion, labels in found.items()}


async def actions(connection: AsyncConnection, ids: Iterable[bytes]) -> dict[bytes, list[Action]]:
    """The actions of each of the completions that has one, as far as they have come, the first begun first."""
    found: dict[bytes, dict[str, Action]] = {}
    for few in _chunks(ids):
        statement = select(ACTION).where(ACTION.c.completion.in_(few)).order_by(ACTION.c.seq)
        for row in await connection.execute(statement):
            found.setdefault(row.completion, {})[row.key] = action_of(row)
    return {completion: list(by_key.values()) for completion, by_key in found.items()}


async def of_chain(
    connection: AsyncConnection, chain: int, classifier: str, *, limit: int = 20
) -> list[tuple[int, Label]]:
    """The labels that count in a chain (by its number) with the `seq` of their completions, the newest first."""
    statement = (
        select(COMPLETION.c.seq.label("of"), LABEL)
        .join_from(COMPLETION, LABEL, LABEL.c.completion == COMPLETION.c.id)
        .where(COMPLETION.c.chain == chain, LABEL.c.classifier == classifier, LABEL.c.rank > 0, _is_newest())
        .order_by(COMPLETION.c.seq.desc())
        .limit(limit)
    )
    return [(row.of, label_of(row)) for row in await connection.execute(statement)]


async def unlabelled(
    connection: AsyncConnection,
    classifier: str,
    version: str,
    *,
    after_seq: int,
    where: ColumnElement[bool] | None = None,
    origin: Origin | None = Origin.APP,
    failed: bool = False,
    limit: int = _FEW,
    window: int = WINDOW,
) -> Page[Filed]:
    """Completions after `after_seq` that this version of a classifier has not labelled, and no person has.

    `where` is a condition of the query language; `failed`: also those that it could not label. Of the next `window`
    completions at most.
    """
    high = await read.watermark(connection)
    end = min(high, after_seq + window)
    conditions = [_is_unlabelled(classifier, version, failed=failed)]
    if where is not None:
        conditions.append(where)
    chosen = read.Selection(and_(*conditions), after_seq=after_seq, up_to_seq=end, origin=origin, limit=limit)
    found = await read.page(connection, chosen)
    cursor = found[-1].seq if len(found) == limit else max(end, after_seq)
    return Page(list(found), cursor, cursor >= high)


async def training(
    connection: AsyncConnection,
    classifier: str,
    *,
    after_seq: int = 0,
    version: str | None = None,
    sources: Iterable[LabelSource] = (LabelSource.HUMAN, LabelSource.IMPORTED, LabelSource.LLM),
    limit: int = _FEW,
) -> Page[Labelled]:
    """The labels of a classifier that count and come from one of `sources`, with what was asked.

    With `version` only those of that version, and people's of any. Audits are none of them: no student learns these.
    """
    conditions = [LABEL.c.mode == LabelMode.LIVE.value, LABEL.c.rank > 0, LABEL.c.source.in_(list(sources))]
    if version is not None:
        conditions.append(or_(LABEL.c.version == version, LABEL.c.source == LabelSource.HUMAN.value))
    return await _labelled(connection, [LABEL.c.classifier == classifier, *conditions, _is_newest()], after_seq, limit)


async def audits(
    connection: AsyncConnection, classifier: str, *, after_seq: int = 0, version: str | None = None, limit: int = _FEW
) -> Page[Labelled]:
    """The audits of a classifier, whatever became of them, with what was asked."""
    conditions = [LABEL.c.classifier == classifier, LABEL.c.mode == LabelMode.AUDIT.value]
    if version is not None:
        conditions.append(LABEL.c.version == version)
    return await _labelled(connection, conditions, after_seq, limit)


async def human(
    connection: AsyncConnection, classifier: str, *, after_seq: int = 0, limit: int = _FEW
) -> Page[Labelled]:
    """All labels that people gave, those included that they gave anew later; with what was asked."""
    # As it stands in the index, and so no parameter.
    by_people: ColumnElement[bool] = literal_column("label.source = 'human'")
    return await _labelled(connection, [LABEL.c.classifier == classifier, by_people], after_seq, limit)


async def open_webhooks(connection: AsyncConnection, *, since_us: int, limit: int = _FEW) -> list[Action]:
    """Webhooks planned at `since_us` or later that neither arrived nor were given up, the oldest first."""
    later = ACTION.alias("later")
    same = (later.c.completion == ACTION.c.completion, later.c.key == ACTION.c.key, later.c.seq > ACTION.c.seq)
    statement = (
        select(ACTION)
        .where(literal_column("\"do\" = 'webhook' AND outcome IN ('planned', 'retried')"))
        .where(ACTION.c.at_us >= since_us, ACTION.c.dry_run.is_(False))
        .where(~exists(select(literal(1)).select_from(later).where(*same).correlate(ACTION)))
        .order_by(ACTION.c.at_us)
        .limit(limit)
    )
    return [action_of(row) for row in await connection.execute(statement)]


def label_of(row: Row[Any]) -> Label:
    """A row of `label` as it was told."""
    return Label(
        id=UUID(bytes=row.id), completion=UUID(bytes=row.completion), at_us=row.at_us, classifier=row.classifier,
        version=row.version, source=row.source, label=_value(row.value), mode=row.mode, confidence=row.confidence,
        latency_us=row.latency_us, error=row.error, note=row.note, who=row.who,
    )  # fmt: skip


def action_of(row: Row[Any]) -> Action:
    """A row of `action` as it was told."""
    return Action(
        id=UUID(bytes=row.id), completion=UUID(bytes=row.completion), at_us=row.at_us, classifier=row.classifier,
        version=row.version, label=row.label, do=row.do, key=row.key, outcome=row.outcome, target=row.target,
        dry_run=row.dry_run, attempts=row.attempts, error=row.error,
    )  # fmt: skip


def _value(body: bytes | None) -> LabelValue | None:
    value = None if body is None else orjson.loads(body)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return value


async def _labelled(
    connection: AsyncConnection, conditions: Sequence[ColumnElement[bool]], after_seq: int, limit: int
) -> Page[Labelled]:
    statement: Select[Any] = select(LABEL).where(*conditions, LABEL.c.seq > after_seq)
    rows = (await connection.execute(statement.order_by(LABEL.c.seq).limit(limit))).all()
    completions = await read.by_id(connection, {row.completion for row in rows})
    exchanges = await readable(Rebuilder(connection), list(completions.values()))
    requests = {id_: one and one.request for id_, one in zip(completions, exchanges, strict=True)}
    items = [
        Labelled(row.seq, label_of(row), completions[row.completion], requests[row.completion])
        for row in rows
        if row.completion in completions  # else it is not filed yet
    ]
    return Page(items, rows[-1].seq if rows else after_seq, len(rows) < limit)


def _is_newest() -> ColumnElement[bool]:
    """A label that counts, of those with a rank."""
    other = LABEL.alias("outranking")
    above = or_(other.c.rank > LABEL.c.rank, and_(other.c.rank == LABEL.c.rank, other.c.seq > LABEL.c.seq))
    same = (other.c.completion == LABEL.c.completion, other.c.classifier == LABEL.c.classifier)
    rows = select(literal(1)).select_from(other).where(*same, other.c.rank >= LABEL.c.rank, above)
    return ~exists(rows.correlate(LABEL))


def _is_unlabelled(classifier: str, version: str, *, failed: bool) -> ColumnElement[bool]:
    done = and_(LABEL.c.version == version, LABEL.c.mode == LabelMode.LIVE.value)
    if failed:
        done = and_(done, LABEL.c.text.is_not(None))
    by_person = LABEL.c.source == LabelSource.HUMAN.value
    same = (LABEL.c.completion == COMPLETION.c.id, LABEL.c.classifier == classifier)
    rows = select(literal(1)).select_from(LABEL).where(*same, or_(done, by_person))
    return ~exists(rows.correlate(COMPLETION))


def _chunks(ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(ids)
    while few := list(islice(rest, _FEW)):
        yield few
