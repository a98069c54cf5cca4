"""What is read of keys and of the audit."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.keys import Key, key_of
from tailrace.records import Change
from tailrace.store.tables import TABLES

KEY: Final = TABLES["api_key"]
AUDIT: Final = TABLES["audit"]


async def keys(connection: AsyncConnection) -> list[Key]:
    """All keys, the oldest first, revoked ones too."""
    rows = (await connection.execute(select(KEY.c.state))).scalars()
    return sorted((key_of(orjson.loads(row)) for row in rows), key=lambda key: (key.created_us, key.id))


async def audit(connection: AsyncConnection, *, after_seq: int = 0, limit: int = 100) -> Sequence[tuple[int, Change]]:
    """What administrators did, the oldest first, each with its number: where the next page begins."""
    statement = select(AUDIT).where(AUDIT.c.seq > after_seq).order_by(AUDIT.c.seq).limit(limit)
    return [(row.seq, _change(row)) for row in await connection.execute(statement)]


def _change(row: Any) -> Change:
    return Change(UUID(bytes=row.id), row.at_us, row.who, row.what, row.about, orjson.loads(row.details))
