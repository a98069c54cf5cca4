"""Labels for items of the log, as records: by the cascade, the turns of one chain in their order, chains side by side.

Pure of the store but for the labels of parents, which some contexts ask for. Whoever calls writes the records down and
only then counts the items as done; what a crash makes be done twice is labelled twice, and the newest label counts.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import metrics
from tailrace.classify.actions import decide
from tailrace.classify.cascade import Cascade, Said
from tailrace.classify.complete import Complete
from tailrace.classify.written import BROKEN, action_record, label_record, labelled, new_id, outcome_of
from tailrace.clock import Clock
from tailrace.labeller.subjects import Item, labels_before
from tailrace.records import Action, Label, LabelMode, LabelSource

log = structlog.get_logger("tailrace.labeller")


@dataclass(slots=True)
class Work:
    """What labelling takes, of one classifier."""

    cascade: Cascade
    models: Complete | None  # None: no model is asked
    clock: Clock
    concurrency: int = 8  # chains at once

    async def label(self, connection: AsyncConnection, items: Sequence[Item]) -> list[Label | Action]:
        """The labels of `items`, and the webhooks and tags that they call for. Raises nothing that a model does."""
        previous = await labels_before(connection, self.cascade.ready, [item.row for item in items])
        by_chain: dict[int, list[Item]] = {}
        for item in items:
            by_chain.setdefault(item.row.chain, []).append(item)
        records: list[Label | Action] = []
        places = asyncio.Semaphore(self.concurrency)

        async def one_chain(some: Sequence[Item]) -> None:
            async with places:
                for item in some:
                    try:
                        said = await self._one(item, previous, records)
                    except Exception:  # the top of a task: one turn must not hold up all that come after it
                        log.exception("a classifier failed", classifier=self.cascade.ready.name, id=str(item.id))
                        said = Said(LabelSource.LLM, None, error=BROKEN)
                        records.append(self.record(item.id, said, None))
                    if said is not None and isinstance(said.value, str):
                        previous[item.row.seq] = said.value

        async with asyncio.TaskGroup() as tasks:
            for some in by_chain.values():
                tasks.create_task(one_chain(some))
        return records

    async def _one(self, item: Item, previous: dict[int, str], records: list[Label | Action]) -> Said | None:
        ready = self.cascade.ready
        begun_ns = time.perf_counter_ns()
        subject = item.subject
        if ready.settings.context.previous_label and item.row.parent is not None:
            subject = replace(subject, previous=previous.get(item.row.parent))
        at_once = self.cascade.at_once(subject)
        said, shadows = at_once.said, list(at_once.shadows)
        mode = ready.settings.mode_of("llm")
        if self.models is not None and ready.brief is not None and (mode == "shadow" or (mode == "live" and not said)):
            told = await self.cascade.ask(subject, self.models, source=str(item.id))
            if mode == "shadow":
                shadows.append(replace(told, mode=LabelMode.SHADOW))
            else:
                said = told
        took_us = (time.perf_counter_ns() - begun_ns) // 1000
        records += [self.record(item.id, shadow, took_us) for shadow in shadows]
        if said is not None:
            records += [self.record(item.id, said, took_us), *self._actions(item, said)]
        return said

    def record(self, completion: UUID, said: Said, took_us: int | None) -> Label:
        """A label as it is logged."""
        ready = self.cascade.ready
        seconds = None if took_us is None else took_us / 1e6
        metrics.labelled(ready.name, said.source, said.mode, failed=said.value is None, seconds=seconds)
        id_, at_us = new_id(self.clock), self.clock.now_us()
        return label_record(ready, said, completion, id_=id_, at_us=at_us, took_us=took_us)

    def _actions(self, item: Item, said: Said) -> list[Action]:
        ready = self.cascade.ready
        if said.value is None:
            return []
        found = []
        for act in decide([labelled(ready, said)], {ready.name: ready.settings}, in_time=False).acts:
            if act.fires:
                metrics.acted(ready.name, act.action.do, outcome_of(act))
                found.append(action_record(act, item.id, self.clock))
        return found
