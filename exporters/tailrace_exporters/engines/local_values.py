"""Puts onto rows the value that `[balance]` goes by: a field of their heads, as of the watermark."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.store.query.fields import CHAIN, COMPLETION
from tailrace_exporters.rows import Row

_FEW: Final = 500


async def with_values(connection: AsyncConnection, rows: Sequence[Row], value: ColumnElement[Any]) -> list[Row]:
    """The rows, each with its head's `value`, a column of a completion. Ends the transaction it reads in."""
    found: dict[int, str | None] = {}
    heads = iter({row.head.seq for row in rows})
    joined = COMPLETION.outerjoin(CHAIN, CHAIN.c.id == COMPLETION.c.chain)
    while few := list(islice(heads, _FEW)):
        statement = select(COMPLETION.c.seq, value).select_from(joined).where(COMPLETION.c.seq.in_(few))
        found |= {seq: _text(said) for seq, said in await connection.execute(statement)}
    await connection.rollback()
    return [replace(row, balance=found.get(row.head.seq)) for row in rows]


def _text(value: Any) -> str | None:
    """A column's value in words; of several labels, their lines."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return str(UUID(bytes=value))
    return str(value).lower() if isinstance(value, bool) else str(value)
