"""Labelling functions: what each rule says of a turn, what they say together, and how each has done.

`RuleSet` is pure. `Tally` counts: coverage, overlap and conflict as votes come, accuracy as later labels do. A rule
that is surely less accurate than the bound is left out from then on, and `Tally.disabled` says why. It is kept only in
memory: whoever owns it may make it anew from the log.
"""

import math
import string
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tailrace.settings_classifiers import Rule, compile_expression

MIN_JUDGED: Final = 20
"""Later labels of a rule's votes before it may disable itself."""

_Z: Final = 1.96  # two-sided 95 %
_AROUND: Final = string.whitespace + string.punctuation + "…。、！？¿¡“”„‘’«»"


@dataclass(frozen=True, slots=True)
class Vote:
    """What the rules say of one text."""

    label: str | None  # None: no rule fired
    fired: tuple[int, ...] = ()  # indices of the rules that did
    conflict: bool = False  # they named different labels


@dataclass(frozen=True, slots=True)
class _Compiled:
    label: str
    any_of: tuple[Any, ...]
    all_of: tuple[Any, ...]
    none_of: tuple[Any, ...]
    exact: frozenset[str]
    role: str | None

    def fires(self, text: str, plain: str, before: str | None) -> bool:
        return (
            (self.role is None or self.role == before)
            and (not self.exact or plain in self.exact)
            and (not self.any_of or any(each.search(text) for each in self.any_of))
            and all(each.search(text) for each in self.all_of)
            and not any(each.search(text) for each in self.none_of)
        )


class RuleSet:
    """The rules of one classifier, compiled. Immutable."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.labels = tuple(rule.label for rule in rules)
        self._rules = tuple(_compile(rule) for rule in rules)

    def vote(self, text: str, *, before: str | None = None, without: Collection[int] = ()) -> Vote:
        """What the rules say of `text` that follows a turn of the role `before`: the majority's label, in a tie that of
        the first rule. Rules whose index is in `without` are not asked."""
        text = _encodable(text)
        plain = _plain(text)
        fired = tuple(
            index for index, rule in enumerate(self._rules) if index not in without and rule.fires(text, plain, before)
        )
        if not fired:
            return Vote(None)
        votes = Counter(self.labels[index] for index in fired)  # equal counts stay in the order of the rules
        return Vote(votes.most_common(1)[0][0], fired, len(votes) > 1)


@dataclass(slots=True)
class RuleCount:
    """How one rule has done."""

    fired: int = 0
    overlaps: int = 0  # of those: another rule fired too
    conflicts: int = 0  # of those: with another label
    right: int = 0
    wrong: int = 0

    @property
    def judged(self) -> int:
        """Votes that a later label was held against."""
        return self.right + self.wrong

    @property
    def accuracy(self) -> float | None:
        """Share of the judged votes that were right; None: there were none."""
        return self.right / self.judged if self.judged else None


@dataclass(slots=True)
class Tally:
    """How the rules of one classifier have done since it was made."""

    labels: tuple[str, ...]  # what each rule says
    seen: int = 0
    covered: int = 0  # at least one rule fired
    conflicts: int = 0
    rules: list[RuleCount] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rules = self.rules or [RuleCount() for _ in self.labels]

    def add(self, vote: Vote) -> None:
        """Count what the rules said of a text."""
        self.seen += 1
        self.covered += bool(vote.fired)
        self.conflicts += vote.conflict
        for index in vote.fired:
            count = self.rules[index]
            count.fired += 1
            count.overlaps += len(vote.fired) > 1
            count.conflicts += any(self.labels[other] != self.labels[index] for other in vote.fired)

    def judge(self, fired: Sequence[int], label: str) -> None:
        """Hold the votes of the rules in `fired` against a label that came later, of a model or of a person."""
        for index in fired:
            if self.labels[index] == label:
                self.rules[index].right += 1
            else:
                self.rules[index].wrong += 1

    def disabled(self, bound: float) -> dict[int, str]:
        """The rules that are surely less accurate than `bound`, each with the reason in words."""
        reasons = {}
        for index, count in enumerate(self.rules):
            if count.judged < MIN_JUDGED:
                continue
            most = upper_bound(count.right, count.judged)
            if most < bound:
                reasons[index] = (
                    f"rule {index + 1} ({self.labels[index]}) was right in {count.right} of {count.judged} votes: "
                    f"at most {most:.0%} with 95 % confidence, below rule_accuracy = {bound:g}"
                )
        return reasons


def upper_bound(right: int, judged: int) -> float:
    """The upper end of Wilson's 95 % score interval of `right` successes in `judged` > 0 trials."""
    share = right / judged
    squared = _Z * _Z
    middle = share + squared / (2 * judged)
    reach = _Z * math.sqrt(share * (1 - share) / judged + squared / (4 * judged * judged))
    return min((middle + reach) / (1 + squared / judged), 1.0)


def _compile(rule: Rule) -> _Compiled:
    return _Compiled(
        label=rule.label,
        any_of=tuple(map(compile_expression, rule.any)),
        all_of=tuple(map(compile_expression, rule.all)),
        none_of=tuple(map(compile_expression, rule.not_)),
        exact=frozenset(map(_plain, rule.exact)),
        role=rule.role,
    )


def _plain(text: str) -> str:
    """A text as `exact` compares it: without case, and without space and punctuation around it, but never empty."""
    folded = " ".join(text.casefold().split())
    return folded.strip(_AROUND) or folded


def _encodable(text: str) -> str:
    """RE2 takes UTF-8; a lone surrogate, which JSON can say, is none."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
