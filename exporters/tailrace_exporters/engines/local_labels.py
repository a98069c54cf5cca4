"""Puts onto rows the labels that count for their heads, as of the watermark."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Label
from tailrace.store import labels
from tailrace.store.query import Marks
from tailrace_exporters.rows import Labelled, Row


async def with_labels(connection: AsyncConnection, rows: Sequence[Row], marks: Marks) -> list[Row]:
    """The rows, each with its head's labels by classifier name. Ends the transaction it reads in."""
    if not rows or not marks.labels:
        return list(rows)
    found = await labels.counting(connection, [row.head.id for row in rows], up_to_seq=marks.labels)
    await connection.rollback()
    return [replace(row, labels=_of(found.get(row.head.id, {}))) for row in rows]


def _of(said: dict[str, Label]) -> tuple[Labelled, ...]:
    return tuple(Labelled(name, label.label, label.confidence, label.source) for name, label in said.items())
