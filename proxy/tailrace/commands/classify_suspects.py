"""Stored labels that something contradicts: the rules, a near-duplicate, or a student that never saw the turn."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tailrace.classify.near import Near
from tailrace.classify.ready import Ready
from tailrace.classify.turn import Subject
from tailrace.records import Label

_FEWEST: Final = 60
"""Labels that a student needs to say anything of."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A turn with the label that counts."""

    completion: UUID
    chain: bytes
    subject: Subject
    label: Label

    @property
    def words(self) -> str:
        """The label."""
        return str(self.label.label)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label, and what speaks against it."""

    completion: UUID
    label: str
    source: str
    by: str  # rules, neighbour or student
    instead: str
    doubt: float  # 0 to 1, by which they are put in order
    text: str


def suspects(ready: Ready, stored: Sequence[Stored], most: int) -> list[Suspect]:
    """The most doubtful ones first; of several that speak against a label the strongest."""
    found: dict[UUID, Suspect] = {}
    for suspect in (*_by_rules(ready, stored), *_by_neighbours(stored), *_by_student(ready, stored)):
        known = found.get(suspect.completion)
        if known is None or suspect.doubt > known.doubt:
            found[suspect.completion] = suspect
    return sorted(found.values(), key=lambda one: -one.doubt)[:most]


def _by_rules(ready: Ready, stored: Sequence[Stored]) -> list[Suspect]:
    found = []
    for one in stored:
        vote = ready.rules.vote(one.subject.text, before=one.subject.before)
        if vote.label is not None and vote.label != one.words and not vote.conflict:
            found.append(_suspect(one, "rules", vote.label, 0.5))
    return found


def _by_neighbours(stored: Sequence[Stored]) -> list[Suspect]:
    near, found = Near(), []
    by_key = {str(one.completion): one for one in stored}
    for one in stored:
        other = near.find(one.subject)
        if other is not None and str(other.value) != one.words:
            found.append(_suspect(one, "neighbour", str(other.value), other.alike * 0.9))
            found.append(_suspect(by_key[other.key], "neighbour", one.words, other.alike * 0.8))
        near.add(one.subject, str(one.completion), one.words)
    return found


def _by_student(ready: Ready, stored: Sequence[Stored]) -> list[Suspect]:
    """Confident learning (Northcutt, Jiang and Chuang 2021): another label is as probable as it is, on average, where
    it stands; probabilities are of a student that saw none of the turn's chain."""
    labels = [*ready.settings.definitions()]
    items = [one for one in stored if one.words in labels]
    if len(items) < _FEWEST or len({one.words for one in items}) < 2:
        return []
    import numpy as np  # noqa: PLC0415 - it is heavy, and few reports come here

    from tailrace.classify.student.features import Features  # noqa: PLC0415 - as above
    from tailrace.classify.student.fit import Fit, Item, train  # noqa: PLC0415 - as above

    fit = Fit()
    items = items[-fit.most_items :]
    rows = train([Item(one.subject, (one.words,), one.chain) for one in items], labels, Features(), fit)
    scores = np.asarray(rows.out_of_fold, np.float64)
    if scores.shape != (len(items), len(labels)):
        return []
    shares = 1 / (1 + np.exp(-scores))
    shares /= shares.sum(axis=1, keepdims=True)
    of_label: dict[int, list[float]] = defaultdict(list)
    for row, one in enumerate(items):
        if not np.isnan(shares[row]).any():
            of_label[labels.index(one.words)].append(float(shares[row, labels.index(one.words)]))
    usual = {column: sum(each) / len(each) for column, each in of_label.items()}
    found = []
    for row, one in enumerate(items):
        if np.isnan(shares[row]).any():
            continue
        best = int(shares[row].argmax())
        if labels[best] != one.words and shares[row, best] >= usual.get(best, 2.0):
            doubt = float(shares[row, best] - shares[row, labels.index(one.words)])
            found.append(_suspect(one, "student", labels[best], doubt))
    return found


def _suspect(one: Stored, by: str, instead: str, doubt: float) -> Suspect:
    return Suspect(one.completion, one.words, one.label.source, by, instead, doubt, one.subject.text)
