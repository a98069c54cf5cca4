"""What a student may do, and why: a state machine whose every step is a reason in words. Pure.

    off ─▶ training ─▶ shadow ─▶ live ─▶ demoted
                         │  ▲              │
                         ▼  └──────────────┘ (a refit, judged by audits made since)
                      refused

Shadow: it labels, and nobody sees it but the report. Another meaning of the labels (labels, prompt, model: the
classifier's version) starts anew from any state, since neither the labels nor the audits of before say anything then.
So does another target, but for the audits: they still say what they said, and the looks at them stay spent.
"""

from dataclasses import dataclass, replace

from tailrace.classify.student.drift import Drift
from tailrace.classify.student.guarantee import Infeasible, Release
from tailrace.records import StudentState as State


@dataclass(frozen=True, slots=True)
class Standing:
    """All that must outlive a restart of the labeller.

    `epoch` counts the times that audits began anew: audits of an earlier one are never looked at again. `looks` is how
    often those of this one were. `released` is the fit that answers, which may be older than `fitted`, the newest.
    """

    state: State = State.OFF
    reason: str = "the cascade has no student"
    meaning: str = ""
    target: float | None = None
    epoch: int = 0
    looks: int = 0
    fitted: int | None = None
    labels: int = 0
    missing: int | None = None
    released: int | None = None
    release: Release | None = None
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class Enabled:
    """The settings have a student, for labels of this meaning."""

    meaning: str


@dataclass(frozen=True, slots=True)
class Disabled:
    """The settings have none."""


@dataclass(frozen=True, slots=True)
class Waits:
    """There are too few labels to train on, or too few turns to judge by."""

    labels: int
    labels_needed: int
    judges: int
    judges_needed: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """A student of so many labels was trained."""

    serial: int
    labels: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest student was held against the audits of this epoch; it said what the model did in `agreed` of them."""

    outcome: Release | Infeasible
    judged: int = 0
    agreed: int = 0


@dataclass(frozen=True, slots=True)
class Audited:
    """Audits of turns that the released student answered, in order."""

    agreed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No student can keep the promise (`guarantee.out_of_reach`)."""

    reason: str


Event = Enabled | Disabled | Waits | Fitted | Judged | Audited | Unreachable


def advance(standing: Standing, event: Event, *, target: float) -> Standing:
    """The standing after `event`. What means nothing in this state changes nothing."""
    if isinstance(event, Disabled):
        return Standing(epoch=standing.epoch)
    if isinstance(event, Enabled):
        return _enabled(standing, event, target)
    if standing.state in {State.OFF, State.REFUSED}:
        return standing
    if isinstance(event, Unreachable):
        return replace(_released_nothing(standing), state=State.REFUSED, reason=event.reason, missing=None)
    if isinstance(event, Waits):
        return _waits(standing, event)
    if isinstance(event, Fitted):
        return _fitted(standing, event)
    if isinstance(event, Judged):
        return _judged(standing, event, target)
    return _audited(standing, event)


def _released_nothing(standing: Standing) -> Standing:
    return replace(standing, released=None, release=None, drift=None)


def _enabled(standing: Standing, event: Enabled, target: float) -> Standing:
    if standing.state is State.OFF:
        return Standing(State.TRAINING, "no labels yet", event.meaning, target, epoch=standing.epoch + 1)
    if standing.meaning != event.meaning:
        why = "labels, prompt or model changed: starts anew"
        return Standing(State.TRAINING, why, event.meaning, target, epoch=standing.epoch + 1)
    if standing.target != target:
        why = f"target_agreement is {target:.1%} now: nothing is proven of that yet"
        return replace(_released_nothing(standing), state=State.TRAINING, reason=why, missing=None, target=target)
    return standing


def _waits(standing: Standing, event: Waits) -> Standing:
    if standing.state is not State.TRAINING:
        return standing
    why = (
        f"{event.labels} of the {event.labels_needed} labels to train on, "
        f"{event.judges} of the {event.judges_needed} turns to judge it by"
    )
    return replace(standing, labels=event.labels, reason=why)


def _fitted(standing: Standing, event: Fitted) -> Standing:
    fitted = replace(standing, fitted=event.serial, labels=event.labels)
    if standing.state is State.LIVE:
        return fitted
    why = f"student {event.serial}, of {event.labels} labels, is not proven yet"
    return replace(_released_nothing(fitted), state=State.SHADOW, reason=why)


def _judged(standing: Standing, event: Judged, target: float) -> Standing:
    if standing.state not in {State.SHADOW, State.LIVE}:
        return standing
    looked, outcome = replace(standing, looks=standing.looks + 1), event.outcome
    if isinstance(outcome, Infeasible):
        missing = "" if outcome.missing is None else f"; {outcome.missing} audits are missing"
        still = "the student before stays live: " if standing.state is State.LIVE else ""
        return replace(looked, reason=f"{still}{outcome.reason}{missing}", missing=outcome.missing)
    if standing.release and standing.release.coverage > outcome.coverage:
        return replace(looked, reason=f"the student before answers more and stays live: {standing.release.reason}")
    return replace(
        looked,
        state=State.LIVE,
        reason=outcome.reason,
        missing=None,
        released=standing.fitted,
        release=outcome,
        drift=standing.drift or Drift(target),
    )


def _audited(standing: Standing, event: Audited) -> Standing:
    if standing.state is not State.LIVE or standing.drift is None:
        return standing
    drift = standing.drift.after_all(event.agreed)
    if not drift.alarmed:
        return replace(standing, drift=drift)
    return replace(
        _released_nothing(standing),
        state=State.DEMOTED,
        reason=drift.reason,
        epoch=standing.epoch + 1,
        looks=0,
        missing=None,
    )
