"""Many texts labelled at once, of the log or of a file: whoever runs it says where they come from and where labels go.

    pieces, a page at a time ─▶ rules ▸ cache ▸ student ▸ near-duplicate ▸ model ─▶ keep, durable ─▶ counted

A label counts when it is kept, never before. A model's call that failed for good is no label: the piece stays open for
the next run. Nothing is done about labels here: actions are for what happens now, not for what is in the log.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from tailrace.classify.cascade import UNANSWERED, Cascade, Said
from tailrace.classify.near import Near
from tailrace.classify.turn import Subject
from tailrace.labeller.metered import Metered
from tailrace.records import LabelMode, LabelSource

_REMEMBERED: Final = 50_000
"""Turns whose label is known as the previous one of their chain."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One text to label. Those of a `group` are labelled in their order, groups side by side."""

    key: str
    subject: Subject
    group: Hashable
    place: int = 0  # by which the next turn names it as its parent
    parent: int | None = None
    source: str | None = None  # the completion on whose account a model is asked


Keep = Callable[[Piece, Sequence[Said], int], Awaitable[None]]
"""Where a piece's labels go, and how long they took in microseconds; returns when they are durable."""


@dataclass(slots=True)
class Tally:
    """How a run went, in pieces."""

    labelled: dict[str, int] = field(default_factory=dict)  # by source
    off_list: int = 0  # of the labelled: the answer was none of the labels, and the label is an error
    open: int = 0  # nobody knew, and no model was to be asked
    failed: int = 0  # the model was asked and did not answer
    left: int = 0  # not asked: the budget is used up, or the proxy is gone
    first_failure: str = ""

    @property
    def done(self) -> int:
        """Pieces with a label, or with the kind of error that is one."""
        return sum(self.labelled.values())


@dataclass(slots=True)
class Bulk:
    """One run. `models` None: no model is asked."""

    cascade: Cascade
    models: Metered | None
    keep: Keep
    near: Near | None = None
    concurrency: int = 8
    tally: Tally = field(default_factory=Tally)
    on_done: Callable[[], None] = lambda: None
    _previous: OrderedDict[int, str] = field(default_factory=OrderedDict)

    def remember(self, labels: Iterable[tuple[int, str]]) -> None:
        """Labels of turns that pieces to come may name as their parents, by their places."""
        for place, label in labels:
            self._previous[place] = label
            if len(self._previous) > _REMEMBERED:
                self._previous.popitem(last=False)

    async def run(self, pieces: Sequence[Piece]) -> None:
        """Labels a page. Raises what `keep` raises: what was kept until then stays."""
        groups: dict[Hashable, list[Piece]] = {}
        for piece in pieces:
            groups.setdefault(piece.group, []).append(piece)
        waiting = iter(groups.values())

        async def work() -> None:
            for group in waiting:
                for piece in group:
                    await self._one(piece)
                    self.on_done()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self.concurrency, len(groups))):
                tasks.create_task(work())

    async def _one(self, piece: Piece) -> None:
        begun_ns = time.perf_counter_ns()
        subject = piece.subject
        if self.cascade.ready.settings.context.previous_label and piece.parent is not None:
            subject = replace(subject, previous=self._previous.get(piece.parent, subject.previous))
        at_once = self.cascade.at_once(subject)
        said, beside = at_once.said, list(at_once.shadows)
        if said is None and self.near is not None:
            said = self._propagated(subject)
        mode = self.cascade.ready.settings.mode_of("llm")
        if self.models is not None and (mode == "shadow" or (mode == "live" and said is None)):
            told = await self._ask(piece, subject, self.models)
            if told is None:
                return
            if mode == "shadow":
                beside.append(replace(told, mode=LabelMode.SHADOW))
            else:
                said = told
        records = beside if said is None else [*beside, said]
        if records:
            await self.keep(piece, records, (time.perf_counter_ns() - begun_ns) // 1000)
        self._count(piece, subject, said if said is not None else next(iter(beside), None))

    async def _ask(self, piece: Piece, subject: Subject, models: Metered) -> Said | None:
        if not models.takes_more:
            self.tally.left += 1
            return None
        told = await self.cascade.ask(subject, models, source=piece.source)
        if told.error == UNANSWERED:
            self.tally.failed += 1
            self.tally.first_failure = self.tally.first_failure or (told.note or "no answer")
            return None
        return told

    def _propagated(self, subject: Subject) -> Said | None:
        found = self.near.find(subject) if self.near is not None else None
        if found is None:
            return None
        note = orjson.dumps({"from": found.key, "alike": round(found.alike, 3)}).decode()
        return Said(LabelSource.PROPAGATED, found.value, note=note)

    def _count(self, piece: Piece, subject: Subject, said: Said | None) -> None:
        if said is None:
            self.tally.open += 1
            return
        self.tally.labelled[said.source.value] = self.tally.labelled.get(said.source.value, 0) + 1
        self.tally.off_list += said.value is None
        if said.value is None:
            return
        if isinstance(said.value, str) and said.mode is LabelMode.LIVE:
            self.remember([(piece.place, said.value)])
        if self.near is not None and said.source == LabelSource.LLM:
            self.near.add(subject, piece.key, said.value)
