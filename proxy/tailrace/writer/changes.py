"""Files what administrators did: an audit row each, and the key as it stands after it. Idempotent: by their ids."""

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import ColumnElement, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.journal.entries import encode_change
from tailrace.keys import Key, key_of
from tailrace.records import Change, ChangeKind, Poison
from tailrace.store.tables import TABLES

_AUDIT: Final = TABLES["audit"]
_KEY: Final = TABLES["api_key"]
_OF_KEYS: Final = {ChangeKind.KEY_CREATED, ChangeKind.KEY_CHANGED, ChangeKind.KEY_REVOKED}


async def file_changes(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Insert what is not there yet, in order; of two changes of a key the later one is how it stands.

    Raises:
        ValueError: one of them is no such change: it is for the caller to find which, and to set it aside.
    """
    for change in changes:
        row = {
            "id": change.id.bytes,
            "at_us": change.at_us,
            "who": change.who,
            "what": ChangeKind(change.what).value,
            "about": change.about,
            "details": orjson.dumps(change.details),
        }
        key = key_of(change.details) if change.what in _OF_KEYS else None
        if await _is_there(connection, _AUDIT.c.id == change.id.bytes):
            continue
        await connection.execute(insert(_AUDIT).values(row))
        if key is not None:
            await _put(connection, key, change)


async def _put(connection: AsyncConnection, key: Key, change: Change) -> None:
    state = {"hash": key.hash, "changed_us": change.at_us, "state": orjson.dumps(change.details)}
    older = (_KEY.c.id == key.id, _KEY.c.changed_us <= change.at_us)
    done = await connection.execute(update(_KEY).where(*older).values(state))
    if not done.rowcount and not await _is_there(connection, _KEY.c.id == key.id):
        await connection.execute(insert(_KEY).values(state | {"id": key.id}))


async def _is_there(connection: AsyncConnection, row: ColumnElement[bool]) -> bool:
    return (await connection.execute(select(literal(1)).where(row))).first() is not None


def poison_of_change(change: Change, reason: str) -> Poison:
    """A change that could not be filed."""
    return Poison(max(0, change.at_us), f"change {change.id}", reason, encode_change(change))
