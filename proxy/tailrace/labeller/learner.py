"""Works out from the log which rules leave and what the model's confidence means, and tells the relay.

Rules are held against audits and people's labels, which nobody chose by what the rules say; confidences against
people's labels. All is counted anew after a start, from the newest labels, so that there is no count to be lost.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.calibration import Judged
from tailrace.classify.cascade import Cascade
from tailrace.classify.learned import Learned, learned, learned_file
from tailrace.classify.rules import Tally
from tailrace.journal.journal import Journal
from tailrace.labeller.subjects import turn_of
from tailrace.records import Label, LabelSource, LabelValue
from tailrace.store import labels
from tailrace.store.labels import Labelled, Page
from tailrace.store.rebuild import Rebuilder

MOST: Final = 5_000
"""Labels of people, and votes that were judged, that are held; the newest."""
EVERY_S: Final = 10.0

log = structlog.get_logger("tailrace.labeller")


class Learner:
    """One version's. Holds what it has read, the newest; each look reads only what is new."""

    def __init__(self, cascade: Cascade, data_dir: Path) -> None:
        self._cascade = cascade
        self._file = learned_file(data_dir, cascade.ready)
        self._votes: OrderedDict[int, tuple[tuple[int, ...], str]] = OrderedDict()  # by label: rules that fired, and it
        self._gold: OrderedDict[bytes, LabelValue | None] = OrderedDict()  # by completion: what a person said of it
        self._cursors = {False: 0, True: 0}

    async def step(self, connection: AsyncConnection, _: Rebuilder, __: Journal) -> bool:
        """Looks at what is new; never more to do at once."""
        if await self._read(connection):
            judged = [pair async for pair in self._pairs(connection)]
            self._tell(learned(self._disabled(), judged))
        await connection.rollback()
        await asyncio.sleep(EVERY_S)
        return False

    def _tell(self, now: Learned) -> None:
        before = self._cascade.learned
        for index, reason in now.disabled.items():
            if index not in before.disabled:
                log.warning("a rule disables itself", classifier=self._cascade.ready.name, why=reason)
        if now != before:
            self._cascade.learned = now
            self._file.put(now)

    async def _read(self, connection: AsyncConnection) -> bool:
        before = dict(self._cursors)
        for audits in (True, False):
            is_last = False
            while not is_last:
                page = await self._page(connection, audits=audits)
                for one in page.items:
                    self._take(one, by_person=not audits)
                self._cursors[audits], is_last = page.cursor, page.is_last
                await connection.rollback()
        return self._cursors != before

    async def _page(self, connection: AsyncConnection, *, audits: bool) -> Page[Labelled]:
        ready, after = self._cascade.ready, self._cursors[audits]
        if audits:
            return await labels.audits(connection, ready.name, after_seq=after, version=ready.version)
        return await labels.human(connection, ready.name, after_seq=after)

    def _take(self, one: Labelled, *, by_person: bool) -> None:
        ready = self._cascade.ready
        if by_person:
            self._gold[one.completion.id] = one.label.label
        subject = turn_of(ready.settings, one.completion, one.request)
        if subject is not None and isinstance(one.label.label, str):
            fired = ready.rules.vote(subject.text, before=subject.before).fired
            self._votes[one.seq] = (fired, one.label.label)
        for held in (self._gold, self._votes):
            while len(held) > MOST:
                held.popitem(last=False)

    def _disabled(self) -> dict[int, str]:
        tally = Tally(self._cascade.ready.rules.labels)
        for fired, label in self._votes.values():
            tally.judge(fired, label)
        return tally.disabled(self._cascade.ready.settings.rule_accuracy)

    async def _pairs(self, connection: AsyncConnection) -> AsyncIterator[Judged]:
        """The model's confidence and whether it was right, of each turn that a person labelled."""
        known = await labels.history(connection, self._gold)
        for id_, label in self._gold.items():
            by_model = [one for one in known.get(id_, ()) if _is_models(one, self._cascade.ready.version)]
            if by_model:
                yield raw_confidence(by_model[-1]), by_model[-1].label == label


def _is_models(one: Label, version: str) -> bool:
    return one.source == LabelSource.LLM and one.version == version and one.label is not None


def raw_confidence(label: Label) -> float | None:
    """What the model's tokens said, before any calibration: the note has it where there was one."""
    try:
        raw = orjson.loads(label.note or "")["raw"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return label.confidence
    return raw if isinstance(raw, float) else label.confidence
