"""Works out from the log which rules leave and what the model's confidence means, and tells the relay.

Rules are held against audits and people's labels, which nobody chose by what the rules say; confidences against
people's labels. All is counted anew each time, from the newest labels, so that there is no count to be lost.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.calibration import Judged
from tailrace.classify.cascade import Cascade
from tailrace.classify.learned import learned, learned_file
from tailrace.classify.rules import Tally
from tailrace.classify.turn import subject_of
from tailrace.journal.journal import Journal
from tailrace.records import Label, LabelSource
from tailrace.store import labels
from tailrace.store.labels import Labelled
from tailrace.store.rebuild import Rebuilder
from tailrace.wire.endpoints import ENDPOINTS

MOST: Final = 5_000
"""Labels of people, and audits, that are looked at; the newest."""
EVERY_S: Final = 10.0
_WIRES: Final = {str(endpoint): wire for endpoint, wire in ENDPOINTS.items()}

log = structlog.get_logger("tailrace.labeller")


class Learner:
    """One version's."""

    def __init__(self, cascade: Cascade, data_dir: Path) -> None:
        self._cascade = cascade
        self._file = learned_file(data_dir, cascade.ready)
        self._newest = (-1, -1)

    async def step(self, connection: AsyncConnection, _: Rebuilder, __: Journal) -> bool:
        """Looks at what is new; never more to do at once."""
        ready = self._cascade.ready
        audits = await self._last(connection, audits=True)
        people = await self._last(connection, audits=False)
        newest = tuple(some[-1].seq if some else 0 for some in (audits, people))
        if newest != self._newest:
            self._newest = (newest[0], newest[1])
            disabled = self._judged([*audits, *people])
            judged = [pair async for pair in self._pairs(connection, people)]
            now = learned(disabled, judged)
            before = self._cascade.learned
            for index, reason in now.disabled.items():
                if index not in before.disabled:
                    log.warning("a rule disables itself", classifier=ready.name, why=reason)
            if now != before:
                self._cascade.learned = now
                self._file.put(now)
        await connection.rollback()
        await asyncio.sleep(EVERY_S)
        return False

    async def _last(self, connection: AsyncConnection, *, audits: bool) -> list[Labelled]:
        ready, found, cursor, is_last = self._cascade.ready, list[Labelled](), 0, False
        while not is_last:
            if audits:
                page = await labels.audits(connection, ready.name, after_seq=cursor, version=ready.version)
            else:
                page = await labels.human(connection, ready.name, after_seq=cursor)
            found += page.items
            del found[:-MOST]
            cursor, is_last = page.cursor, page.is_last
            await connection.rollback()
        return found

    def _judged(self, some: list[Labelled]) -> dict[int, str]:
        ready = self._cascade.ready
        tally = Tally(ready.rules.labels)
        for one in some:
            wire = _WIRES.get(one.completion.endpoint)
            if wire is None or not isinstance(one.request, dict) or not isinstance(one.label.label, str):
                continue
            subject = subject_of(one.request, wire, ready.settings.context, role=ready.settings.applies_to.role)
            if subject is not None:
                tally.judge(ready.rules.vote(subject.text, before=subject.before).fired, one.label.label)
        return tally.disabled(ready.settings.rule_accuracy)

    async def _pairs(self, connection: AsyncConnection, people: list[Labelled]) -> AsyncIterator[Judged]:
        """The model's confidence and whether it was right, of each turn that a person labelled."""
        ready = self._cascade.ready
        gold = {one.completion.id: one.label.label for one in people}
        known = await labels.history(connection, gold)
        for id_, label in gold.items():
            by_model = [one for one in known.get(id_, ()) if _is_models(one, ready.version)]
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
