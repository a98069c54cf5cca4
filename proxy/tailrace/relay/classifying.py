"""The classifier stage of a request: its user's new turn is labelled, within a deadline, and the label may act.

    accepted ─▶ Subject ─▶ cascade, at once ─┬────────────────────────────────▶ labels ─▶ actions ─▶ the call goes on
                                             └─ a model, until the deadline ──┘
                                                └─ past it: the call goes on, the label is logged when it comes

Whatever happens here, the call goes on. Labels and actions are records of the journal, before END and therefore in the
log before the client sees the end of its answer. Only sources that are live act.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from tailrace import metrics
from tailrace.classify.actions import decide
from tailrace.classify.applies import applies
from tailrace.classify.cascade import Cascade, Said
from tailrace.classify.complete import Complete
from tailrace.classify.turn import Subject, subject_of
from tailrace.classify.written import BROKEN, action_record, label_record, labelled, new_id, outcome_of, without_words
from tailrace.errors import LogUnavailable
from tailrace.journal.commits import Waiter
from tailrace.records import Action, Label, LabelMode, LabelSource, Origin
from tailrace.relay.accept import Accepted
from tailrace.relay.acting import Staged, carried_out, label_header
from tailrace.relay.live import Live, Relay

log = structlog.get_logger("tailrace.classify")


async def stage(relay: Relay, live: Live, accepted: Accepted) -> Staged:
    """The call as it goes on. Raises nothing but a cancellation."""
    if accepted.origin is not Origin.APP:
        return Staged(accepted)
    try:
        found = await _label(relay, live, accepted)
        return _act(relay, live, accepted, found) if found else Staged(accepted)
    except Exception:
        log.exception("the classifier stage failed, the call goes on", id=str(accepted.arrival.id))
        return Staged(accepted)


async def _label(relay: Relay, live: Live, accepted: Accepted) -> dict[str, Said]:
    """What each classifier that is for this call says, of those that said something in time."""
    begun = relay.loop.time()
    begun_us = relay.clock.now_us()
    sticky = accepted.sticky
    found: dict[str, Said] = {}
    asked: list[tuple[float, str, asyncio.Task[Said]]] = []
    for cascade, subject in _subjects(live, accepted, sticky):
        name = cascade.ready.name
        call = _Call(relay, live, cascade, accepted, subject, sticky, begun_us)
        at_once = cascade.at_once(subject)
        for shadow in at_once.shadows:
            call.write(shadow)
        if at_once.said is not None:
            found[name] = call.write(at_once.said)
        elif cascade.asks_model and relay.models is not None:
            deadline = begun + cascade.ready.settings.deadline_ms / 1e3
            asked.append((deadline, name, relay.tasks.create_task(call.ask(relay.models))))
    for deadline, name, task in sorted(asked, key=lambda one: one[0]):
        await asyncio.wait({task}, timeout=max(0.0, deadline - relay.loop.time()))
        if task.done() and not task.cancelled():
            found[name] = task.result()
        else:
            metrics.label_late(name)
            task.add_done_callback(partial(_act_late, relay, live, accepted, name))
    return found


def _subjects(live: Live, accepted: Accepted, sticky: bytes) -> Iterator[tuple[Cascade, Subject]]:
    for cascade in live.cascades:
        settings = cascade.ready.settings
        if not applies(
            settings.applies_to, endpoint=accepted.endpoint, model=accepted.model, step=accepted.step,
            project=accepted.caller.project, tags=accepted.told.tags,
        ):  # fmt: skip
            continue
        previous = live.last_labels.get(cascade.ready.name, sticky)
        role = settings.applies_to.role
        subject = subject_of(accepted.request.parsed, accepted.wire, settings.context, role=role, previous=previous)
        if subject is not None:
            yield cascade, subject


@dataclass(frozen=True, slots=True)
class _Call:
    """One classifier at one call: its labels on their way into the log."""

    relay: Relay
    live: Live
    cascade: Cascade
    accepted: Accepted
    subject: Subject
    sticky: bytes
    begun_us: int

    async def ask(self, models: Complete) -> Said:
        """Asks the model; logs what it says whenever it comes. Raises nothing but a cancellation."""
        call, private = self.accepted.arrival.id, self.accepted.told.omits_request
        try:
            said = await self.cascade.ask(self.subject, models, source=str(call), private=private)
        except Exception:  # the top of a task: what it raised would end the relay with all its calls
            log.exception("a classifier failed", classifier=self.cascade.ready.name, id=str(call))
            said = Said(LabelSource.LLM, None, error=BROKEN)
        return self.write(said)

    def write(self, said: Said) -> Said:
        """Logs a label; one of a live source is the conversation's last from now on."""
        relay, ready = self.relay, self.cascade.ready
        if said.mode is LabelMode.LIVE and isinstance(said.value, str):
            self.live.last_labels.put(ready.name, self.sticky, said.value)
        now_us = relay.clock.now_us()
        took_us = now_us - self.begun_us
        kept = without_words(said) if self.accepted.told.omits_request else said
        call, id_ = self.accepted.arrival.id, new_id(relay.clock)
        _log(relay, label_record(ready, kept, call, id_=id_, at_us=now_us, took_us=took_us))
        metrics.labelled(ready.name, said.source, said.mode, failed=said.value is None, seconds=took_us / 1e6)
        return said


def _act_late(relay: Relay, live: Live, accepted: Accepted, name: str, task: asyncio.Task[Said]) -> None:
    """The call is gone, but a webhook can still be called, and a tag be noted."""
    if not task.cancelled() and task.exception() is None:
        _act(relay, live, accepted, {name: task.result()}, in_time=False)


def _act(relay: Relay, live: Live, accepted: Accepted, found: Mapping[str, Said], *, in_time: bool = True) -> Staged:
    cascades = {cascade.ready.name: cascade for cascade in live.cascades}
    results = [labelled(cascades[name].ready, said) for name, said in found.items() if said.value is not None]
    settings = {name: cascade.ready.settings for name, cascade in cascades.items()}
    decision = decide(results, settings, in_time=in_time)
    staged = Staged(accepted, headers=tuple(label_header(name, said) for name, said in found.items()))
    for act in decision.acts:
        if not act.fires:
            continue
        failure = None
        if not act.action.dry_run:
            staged, failure = carried_out(staged, act)
        _log(relay, action_record(act, accepted.arrival.id, relay.clock, failure=failure))
        metrics.acted(act.cause.classifier, act.action.do, outcome_of(act, failure))
    return staged


def _log(relay: Relay, said: Label | Action) -> None:
    """Into the journal, where it takes records; what it does not take is counted."""
    try:
        relay.journal.label(said).add_done_callback(_count_if_lost)
    except LogUnavailable:
        metrics.unlogged_label()


def _count_if_lost(waiter: Waiter) -> None:
    if not waiter.cancelled() and waiter.exception() is not None:
        metrics.unlogged_label()
