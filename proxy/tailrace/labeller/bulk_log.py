"""The log's side of a bulk run: which completions are to be labelled, and their labels as records.

A label's id is made from what it is about (completion, classifier, version, source, mode and the kind of error), so
that the same label written twice, by a run that was killed and went on, is one label in the store.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import ids
from tailrace.classify.cascade import UNANSWERED, Said
from tailrace.classify.ready import Ready
from tailrace.classify.written import label_record
from tailrace.labeller.bulk import Piece
from tailrace.labeller.subjects import Item, items
from tailrace.records import Label, LabelMode, Origin
from tailrace.store import labels, read
from tailrace.store.rebuild import Rebuilder

PAGE: Final = 256
"""Completions that are read at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which completions a run labels."""

    ready: Ready
    where: ColumnElement[bool] | None
    origin: Origin | None
    up_to_seq: int
    again: bool = False  # also those that have a label of this version
    limit: int | None = None
    after_seq: int = 0


async def pages(connection: AsyncConnection, wanted: Wanted) -> AsyncIterator[list[Item]]:
    """The turns to label, oldest first. No snapshot is held between pages.

    Raises:
        WorkFailed: a stored body is damaged.
    """
    rebuilder, after, left = Rebuilder(connection), wanted.after_seq, wanted.limit
    while left is None or left > 0:
        rows, after, is_last = await _page(connection, wanted, after)
        found = await items(rebuilder, wanted.ready.settings, rows)
        await connection.rollback()
        found = found if left is None else found[:left]
        left = None if left is None else left - len(found)
        if found:
            yield found
        if is_last:
            return


async def _page(connection: AsyncConnection, wanted: Wanted, after: int) -> tuple[list[read.Filed], int, bool]:
    ready, end = wanted.ready, wanted.up_to_seq
    if wanted.again:
        chosen = read.Selection(
            wanted.where, after_seq=after, up_to_seq=min(end, after + labels.WINDOW), origin=wanted.origin, limit=PAGE
        )
        rows = list(await read.page(connection, chosen))
        after = rows[-1].seq if len(rows) == PAGE else min(end, after + labels.WINDOW)
        return rows, after, after >= end
    page = await labels.unlabelled(
        connection, ready.name, ready.version, after_seq=after, where=wanted.where, origin=wanted.origin, failed=True,
        limit=PAGE,
    )  # fmt: skip
    rows = [row for row in page.items if row.seq <= end]
    known = await labels.history(connection, [row.id for row in rows])
    open_ = [row for row in rows if not is_done(known.get(row.id, ()), ready)]
    return open_, page.cursor, page.is_last or page.cursor >= end


def is_done(known: Sequence[Label], ready: Ready) -> bool:
    """Whether one of these labels is this version's own and stays: what it could not label for lack of an answer may
    have one now."""
    return any(
        label.classifier == ready.name
        and label.version == ready.version
        and label.mode in (LabelMode.LIVE, LabelMode.SHADOW)
        and (label.mode == LabelMode.LIVE or ready.settings.mode != "live")
        and (label.label is not None or label.error != UNANSWERED)
        for label in known
    )


def piece_of(item: Item) -> Piece:
    """A turn of the log as it is labelled: after the turns of its chain before it."""
    row = item.row
    return Piece(str(item.id), item.subject, row.chain, row.seq, row.parent, source=str(item.id))


def record_of(ready: Ready, completion: UUID, said: Said, *, at_us: int, took_us: int | None) -> Label:
    """A label of a run as it is logged."""
    id_ = id_of(completion, ready.name, ready.version, said.source, said.mode, said.error or "")
    return label_record(ready, said, completion, id_=id_, at_us=at_us, took_us=took_us)


def id_of(completion: UUID, *what: str) -> UUID:
    """The id that a label of `completion` has by what it is; a version 7 one, of the completion's time."""
    digest = blake2b(completion.bytes, digest_size=10)
    for part in what:
        data = part.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    return ids.uuid7(ids.unix_ms(completion), digest.digest())
