"""What is read from the store: lists, one completion, its chain, its attempts, the watermark, counts. Never writes.

A list is paged by `seq`, the order of filing: a page costs the same however deep it lies, and a list up to a watermark
is the same list tomorrow. A window of time is turned into a range of `seq` first, through the index on the ids (which
hold the time). At 1 M rows the first page of a window of 1 % takes 1 ms so; a scan by `started_us` takes up to 120 ms,
and the id index alone 8 ms, 380 where the window is half of the store.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import islice
from typing import Any, Final, Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace import ids
from tailrace.errors import UserError
from tailrace.records import Json, Origin
from tailrace.store.query import Expr, Marks, compile_where, fields_of
from tailrace.store.query.fields import CHAIN, COMPLETION
from tailrace.store.query.values import id_span
from tailrace.store.rebuild import Rebuilder, Stored

BATCH_ROWS: Final = 500
_FEW: Final = 500  # ids in one statement
_SLACK_MS: Final = 60_000  # between the time in an id and `started_us`, at most
_ATTEMPT: Final = SQLModel.metadata.tables["attempt"]
_ACTION: Final = SQLModel.metadata.tables["action"]
_LABEL: Final = SQLModel.metadata.tables["label"]
_FEEDBACK: Final = SQLModel.metadata.tables["feedback"]
_NODE: Final = SQLModel.metadata.tables["node"]

T = TypeVar("T")


class Filed(Stored, Protocol):
    """A row of `completion`, all columns, and of its chain the name (`chain_key`) and the counts."""

    id: bytes
    started_us: int
    duration_us: int | None
    first_byte_us: int | None
    overhead_us: int | None
    project: str
    key: str | None
    endpoint: str
    origin: str
    provider: str
    model: str
    served_model: str | None
    status: str
    error: str | None
    http_status: int | None
    finish_reason: str | None
    stream: bool
    attempts: int
    step: int
    chain: int
    parent: int | None
    relation: str
    link_kind: str | None
    children: int
    link_answer: bytes | None
    link_parent: bytes | None
    link_pair: bytes | None
    request_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    audio_tokens: int | None
    usage_source: str
    cost_usd: float | None
    session: str | None
    user: str | None
    tags: str | None
    config: str | None
    cache_write_tokens: int | None
    output_audio_tokens: int | None
    dialect: str | None
    source: bytes | None
    external_id: str | None
    trace: str | None
    omits: str | None
    chain_key: bytes
    chain_completions: int
    chain_steps: int


class Order(Enum):
    """Which end of the log comes first."""

    OLDEST_FIRST = auto()
    NEWEST_FIRST = auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which completions, and in which order. Bounds are optional; `origin` None means all of them."""

    where: ColumnElement[bool] | None = None
    since_us: int | None = None  # started at this time or later
    until_us: int | None = None  # started before this time
    after_seq: int = 0
    up_to_seq: int | None = None  # a watermark: that row is in
    origin: Origin | None = Origin.APP
    order: Order = Order.OLDEST_FIRST
    limit: int | None = None


def narrowed(
    selection: Selection,
    expr: Expr,
    *,
    now_us: int | None = None,
    marks: Marks | None = None,
    origin_named: bool = False,
) -> Selection:
    """`selection` by a query. One that asks for `origin` itself sees all origins, unless the user named one beside it.

    With `marks` labels, actions and feedback are those of then.

    Raises:
        QueryError: a relative time without `now_us` (see `compile_where`).
    """
    origin = None if "origin" in fields_of(expr) and not origin_named else selection.origin
    return replace(selection, where=compile_where(expr, now_us=now_us, marks=marks), origin=origin)


async def rows(
    connection: AsyncConnection,
    selection: Selection,
    *,
    batch_rows: int = BATCH_ROWS,
    columns: Sequence[ColumnElement[Any]] = (),
) -> AsyncIterator[Sequence[Filed]]:
    """The selected rows of those filed when this is first asked, in batches. With `columns` they have no others; `seq`
    must be one of them.

    Each batch is read in a transaction of its own, which ends when the next is asked for, so that a long export holds
    no snapshot, and with it the checkpoint. What changes on a filed row (`children`, its chain's counts) is as of its
    batch.
    """
    low, high = await _bounds(connection, selection)
    await connection.rollback()
    newest = selection.order is Order.NEWEST_FIRST
    left = selection.limit
    while low < high and (left is None or left > 0):
        page = batch_rows if left is None else min(batch_rows, left)
        found = await _page(connection, selection, low, high, page, columns)
        if found:
            yield found
            low, high = (low, found[-1].seq - 1) if newest else (found[-1].seq, high)
            left = None if left is None else left - len(found)
        await connection.rollback()
        if len(found) < page:
            return


async def page(connection: AsyncConnection, selection: Selection) -> Sequence[Filed]:
    """The first of the selected rows, in one read: as many as its `limit`, which must be given, and few."""
    assert selection.limit is not None
    low, high = await _bounds(connection, selection)
    return await _page(connection, selection, low, high, selection.limit)


async def by_id(connection: AsyncConnection, ids_: Iterable[bytes]) -> dict[bytes, Filed]:
    """The completions with these ids, as far as they are filed."""
    found: dict[bytes, Filed] = {}
    for few in _chunks(ids_):
        found |= {row.id: row for row in await _all(connection, _filed().where(COMPLETION.c.id.in_(few)))}
    return found


async def one(connection: AsyncConnection, text: str) -> Filed:
    """The completion whose id begins with `text`: a whole UUID, or at least 8 of its digits.

    Raises:
        UserError: `text` is no id, or not exactly one begins with it.
    """
    span = id_span(text)
    if span is None:
        raise UserError(f"{text[:60]!r} is no id: give one of `tailrace logs`, whole or its first 8 or more digits")
    statement = _filed().where(COMPLETION.c.id.between(span.low, span.high)).order_by(COMPLETION.c.id).limit(4)
    found = await _all(connection, statement)
    if not found:
        raise UserError(f"no completion has an id that begins with {text}; `tailrace logs --origin all` lists them")
    if len(found) > 1:
        listed = ", ".join(str(UUID(bytes=row.id)) for row in found[:3]) + (", …" if len(found) > 3 else "")
        raise UserError(f"several ids begin with {text}; give more digits: {listed}")
    return found[0]


async def chain(connection: AsyncConnection, text: str, *, limit: int = 10_000) -> list[Filed]:
    """The completions of the chain that holds the completion `text`, in order of filing; at most `limit`.

    The id of a chain is that of its first completion, so either names it.

    Raises:
        UserError: as `one`.
    """
    member = await one(connection, text)
    statement = _filed().where(COMPLETION.c.chain == member.chain).order_by(COMPLETION.c.seq).limit(limit)
    return list(await _all(connection, statement))


async def attempts(connection: AsyncConnection, seqs: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """The rows of `attempt` of each completion that has one, in order."""
    found: dict[int, list[Row[Any]]] = {}
    c = _ATTEMPT.c
    for few in _chunks(seqs):
        statement = select(_ATTEMPT).where(c.completion.in_(few)).order_by(c.completion, c.n)
        for row in await connection.execute(statement):
            found.setdefault(row.completion, []).append(row)
    return found


async def feedback(connection: AsyncConnection, seq: int) -> list[Row[Any]]:
    """The rows of `feedback` about a completion, in order."""
    statement = select(_FEEDBACK).where(_FEEDBACK.c.completion == seq).order_by(_FEEDBACK.c.seq)
    return list(await connection.execute(statement))


async def names(connection: AsyncConnection, seqs: Iterable[int]) -> dict[int, UUID]:
    """The ids of completions by `seq`: what a `parent` is called outside the store."""
    found: dict[int, UUID] = {}
    for few in _chunks(seqs):
        statement = select(COMPLETION.c.seq, COMPLETION.c.id).where(COMPLETION.c.seq.in_(few))
        found |= {seq: UUID(bytes=id_) for seq, id_ in await connection.execute(statement)}
    return found


async def answers(connection: AsyncConnection, rebuilder: Rebuilder, rows: Sequence[Filed]) -> dict[int, Json]:
    """The message of the first choice of each completion that has one, by `seq`; as clients echo it (see `parts`)."""
    messages: dict[int, int] = {}
    for few in _chunks({row.answer_node for row in rows if row.answer_node}):
        statement = select(_NODE.c.id, _NODE.c.message).where(_NODE.c.id.in_(few))
        messages |= {node: message for node, message in await connection.execute(statement)}  # noqa: C416 rows are no pairs to mypy
    bodies = await rebuilder.messages(messages.values())
    return {row.seq: bodies[messages[row.answer_node]] for row in rows if row.answer_node}


async def watermark(connection: AsyncConnection) -> int:
    """The highest `seq` that is filed; 0 in an empty store. No row is filed below it later."""
    highest: int | None = (await connection.execute(select(func.max(COMPLETION.c.seq)))).scalar_one()
    return highest or 0


async def marks(connection: AsyncConnection) -> Marks:
    """How much is filed now, of all that a query reads. Nothing is filed below it later."""
    tables = (COMPLETION, _LABEL, _ACTION, _FEEDBACK)
    newest = [select(func.coalesce(func.max(table.c.seq), 0)).scalar_subquery() for table in tables]
    return Marks(*(await connection.execute(select(*newest))).one())


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while few := list(islice(rest, _FEW)):
        yield few


def _filed(columns: Sequence[ColumnElement[Any]] = ()) -> Select[Any]:
    # An outer join keeps `completion` outermost: its rows come in the order of `seq` with nothing to sort.
    joined = COMPLETION.outerjoin(CHAIN, CHAIN.c.id == COMPLETION.c.chain)
    c = CHAIN.c
    names = (c.key.label("chain_key"), c.completions.label("chain_completions"), c.steps.label("chain_steps"))
    return select(*(columns or (COMPLETION, *names))).select_from(joined)


async def _all(connection: AsyncConnection, statement: Select[Any]) -> Sequence[Filed]:
    # SQLAlchemy gives a row's columns as attributes, and cannot tell the type checker which.
    return cast("Sequence[Filed]", (await connection.execute(statement)).all())


async def _page(
    connection: AsyncConnection,
    selection: Selection,
    low: int,
    high: int,
    size: int,
    columns: Sequence[ColumnElement[Any]] = (),
) -> Sequence[Filed]:
    """Up to `size` rows of `low < seq <= high`."""
    c = COMPLETION.c
    statement = _filed(columns).where(c.seq > low, c.seq <= high, *_conditions(selection)).limit(size)
    newest = selection.order is Order.NEWEST_FIRST
    return await _all(connection, statement.order_by(c.seq.desc() if newest else c.seq))


def _conditions(selection: Selection) -> list[ColumnElement[bool]]:
    c = COMPLETION.c
    found: list[ColumnElement[bool]] = []
    if selection.since_us is not None:
        found.append(c.started_us >= selection.since_us)
    if selection.until_us is not None:
        found.append(c.started_us < selection.until_us)
    if selection.origin is not None:
        found.append(c.origin == selection.origin.value)
    if selection.where is not None:
        found.append(selection.where)
    return found


async def _bounds(connection: AsyncConnection, selection: Selection) -> tuple[int, int]:
    """`(low, high)`: every selected row has `low < seq <= high`."""
    high = await watermark(connection)
    if selection.up_to_seq is not None:
        high = min(high, selection.up_to_seq)
    if selection.since_us is None and selection.until_us is None:
        return selection.after_seq, high
    c = COMPLETION.c
    statement = select(func.min(c.seq), func.max(c.seq)).where(and_(*_id_window(selection)))
    first, last = (await connection.execute(statement)).one()
    if first is None:
        return high, high
    return max(selection.after_seq, first - 1), min(high, last)


def _id_window(selection: Selection) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if selection.since_us is not None:
        found.append(COMPLETION.c.id >= _floor(selection.since_us // 1000 - _SLACK_MS))
    if selection.until_us is not None:
        found.append(COMPLETION.c.id < _floor(selection.until_us // 1000 + 1 + _SLACK_MS))
    return found


def _floor(unix_ms: int) -> bytes:
    return ids.floor(min(max(unix_ms, 0), 2**48 - 1)).bytes
