"""How labels stand to each other: sources on one turn, confidences against people, weeks against a reference. Pure.

What cannot be known is None: no agreement where two sources never met, no calibration without a judged confidence.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum, log
from typing import Final

_DRAWS: Final = 400
_ALPHA: Final = 0.05
_PSEUDO: Final = 0.5
_COVERAGES: Final = tuple(n / 20 for n in range(1, 21))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two sources on the turns that both labelled."""

    one: str
    other: str
    turns: int
    agree: float
    kappa: float | None  # Cohen's; None where chance alone would agree always


def agreements(turns: Iterable[Mapping[str, str]]) -> list[Agreement]:
    """Of each pair of sources that met. Each turn is given as its labels by source."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for labels in turns:
        for one, other in combinations(sorted(labels), 2):
            pairs.setdefault((one, other), []).append((labels[one], labels[other]))
    return [Agreement(*names, len(met), _share(met), kappa(met)) for names, met in sorted(pairs.items())]


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa (1960): agreement beyond what the two label frequencies alone would give."""
    if not pairs:
        return None
    ones, others = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(ones[label] * others[label] for label in ones) / len(pairs) ** 2
    return None if chance == 1 else (_share(pairs) - chance) / (1 - chance)


def coverage_curve(judged: Iterable[tuple[float | None, bool]]) -> list[tuple[float, float, float]]:
    """(coverage, the least confidence there, accuracy), from the most confident down. Empty without confidences."""
    known = sorted(((each, right) for each, right in judged if each is not None), key=lambda item: -item[0])
    curve = []
    for coverage in _COVERAGES if known else ():
        taken = known[: max(1, round(coverage * len(known)))]
        curve.append((coverage, taken[-1][0], sum(right for _, right in taken) / len(taken)))
    return curve


@dataclass(frozen=True, slots=True)
class Drift:
    """A period's labels against the reference's. `low` and `high` bound `distance` with 95 % confidence."""

    period: str
    labels: int
    distance: float  # total variation: the share of labels that would have to be others
    low: float
    high: float
    chance: float  # what two samples of these sizes of one distribution stay below, 95 times of 100
    stability: float  # population stability index

    @property
    def drifted(self) -> bool:
        """Whether chance alone does not explain it."""
        return self.distance > self.chance


def drift(reference: Counter[str], periods: Mapping[str, Counter[str]], *, seed: int = 1) -> list[Drift]:
    """Each period against the reference; empty ones are left out. Intervals by bootstrap, from a fixed seed."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for period, labels in periods.items():
        if not labels or not reference:
            continue
        both = reference + labels
        sizes = reference.total(), labels.total()
        resampled = sorted(
            distance(_draw(dice, reference, sizes[0]), _draw(dice, labels, sizes[1])) for _ in range(_DRAWS)
        )
        by_chance = sorted(distance(_draw(dice, both, sizes[0]), _draw(dice, both, sizes[1])) for _ in range(_DRAWS))
        found.append(
            Drift(
                period, sizes[1], distance(reference, labels),
                low=_quantile(resampled, _ALPHA / 2),
                high=_quantile(resampled, 1 - _ALPHA / 2),
                chance=_quantile(by_chance, 1 - _ALPHA),
                stability=stability(reference, labels),
            )
        )  # fmt: skip
    return found


def distance(one: Counter[str], other: Counter[str]) -> float:
    """Total variation between two label distributions, 0 to 1."""
    ones, others = one.total(), other.total()
    return fsum(abs(one[label] / ones - other[label] / others) for label in {*one, *other}) / 2


def stability(one: Counter[str], other: Counter[str]) -> float:
    """The population stability index, with half a label added to each count so that none is 0."""
    labels = {*one, *other}
    ones, others = one.total() + _PSEUDO * len(labels), other.total() + _PSEUDO * len(labels)
    shares = (((one[label] + _PSEUDO) / ones, (other[label] + _PSEUDO) / others) for label in sorted(labels))
    return fsum((now - was) * log(now / was) for was, now in shares)


def _share(pairs: Sequence[tuple[str, str]]) -> float:
    return sum(one == other for one, other in pairs) / len(pairs)


def _draw(dice: random.Random, labels: Counter[str], size: int) -> Counter[str]:
    return Counter(dice.choices([*labels], weights=[*labels.values()], k=size))


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
