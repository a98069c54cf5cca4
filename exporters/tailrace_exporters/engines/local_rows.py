"""A completion as an export reads it from the store: what the stages and the rebuilding ask of it, and no more.

A tuple with names: its members are read some thirty times for each row of an export, and a row of SQLAlchemy takes ten
times as long to give one.
"""

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.store import read
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Selection

_FEW: Final = 1_000


class Logged(NamedTuple):
    """A row of `completion`, by some of its columns."""

    seq: int
    id: bytes
    started_us: int
    endpoint: str
    omits: str | None
    provider: str
    model: str
    served_model: str | None
    status: str
    finish_reason: str | None
    link_answer: bytes | None
    input_tokens: int | None
    output_tokens: int | None
    usage_source: str
    cost_usd: float | None
    tags: str | None
    params: int
    context: int | None
    prompt_node: int
    answer_node: int | None
    answer_shape: int | None
    answer_values: bytes | None
    answer_id: str | None


_COLUMNS: Final = tuple(COMPLETION.c[name] for name in Logged._fields)


async def selected(connection: AsyncConnection, chosen: Selection, *, batch_rows: int) -> AsyncIterator[list[Logged]]:
    """The chosen completions, in batches; each is read in a transaction of its own (see `store.read.rows`)."""
    async for rows in read.rows(connection, chosen, batch_rows=batch_rows, columns=_COLUMNS):
        yield [Logged._make(cast("Row[Any]", row)) for row in rows]


async def numbered(connection: AsyncConnection, seqs: Iterable[int]) -> dict[int, Logged]:
    """The completions with these numbers."""
    found: dict[int, Logged] = {}
    rest = iter(seqs)
    while few := list(islice(rest, _FEW)):
        for row in await connection.execute(select(*_COLUMNS).where(COMPLETION.c.seq.in_(few))):
            found[row[0]] = Logged._make(row)
    return found
