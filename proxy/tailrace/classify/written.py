"""What a classifier said and did, as the log has it: the same records from the relay, the labeller and bulk runs."""

import os
from dataclasses import replace
from typing import Final
from uuid import UUID

from tailrace.classify.actions import Act, Labelled
from tailrace.classify.cascade import Said, labels_of
from tailrace.classify.ready import Ready
from tailrace.clock import Clock
from tailrace.ids import uuid7
from tailrace.records import Action, Do, Label, LabelMode, Outcome

BROKEN: Final = "internal"
"""The error of a label that our own code could not give."""
PRIVATE: Final = "not_logged"
"""The error of a label that would repeat what the client asked not to be logged."""


def new_id(clock: Clock) -> UUID:
    """The id of a new record."""
    return uuid7(clock.stamp() // 1_000_000, os.urandom(10))


def label_record(ready: Ready, said: Said, completion: UUID, *, id_: UUID, at_us: int, took_us: int | None) -> Label:
    """What a source said of a completion's turn."""
    return Label(
        id=id_,
        completion=completion,
        at_us=at_us,
        classifier=ready.name,
        version=ready.version,
        source=said.source,
        label=said.value,
        mode=said.mode,
        confidence=said.confidence,
        latency_us=took_us,
        error=said.error,
        note=said.note,
    )


def without_words(said: Said) -> Said:
    """What may be logged of a call whose body may not: labels of the list, and nothing that was said."""
    if said.value is None or isinstance(said.value, str | tuple):
        return replace(said, note=None)
    return replace(said, note=None, value=None, error=PRIVATE)


def action_record(act: Act, completion: UUID, clock: Clock, *, failure: str | None = None) -> Action:
    """What an act came to; `failure`: why it could not be carried out."""
    action, cause = act.action, act.cause
    targets = {"route": action.target, "tag": action.tag, "webhook": action.url, "note": action.text}
    return Action(
        id=new_id(clock),
        completion=completion,
        at_us=clock.now_us(),
        classifier=cause.classifier,
        version=cause.version,
        label=cause.label,
        do=action.do,
        key=f"{cause.classifier}:{act.index}",
        outcome=outcome_of(act, failure),
        target=targets.get(action.do),
        dry_run=action.dry_run,
        error=failure,
    )


def outcome_of(act: Act, failure: str | None = None) -> Outcome:
    """How far an act has come: a webhook is called later, from the log."""
    if failure is not None:
        return Outcome.FAILED
    return Outcome.PLANNED if Do(act.action.do) is Do.WEBHOOK and not act.action.dry_run else Outcome.DONE


def labelled(ready: Ready, said: Said) -> Labelled:
    """What a source said, as actions are decided by it."""
    words = labels_of(said.value)
    live = said.mode is LabelMode.LIVE
    return Labelled(ready.name, ",".join(words), words, said.confidence, said.source, ready.version, live=live)
