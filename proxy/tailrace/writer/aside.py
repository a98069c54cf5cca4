"""What the journal gives beside whole completions: dead letters, gaps, and ends that changed. Each is filed once.

There is no key that the journal could repeat them by, so each statement looks whether its row is there: after a crash
between COMMIT and the deletion of a segment the same records come again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, Table, and_, bindparam, exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Amended, Closed, Gap, Poison
from tailrace.store.tables import TABLES
from tailrace.writer.text import column_text

_COMPLETION: Final = TABLES["completion"]

_NO_INTEGER: Final = 2**63
_MAX_RAW_BYTES: Final = 10**9 - 2**20
"""SQLite keeps no row above 10^9 bytes."""

COMPLETION: Final = "completion"
"""The source of a dead letter that is a whole completion."""


def _unless_there(table: Table, *same: str) -> Insert:
    """Insert a row of `table` unless there is one with the same values in the columns `same` (NULL equals NULL)."""
    columns = [column for column in table.c if column.name != "id"]
    values = [bindparam(f"{column.name}_", type_=column.type) for column in columns]
    equal: list[ColumnElement[bool]] = [
        table.c[name].is_not_distinct_from(bindparam(f"{name}_", type_=table.c[name].type)) for name in same
    ]
    there = exists(select(literal(1)).select_from(table).where(and_(*equal)))
    return insert(table).from_select([column.name for column in columns], select(*values).where(~there))


_DEAD_LETTER: Final = _unless_there(TABLES["dead_letter"], "completion", "source")
_GAP: Final = _unless_there(TABLES["gap"], "at_us", "owner", "calls", "reason")
_ENDED: Final = ("status", "error", "http_status", "duration_us", "first_byte_us", "overhead_us", "request_id")
_AMEND: Final = (
    update(_COMPLETION)
    .where(_COMPLETION.c.id == bindparam("id_"))
    .values({name: bindparam(f"{name}_") for name in _ENDED})
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A completion that could not be filed, and why."""

    closed: Closed
    reason: str


async def set_aside(connection: AsyncConnection, refused: Sequence[Refused], poisons: Sequence[Poison]) -> None:
    """File dead letters: all bytes there are, from where, and why."""
    letters = [
        _letter(one.closed.start.at_us, one.closed.id, COMPLETION, one.reason, _bytes_of(one.closed)) for one in refused
    ]
    letters += [_letter(one.at_us, one.id, one.where, one.reason, one.raw) for one in poisons]
    if letters:
        await connection.execute(_DEAD_LETTER, letters)


async def count_gaps(connection: AsyncConnection, gaps: Sequence[Gap]) -> None:
    """File gaps: calls that passed without being logged."""
    rows = [
        {"at_us_": gap.at_us, "owner_": gap.owner, "calls_": gap.calls, "reason_": column_text(gap.reason)}
        for gap in gaps
    ]
    if rows:
        await connection.execute(_GAP, rows)


async def amend(connection: AsyncConnection, amended: Sequence[Amended]) -> None:
    """Say of completions filed before how they ended after all. One that is not in the store is left alone."""
    rows = [
        {
            "id_": one.id.bytes,
            "status_": one.end.status,
            "error_": column_text(one.end.error),
            "http_status_": one.end.http_status,
            "duration_us_": one.end.duration_us,
            "first_byte_us_": one.end.first_byte_us,
            "overhead_us_": one.end.overhead_us,
            "request_id_": column_text(one.end.provider_request_id),
        }
        for one in amended
    ]
    if rows:
        await connection.execute(_AMEND, rows)


def _letter(at_us: int, id_: UUID | None, source: str, reason: str, raw: bytes) -> dict[str, Any]:
    return {
        "at_us_": at_us if type(at_us) is int and abs(at_us) < _NO_INTEGER else 0,
        "completion_": id_.bytes if id_ else None,
        "source_": column_text(source),
        "reason_": column_text(reason),
        "raw_": raw[:_MAX_RAW_BYTES],
    }


def _bytes_of(closed: Closed) -> bytes:
    """A completion's bytes, request and answer, one after the other."""
    return closed.request + b"\n\n" + closed.answer
