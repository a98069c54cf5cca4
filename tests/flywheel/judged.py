"""What the answers are worth. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.flywheel.traffic import Said
from tests.labelled.loading import Item


@dataclass(frozen=True, slots=True)
class Score:
    """Of answers to questions whose gold label is known; shares of all of them, 0 to 1."""

    answers: int
    accuracy: float
    unreadable: float
    """No JSON object with a label."""


def score(said: Sequence[Said]) -> Score:
    """How often they are right. Raises ZeroDivisionError for none."""
    right = sum(each.is_right for each in said)
    unreadable = sum(each.label is None for each in said)
    return Score(len(said), right / len(said), unreadable / len(said))


def majority(learned: Sequence[Item], judged: Sequence[Item]) -> tuple[str, float]:
    """The commonest label of what was learned from, and how often it is right elsewhere."""
    label = Counter(item.labels[0] for item in learned).most_common(1)[0][0]
    return label, sum(label in item.labels for item in judged) / len(judged)


def new_texts(learned: Sequence[Item], said: Sequence[Said]) -> list[Said]:
    """The answers about texts that, case and edges aside, stand nowhere in what was learned from."""
    known = {item.text.strip().casefold() for item in learned}
    return [each for each in said if each.item.text.strip().casefold() not in known]


def agreement(one: Sequence[Said], other: Sequence[Said]) -> float:
    """How often two say the same of the same items."""
    same = sum(mine.label == theirs.label for mine, theirs in zip(one, other, strict=True))
    return same / len(one)
