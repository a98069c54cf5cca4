"""How much a confidence is worth: temperature scaling, isotonic regression, ECE, AUROC, the reliability curve. Pure.

No numpy: the relay calibrates a model's confidence with it. A confidence that is missing (None) stays missing through
all of it; it is never 0.

Sources: Guo et al. 2017 (temperature, ECE by equal-width bins); Zadrozny and Elkan 2002 (isotonic, by pooling adjacent
violators); AUROC as the rank statistic of Mann and Whitney, ties counting half.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Final, Protocol

TEMPERATURE_FROM: Final = 100
"""Gold items below which a model's confidences stay as they are."""
ISOTONIC_FROM: Final = 1_000
"""Gold items from which the shape is learned, not one number."""
_EPSILON: Final = 1e-6
_COLDEST, _HOTTEST, _ROUNDS = 0.05, 20.0, 60
_GOLDEN: Final = (5**0.5 - 1) / 2

Judged = tuple[float | None, bool]
"""A confidence, and whether its label was right."""


class Calibration(Protocol):
    """Makes a confidence what it should have been."""

    def __call__(self, confidence: float | None) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Too few gold items to say better."""

    def __call__(self, confidence: float | None) -> float | None:
        """The confidence itself."""
        return confidence


@dataclass(frozen=True, slots=True)
class Temperature:
    """σ(logit(p) / value): above 1 it makes confidences humbler."""

    value: float

    def __call__(self, confidence: float | None) -> float | None:
        """The confidence after scaling; None stays None."""
        return None if confidence is None else _sigmoid(_logit(confidence) / self.value)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A non-decreasing step function, linear between the middles of its steps. Both are as long, `at` ascending."""

    at: tuple[float, ...]
    to: tuple[float, ...]

    def __call__(self, confidence: float | None) -> float | None:
        """The confidence after the curve; None stays None."""
        if confidence is None:
            return None
        after = bisect_right(self.at, confidence)
        if after in {0, len(self.at)}:
            return self.to[min(after, len(self.to) - 1)]
        low, high = self.at[after - 1], self.at[after]
        return self.to[after - 1] + (self.to[after] - self.to[after - 1]) * (confidence - low) / (high - low)


def calibrate(judged: Iterable[Judged]) -> Calibration:
    """The best these gold items allow: nothing, a temperature, or a curve."""
    known = _known(judged)
    if len(known) < TEMPERATURE_FROM:
        return Unchanged()
    return temperature(known) if len(known) < ISOTONIC_FROM else isotonic(known)


def temperature(judged: Iterable[Judged]) -> Temperature:
    """The temperature of least log-loss."""
    logits = [(_logit(confidence), right) for confidence, right in _known(judged)]

    def loss(value: float) -> float:
        return fsum(_softplus(-logit / value if right else logit / value) for logit, right in logits)

    return fit_temperature(loss)


def fit_temperature(loss: Callable[[float], float]) -> Temperature:
    """The temperature of least `loss`, by golden-section search over its logarithm (the loss has one valley in 1/T)."""
    low, high = log(_COLDEST), log(_HOTTEST)
    one, two = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_one, at_two = loss(exp(one)), loss(exp(two))
    for _ in range(_ROUNDS):
        if high - low < 1e-4:
            break
        if at_one <= at_two:
            high, two, at_two = two, one, at_one
            one = high - _GOLDEN * (high - low)
            at_one = loss(exp(one))
        else:
            low, one, at_one = one, two, at_two
            two = low + _GOLDEN * (high - low)
            at_two = loss(exp(two))
    return Temperature(exp((low + high) / 2))


def isotonic(judged: Iterable[Judged]) -> Isotonic:
    """The non-decreasing curve of least squares; needs one item. Equal confidences are one point."""
    blocks: list[list[float]] = []  # sum of confidences, how many were right, how many there are
    last: float | None = None
    for confidence, right in sorted(_known(judged)):
        if confidence == last:
            blocks[-1] = [blocks[-1][0] + confidence, blocks[-1][1] + right, blocks[-1][2] + 1]
        else:
            blocks.append([confidence, float(right), 1.0])
        last = confidence
    pooled: list[list[float]] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and pooled[-2][1] * pooled[-1][2] >= pooled[-1][1] * pooled[-2][2]:
            above = pooled.pop()
            pooled[-1] = [one + other for one, other in zip(pooled[-1], above, strict=True)]
    return Isotonic(tuple(b[0] / b[2] for b in pooled), tuple(b[1] / b[2] for b in pooled))


@dataclass(frozen=True, slots=True)
class Bin:
    """A part of the reliability curve: the items from `low` to `high`, their mean confidence and share right."""

    low: float
    high: float
    items: int
    confidence: float
    right: float


def reliability(judged: Iterable[Judged], bins: int = 10) -> list[Bin]:
    """The curve, by bins of equal width; empty ones are left out."""
    held: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for confidence, right in _known(judged):
        held[min(int(confidence * bins), bins - 1)].append((confidence, right))
    return [
        Bin(
            low=n / bins,
            high=(n + 1) / bins,
            items=len(each),
            confidence=fsum(confidence for confidence, _ in each) / len(each),
            right=sum(right for _, right in each) / len(each),
        )
        for n, each in enumerate(held)
        if each
    ]


def expected_calibration_error(judged: Iterable[Judged], bins: int = 10) -> float | None:
    """ECE: the mean gap between confidence and share right, by items. None where no item has a confidence."""
    curve = reliability(judged, bins)
    items = sum(each.items for each in curve)
    return fsum(each.items * abs(each.confidence - each.right) for each in curve) / items if items else None


def area_under_roc(judged: Iterable[Judged]) -> float | None:
    """AUROC: the chance that a right item's confidence is above a wrong one's. None where all are right, or none is."""
    known = sorted(_known(judged))
    rights = sum(right for _, right in known)
    wrongs = len(known) - rights
    if not rights or not wrongs:
        return None
    ranks, start = 0.0, 0
    while start < len(known):
        end = start
        while end < len(known) and known[end][0] == known[start][0]:
            end += 1
        ranks += (start + 1 + end) / 2 * sum(right for _, right in known[start:end])
        start = end
    return (ranks - rights * (rights + 1) / 2) / (rights * wrongs)


def _known(judged: Iterable[Judged]) -> Sequence[tuple[float, bool]]:
    return [(confidence, right) for confidence, right in judged if confidence is not None]


def _logit(share: float) -> float:
    share = min(max(share, _EPSILON), 1 - _EPSILON)
    return log(share / (1 - share))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + exp(-logit)) if logit >= 0 else exp(logit) / (1 + exp(logit))


def _softplus(value: float) -> float:
    return max(value, 0.0) + log(1 + exp(-abs(value)))
