"""One label chosen among several, with the probability of each.

Owns the distributions. The ranks below the chosen label share what it leaves: the second one gets 70 % of it, the next
five the rest evenly, all others nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.simulate.labelling.draws import Draws

_SECOND: Final = 0.7
_OTHERS: Final = 5
_SURE: Final = (0.8, 0.995)  # what a model that is right says of itself
_UNSURE: Final = (0.4, 0.9)  # and one that is wrong: lower, but not so that a threshold tells them apart
_SHARP: Final = (0.5, 0.99)


@dataclass(frozen=True, slots=True)
class Choice:
    """`label` is chosen; `weights` sum to 1 over the labels that have any, `label` among them."""

    label: str
    weights: Mapping[str, float]


def certain(label: str) -> Choice:
    """No other label was thought of."""
    return Choice(label, {label: 1.0})


def right(gold: str, options: Sequence[str], draws: Draws) -> Choice:
    """Gold, and sure of it."""
    return _ranked([gold, *_others(gold, options, draws)], draws.within("sure", *_SURE))


def wrong(gold: str, options: Sequence[str], draws: Draws) -> Choice:
    """Another label, if there is one; gold is mostly the second thought."""
    others = _others(gold, options, draws)
    if not others:
        return certain(gold)
    place = 1 if len(others) == 1 or draws.share("place") < _SECOND else 2
    return _ranked([*others[:place], gold, *others[place:]], draws.within("unsure", *_UNSURE))


def first(gold: str, options: Sequence[str], draws: Draws) -> Choice:
    """The label that stands first in the list, whatever is asked."""
    others = [label for label in _others(gold, options, draws) if label != options[0]]
    ranked = [options[0], *([gold] if gold != options[0] else []), *others]
    return _ranked(ranked, draws.within("sure", *_SURE))


def sharp(gold: str, options: Sequence[str], draws: Draws, sharpness: float) -> Choice:
    """A choice that is right as often as its probability before sharpening says, which is the truth of calibration.

    A probability is drawn first, then gold's rank by the probabilities of the ranks, then the labels of the other
    ranks. What is told is each probability to the power of `sharpness`, normalised: 1 is calibrated, more is too sure
    of itself, and a temperature of `sharpness` undoes it.
    """
    others = _others(gold, options, draws)
    masses = _masses(draws.within("sharp", *_SHARP), len(others) + 1)
    drawn, rank = draws.share("rank"), 0
    while rank < len(masses) - 1 and drawn >= masses[rank]:
        drawn -= masses[rank]
        rank += 1
    ranked = [*others[:rank], gold, *others[rank:]]
    powers = [mass**sharpness for mass in masses]
    return Choice(ranked[0], {label: power / math.fsum(powers) for label, power in zip(ranked, powers, strict=False)})


def _others(gold: str, options: Sequence[str], draws: Draws) -> list[str]:
    return draws.shuffled("others", [label for label in options if label != gold])


def _ranked(labels: Sequence[str], confidence: float) -> Choice:
    masses = _masses(confidence, len(labels))
    return Choice(labels[0], dict(zip(labels, masses, strict=False)))


def _masses(confidence: float, count: int) -> list[float]:
    """The probability of each rank, of which there are at most `count`."""
    if count == 1:
        return [1.0]
    left = 1 - confidence
    if count == 2:
        return [confidence, left]
    third = min(_OTHERS, count - 2)
    return [confidence, left * _SECOND, *[left * (1 - _SECOND) / third] * third]
