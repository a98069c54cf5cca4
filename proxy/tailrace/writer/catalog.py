"""What the writer remembers of the committed store: the counters, and content and paths to ids. Owns no transaction."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.bounded import Bounded
from tailrace.ids import unix_ms
from tailrace.store.tables import TABLES

_SLACK_US: Final = 60_000_000
"""A call begins at the time in its id, or this much later at most."""
_COUNTED: Final = (("message", "id"), ("node", "id"), ("shape", "id"), ("chain", "id"), ("completion", "seq"))


@dataclass(slots=True)
class Last:
    """The highest id handed out in each table, and a time after which no filed completion began."""

    message: int = 0
    node: int = 0
    shape: int = 0
    chain: int = 0
    completion: int = 0
    started_us: int = 0


async def read_last(connection: AsyncConnection) -> Last:
    """The counters of a store; its only writer reads them once. Ends its transaction."""
    last = Last()
    for table, key in _COUNTED:
        column = TABLES[table].c[key]
        highest = await connection.execute(select(column).order_by(column.desc()).limit(1))
        setattr(last, table, highest.scalar() or 0)
    last.started_us = await _last_start_us(connection)
    await connection.rollback()
    return last


async def _last_start_us(connection: AsyncConnection) -> int:
    """From the highest id, which holds a time: there is no index on the start itself."""
    id_ = TABLES["completion"].c.id
    newest = (await connection.execute(select(id_).order_by(id_.desc()).limit(1))).scalar()
    return 0 if newest is None else unix_ms(UUID(bytes=newest)) * 1000 + _SLACK_US


class Catalog:
    """Hashes of messages and shapes, and steps of paths, to their ids: of the least used some are forgotten.

    It changes only after a COMMIT, so it never remembers what is not in the store.
    """

    def __init__(self, last: Last, *, remembered: int = 50_000) -> None:
        """`remembered`: how many entries of each kind are kept at least, at about 150 bytes each."""
        self.last = last
        self.messages: Bounded[bytes, int] = Bounded(remembered)
        self.shapes: Bounded[bytes, int] = Bounded(remembered // 4)
        self.nodes: Bounded[tuple[int, int], int] = Bounded(remembered)
