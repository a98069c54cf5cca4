"""Which turns a person should label next, of those that no person has labelled.

margin    where the label that counts was least sure
novelty   those least like what people have labelled already
audit     those that the model labelled to judge the others by, the newest first
recent    the newest
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.examples import alike
from tailrace.classify.nearness import grams
from tailrace.classify.ready import Ready
from tailrace.labeller.subjects import Item, items, turn_of
from tailrace.records import Label, LabelMode, LabelSource
from tailrace.store import labels, read
from tailrace.store.rebuild import Rebuilder

_LOOKED_AT: Final = 2_000
"""Completions that are looked at for a queue, the newest."""
_KNOWN: Final = 500
_PAGE: Final = 200


class QueueOrder(StrEnum):
    """Which turns come first."""

    MARGIN = "margin"
    NOVELTY = "novelty"
    AUDIT = "audit"
    RECENT = "recent"


async def queue(
    connection: AsyncConnection, ready: Ready, selection: read.Selection, order: QueueOrder, limit: int
) -> list[Item]:
    """The turns to label, the first one first.

    Raises:
        WorkFailed: a stored body is damaged.
    """
    if order is QueueOrder.AUDIT:
        rows = await _audited(connection, ready)
    else:
        selection = read.Selection(
            selection.where, origin=selection.origin, order=read.Order.NEWEST_FIRST, limit=_LOOKED_AT
        )
        rows = [row async for batch in read.rows(connection, selection) for row in batch]
    known = await labels.counting(connection, [row.id for row in rows])
    open_ = [row for row in rows if not _by_person(known.get(row.id, {}).get(ready.name))]
    if order is QueueOrder.MARGIN:
        open_ = sorted(open_, key=lambda row: _sureness(known.get(row.id, {}).get(ready.name)))
    most = _LOOKED_AT if order is QueueOrder.NOVELTY else limit
    found: list[Item] = []
    rebuilder = Rebuilder(connection)
    for at in range(0, len(open_), _PAGE):
        found += await items(rebuilder, ready.settings, open_[at : at + _PAGE])
        if len(found) >= most:
            break
    if order is QueueOrder.NOVELTY:
        found = _by_novelty(found, await _texts_of_people(connection, ready))
    await connection.rollback()
    return found[:limit]


async def _audited(connection: AsyncConnection, ready: Ready) -> list[read.Filed]:
    after, is_last = 0, False
    rows: dict[bytes, read.Filed] = {}
    while not is_last:
        page = await labels.audits(connection, ready.name, after_seq=after, version=ready.version)
        rows |= {one.completion.id: one.completion for one in page.items}
        after, is_last = page.cursor, page.is_last
    return list(rows.values())[::-1][:_LOOKED_AT]


async def _texts_of_people(connection: AsyncConnection, ready: Ready) -> list[str]:
    """What is known: gold examples, and what people labelled last."""
    texts = [] if ready.shots is None else [example.subject.text for example in ready.shots.examples[:_KNOWN]]
    c = labels.LABEL.c
    newest = (
        select(c.seq)
        .where(c.classifier == ready.name, c.source == LabelSource.HUMAN.value, c.mode == LabelMode.LIVE.value)
        .order_by(c.seq.desc())
        .limit(1)
        .offset(_KNOWN)
    )
    after = (await connection.execute(newest)).scalar_one_or_none() or 0
    page = await labels.human(connection, ready.name, after_seq=after, limit=_KNOWN)
    subjects = (turn_of(ready.settings, one.completion, one.request) for one in page.items)
    return texts + [subject.text for subject in subjects if subject is not None]


def _by_novelty(found: Sequence[Item], known: Sequence[str]) -> list[Item]:
    sets = [frozenset(grams(text)) for text in known]

    def nearest(item: Item) -> float:
        mine = frozenset(grams(item.subject.text))
        return max((alike(mine, other) for other in sets), default=0.0)

    return sorted(found, key=nearest)


def _by_person(label: Label | None) -> bool:
    return label is not None and label.source == LabelSource.HUMAN and label.label is not None


def _sureness(label: Label | None) -> tuple[int, float]:
    """Those with a confidence first, the least sure of them in front; then those that nobody could label."""
    if label is None:
        return 1, 0.0
    return (2, 0.0) if label.confidence is None else (0, label.confidence)
