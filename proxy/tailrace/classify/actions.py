"""What is done about labels: which action fires, which does not, and why. Pure; values in, values out.

Classifiers count in the order of the settings, their actions in order. Of those that would change the call (`reply`,
`route`) one fires, the first; after a `reply` there is no call that a `note` could be added to. `tag` and `webhook` go
with all. A dry run takes no place: it is decided as if it were alone, and only logged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tailrace.settings_classifiers import Action, Classifier, Do

RULE: Final = "rule"
HUMAN: Final = "human"
_CERTAIN: Final = frozenset((RULE, HUMAN))
"""Sources whose labels have no probability because nobody guessed."""

_CHANGING: Final = frozenset(("reply", "route"))


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a classifier said of a turn."""

    classifier: str
    label: str  # all its labels as one word
    labels: tuple[str, ...]
    confidence: float | None
    source: str  # rule, cache, student, llm, human, propagated
    version: str
    live: bool  # its source may act


class Why(StrEnum):
    """Why an action that its label calls for does not fire."""

    SHADOW = "shadow"  # its source is not live
    CONFIDENCE = "low_confidence"
    UNKNOWN = "no_confidence"  # the model gave none, and the action asks for some
    TAKEN = "other_action"  # another one replied, or routed, before it
    LATE = "too_late"  # the call has gone to its provider


@dataclass(frozen=True, slots=True)
class Act:
    """An action, with the label that calls for it."""

    action: Action
    index: int  # in its classifier's `actions`
    cause: Labelled
    why_not: Why | None = None  # None: it fires

    @property
    def fires(self) -> bool:
        """Whether something is done, or, in a dry run, would be."""
        return self.why_not is None

    @property
    def tag(self) -> tuple[str, str] | None:
        """Of `tag`: its name and its value."""
        return None if self.action.tag is None else (self.action.tag, self.cause.label)


@dataclass(frozen=True, slots=True)
class Decision:
    """All that the labels of one call lead to; every action whose label came up is here once."""

    acts: tuple[Act, ...] = ()

    def fired(self, do: Do) -> tuple[Act, ...]:
        """The acts of the kind `do` to be carried out now; dry runs are not."""
        return tuple(act for act in self.acts if act.fires and not act.action.dry_run and act.action.do == do)

    @property
    def reply(self) -> Act | None:
        """The fixed answer, instead of a provider's."""
        return next(iter(self.fired("reply")), None)

    @property
    def route(self) -> Act | None:
        """Where the call goes instead."""
        return next(iter(self.fired("route")), None)


def decide(results: Sequence[Labelled], classifiers: Mapping[str, Classifier], *, in_time: bool = True) -> Decision:
    """What the labels in `results` lead to. `in_time`: the call has not yet gone to its provider."""
    acts = tuple(_called_for(results, classifiers, in_time=in_time))
    changing = (act for act in acts if act.fires and not act.action.dry_run and act.action.do in _CHANGING)
    first = next(changing, None)
    return Decision(tuple(act if first is None else _beside(first, act) for act in acts))


def _beside(first: Act, act: Act) -> Act:
    """`act` as it is decided where `first` changes the call."""
    moot = act.action.do in _CHANGING or (act.action.do == "note" and first.action.do == "reply")
    if act is first or not moot or not act.fires or act.action.dry_run:
        return act
    return replace(act, why_not=Why.TAKEN)


def _called_for(results: Sequence[Labelled], classifiers: Mapping[str, Classifier], *, in_time: bool) -> Iterator[Act]:
    by_name = {result.classifier: result for result in results}
    for name, classifier in classifiers.items():
        if (result := by_name.get(name)) is None:
            continue
        for index, action in enumerate(classifier.actions):
            if action.on in result.labels:
                yield Act(action, index, result, _why_not(action, result, in_time=in_time))


def _why_not(action: Action, result: Labelled, *, in_time: bool) -> Why | None:
    if not result.live:
        return Why.SHADOW
    if not in_time and action.do in {"reply", "route", "note"}:
        return Why.LATE
    if result.source in _CERTAIN and result.confidence is None:
        return None
    if result.confidence is None:
        return Why.UNKNOWN if action.min_confidence > 0 else None
    return None if result.confidence >= action.min_confidence else Why.CONFIDENCE
