"""When a student may answer alone: what its audits prove, at which confidence. Pure.

The audits are one random turn of a random share of the chains, judged by the model and never trained on (turns of one
chain are not independent). The thresholds to try are fixed without looking at any label: those at which 5 %, 10 %, …
of the unlabelled traffic would be answered. They are tested from the most confident down and in that order only
(fixed-sequence testing: each test at the full level, and no error is made unless one is made at the first false point),
beginning at the first with `n_min` audits and ending at the first that fails:

    coverage    5 %   10 %   15 %  …   70 %   75 %   80 %
    audits        9     19     31  …    140    149    160
                              pass ▸ … ▸ pass   pass ▸ FAIL          threshold of 75 %

A point passes when the lower Clopper-Pearson bound of agreement is at least the target. Each look at audits that were
looked at before (a refit, or more of them) spends a share of α: look k has α / k(k + 1), which sums to α.

The ceiling: a model that gives an item one of its answers with chances p_i agrees with itself s = Σ p_i² of the time,
and with anybody at most max p_i ≤ √s; over all items E √s ≤ √(E s). A target above √s is out of any student's reach.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from tailrace.classify.student.binomial import lower, needed, proves, upper

_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be kept. `spare_errors`: so many a first point must bear, or one early error would end the search."""

    target: float
    alpha: float = 0.05
    step: float = 0.05
    spare_errors: int = 5
    class_floor: float | None = None  # None: target - 0.1
    class_audits: int = 30

    @property
    def floor(self) -> float:
        """Agreement below which a class, once that is proven, is no longer answered."""
        return max(self.target - 0.1, 0.0) if self.class_floor is None else self.class_floor

    def alpha_at(self, look: int) -> float:
        """What of α the look-th look at the same audits spends, from 1."""
        return self.alpha / (look * (look + 1))

    def n_min(self, look: int = 1) -> int:
        """The fewest audits that prove the target with `spare_errors` errors among them."""
        items = self.spare_errors + 1
        while not proves(items - self.spare_errors, items, self.target, self.alpha_at(look)):
            items += 1
        return items


@dataclass(frozen=True, slots=True)
class Audit:
    """One audited turn: the student's label and confidence, and whether the model said the same."""

    label: str
    confidence: float
    agreed: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold, and the share of unlabelled traffic at or above it."""

    coverage: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Release:
    """The student may answer at or above `threshold`, but for the classes in `withheld`."""

    threshold: float
    coverage: float
    agreement: float
    bound: float
    audits: int
    alpha: float
    withheld: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """For the report."""
        held = f"; withheld: {', '.join(self.withheld)}" if self.withheld else ""
        return (
            f"{self.audits} audits agree {self.agreement:.1%}, at least {self.bound:.1%} at level {self.alpha:.3g}: "
            f"{self.coverage:.0%} of the turns from confidence {self.threshold:.3f}{held}"
        )


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Nothing is proven. `missing`: audits until it could be; None: not at the agreement seen so far."""

    reason: str
    missing: int | None


def grid(unlabelled: Iterable[float], step: float = 0.05) -> list[Point]:
    """The thresholds at which `step`, 2·`step`, … of the traffic would be answered; the most confident first."""
    ordered = sorted(unlabelled, reverse=True)
    points: list[Point] = []
    for n in range(1, round(1 / step) + 1):
        if ordered:
            threshold = ordered[min(max(ceil(n * step * len(ordered) - _SLACK), 1), len(ordered)) - 1]
            if points and points[-1].threshold == threshold:  # many turns are alike: one threshold for both
                points.pop()
            points.append(Point(n * step, threshold))
    return points


def judge(audits: Sequence[Audit], points: Sequence[Point], promise: Promise, look: int) -> Release | Infeasible:
    """What the audits prove at the look-th look. `points` come from `grid`."""
    alpha, n_min = promise.alpha_at(look), promise.n_min(look)
    passed: Release | None = None
    failed: tuple[Point, list[Audit]] | None = None
    for point in points:
        accepted = [audit for audit in audits if audit.confidence >= point.threshold]
        if len(accepted) < n_min:
            continue
        right = sum(audit.agreed for audit in accepted)
        if not proves(right, len(accepted), promise.target, alpha):
            failed = point, accepted
            break
        bound = lower(right, len(accepted), alpha)
        passed = Release(point.threshold, point.coverage, right / len(accepted), bound, len(accepted), alpha)
    if passed is None:
        return _missing(len(audits), failed, promise, alpha, n_min)
    return _without_poor_classes(passed, audits, promise)


def _missing(
    audits: int, failed: tuple[Point, list[Audit]] | None, promise: Promise, alpha: float, n_min: int
) -> Infeasible:
    """Why not, and how many audits more it takes."""
    if failed is None:
        return Infeasible(f"{audits} audits of at least {n_min}", max(n_min - audits, 1))
    point, accepted = failed
    agreement = sum(audit.agreed for audit in accepted) / len(accepted)
    said = f"the {len(accepted)} audits among the surest {point.coverage:.0%} agree {agreement:.1%}"
    enough = needed(promise.target, agreement, alpha)
    if enough is None:
        return Infeasible(f"{said}, which does not reach {promise.target:.1%}: a better student is needed", None)
    share = len(accepted) / audits
    missing = max(ceil(enough / share) - audits, 1)
    return Infeasible(f"{said}: to prove {promise.target:.1%} takes {enough} such audits", missing)


def _without_poor_classes(release: Release, audits: Sequence[Audit], promise: Promise) -> Release:
    """Withholds each class that has enough audits and is proven to agree less than the floor.

    It is proven below the floor, and the floor is below the target, so what remains agrees more than the whole did.
    """
    accepted = [audit for audit in audits if audit.confidence >= release.threshold]
    seen, right = Counter(audit.label for audit in accepted), defaultdict[str, int](int)
    for audit in accepted:
        right[audit.label] += audit.agreed
    judged = {label: items for label, items in seen.items() if items >= promise.class_audits}
    withheld = [
        label
        for label, items in judged.items()
        if upper(right[label], items, release.alpha / len(judged)) < min(promise.floor, promise.target)
    ]
    return Release(
        release.threshold,
        release.coverage,
        release.agreement,
        release.bound,
        release.audits,
        release.alpha,
        tuple(sorted(withheld)),
    )


@dataclass(frozen=True, slots=True)
class Consistency:
    """How often the model, asked the same item afresh and uncached, said the same: `same` of `asked`."""

    same: int
    asked: int

    @property
    def share(self) -> float | None:
        """s; None: never asked twice."""
        return self.same / self.asked if self.asked else None

    def ceiling(self, alpha: float) -> float:
        """What no student's agreement is above, at level `alpha`."""
        return sqrt(upper(self.same, self.asked, alpha))


def out_of_reach(promise: Promise, consistency: Consistency) -> str | None:
    """Why no student can keep the promise; None: it is not proven that none can."""
    ceiling, share = consistency.ceiling(promise.alpha), consistency.share
    if share is None or promise.target <= ceiling:
        return None
    return (
        f"asked the same item twice, the model agreed with itself {share:.1%} of the time ({consistency.same} of "
        f"{consistency.asked}). With self-consistency s nobody agrees with it more than √s = {sqrt(share):.1%} of the "
        f"time (at most {ceiling:.1%} at level {promise.alpha:.3g}): {promise.target:.1%} is out of any student's "
        f"reach. Lower target_agreement, or make the model steadier (clearer labels, temperature 0)"
    )


def accepts(label: str, confidence: float, threshold: float, withheld: Collection[str]) -> bool:
    """Whether the student answers this turn alone."""
    return confidence >= threshold and label not in withheld
