"""Streams of conversations through a student, as the labeller would run it. Pure modules only: no process, no store.

A stream is the chains of a data set in a seeded order, a look at most every few chains. While the student is in shadow
the model labels every turn; when it is live the model labels what the student does not answer, and the audits. Which
chains judge, when a student is trained and looked at and what a look spends are the product's own terms, imported:
what is measured here is what ships. Of the labeller's work only the temperature is left out: it makes confidences
honest, and hardly changes their order, by which alone thresholds are laid out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Fit, Rows, learn, sparse
from tailrace.classify.student.guarantee import (
    Audit,
    Consistency,
    Promise,
    accepts,
    grid,
    judge,
    out_of_reach,
)
from tailrace.classify.student.scores import confidences
from tailrace.classify.student.states import (
    Audited,
    Enabled,
    Fitted,
    Judged,
    Standing,
    Unreachable,
    Waits,
    advance,
)
from tailrace.classify.student.terms import judges_needed, judging_share, labels_needed
from tailrace.records import StudentState as State
from tailrace.settings_classifiers import Classifier

Ints = npt.NDArray[np.int64]
AUDIT_SHARE: Final = float(Classifier.model_fields["audit_share"].default)
_BLOCK: Final = 20
"""Chains between two questions whether a look is worth it; the labeller asks every two seconds."""


@dataclass(frozen=True, slots=True)
class Turns:
    """A data set, turned to numbers once. `chains` are rows of turns; `before[l]`: the row of label l before."""

    labels: tuple[str, ...]
    features: Features
    x: Any  # csr, turns × rows: text and step
    gold: Ints
    chains: tuple[Ints, ...]
    before: Ints  # by label; the last: no turn before

    @classmethod
    def of(cls, chains: Sequence[Sequence[tuple[str, str]]], features: Features) -> "Turns":
        """Of chains of (text, label)."""
        labels = tuple(sorted({label for chain in chains for _, label in chain}))
        rows, gold, ends = [], [], [0]
        for chain in chains:
            for step, (text, label) in enumerate(chain):
                indices = features.text(text)
                values = np.full(len(indices), 1 / np.sqrt(len(indices)), np.float32)
                told = features.context(None, step)[-1]
                rows.append((np.append(indices, told[0]), np.append(values, np.float32(told[1]))))
                gold.append(labels.index(label))
            ends.append(len(gold))
        before = [features.context(label, 0)[0][0] for label in (*labels, None)]
        return cls(
            labels,
            features,
            sparse(rows, features.rows),
            np.array(gold),
            tuple(np.arange(a, b) for a, b in pairwise(ends)),
            np.array(before),
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What a user sets and what befalls. `noise`: the model errs so often, afresh each time. `swap_at`: after so many
    chains two labels change places."""

    target: float
    audit_share: float = AUDIT_SHARE
    noise: float = 0.0
    swap: tuple[str, str] | None = None
    swap_at: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a chain teaches. `draw`: of its place among the chains, below the share of those that judge or not."""

    draw: float
    rows: Ints
    said: Ints


@dataclass(slots=True)
class Told:
    """What came out of a stream."""

    turns: int = 0
    calls: int = 0
    answered: int = 0
    agreed: int = 0
    looks: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    demoted_after: int | None = None  # audits of answered turns since the swap
    state: State = State.OFF


class Stream:
    """One stream."""

    def __init__(self, turns: Turns, terms: Terms, seed: int) -> None:
        self.turns, self.terms = turns, terms
        self.dice = np.random.default_rng(seed)
        self.standing = advance(Standing(), Enabled("v1"), target=terms.target)
        self.promise = Promise(terms.target)
        self.told = Told()
        self.assigned = np.full(len(turns.gold), -1)  # the label that went out
        self.before = np.full(len(turns.gold), len(turns.labels))  # the label before, as it stood then
        self.lessons: list[Lesson] = []
        self.judges: list[tuple[int, int]] = []  # of this epoch: turn, the model's label
        self.spread: list[Ints] = []  # what the model labelled of the chains that judge
        self.consistency = Consistency(0, 0)
        self.labels_at_last_look = 0
        self.live: Rows | None = None
        self.since_swap = 0

    def run(self) -> Told:
        """All chains, block by block."""
        order = self.dice.permutation(len(self.turns.chains))
        draws = self.dice.random(len(order))
        ends = {*range(_BLOCK, len(order), _BLOCK), len(order)} | ({self.terms.swap_at} if self.terms.swap else set())
        for begin, end in pairwise([0, *sorted(ends)]):
            chains = [self.turns.chains[n] for n in order[begin:end]]
            self.block(chains, draws[begin:end], is_swapped=bool(self.terms.swap) and begin >= self.terms.swap_at)
            self.look(end)
        self.told.state = self.standing.state
        return self.told

    def teacher(self, rows: Ints, *, is_swapped: bool) -> Ints:
        """A fresh draw of the model's labels."""
        said, labels = self.turns.gold[rows].copy(), self.turns.labels
        if self.terms.swap and is_swapped:
            one, other = (labels.index(label) for label in self.terms.swap)
            first, second = said == one, said == other
            said[first], said[second] = other, one
        wrong = self.dice.random(len(rows)) < self.terms.noise
        said[wrong] = (said[wrong] + self.dice.integers(1, len(labels), wrong.sum())) % len(labels)
        return np.asarray(said)

    def block(self, chains: list[Ints], draws: npt.NDArray[np.float64], *, is_swapped: bool) -> None:
        """Some chains: each turn position of all of them at once, since a turn's features hold the label before it."""
        share = judging_share(self.terms.audit_share, in_shadow=self.live is None)
        answered = np.zeros(len(self.turns.gold), bool)
        said = np.full(len(self.turns.gold), -1)
        for position in range(max(map(len, chains))):
            rows = np.array([chain[position] for chain in chains if len(chain) > position])
            if position:
                self.before[rows] = self.assigned[rows - 1]
            said[rows] = self.teacher(rows, is_swapped=is_swapped)
            self.assigned[rows] = said[rows]
            if self.live is not None:
                self.answer(rows, answered)
        every = np.concatenate(chains)
        out = every[answered[every]]
        self.told.turns += len(every)
        self.told.calls += len(every) - len(out)
        self.told.answered += len(out)
        self.told.agreed += int((self.assigned[out] == said[out]).sum())
        for chain, draw in zip(chains, draws, strict=True):
            if draw < self.terms.audit_share:
                self.audit(chain, said, answered, is_swapped=is_swapped)
            kept = chain[~answered[chain]]
            if draw >= share:
                self.lessons.append(Lesson(draw, kept, said[kept]))
                continue
            self.spread.append(kept)
            if draw >= self.terms.audit_share:  # in shadow: what the model said anyway
                row = int(self.dice.choice(chain))
                self.judges.append((row, int(said[row])))

    def answer(self, rows: Ints, answered: npt.NDArray[np.bool_]) -> None:
        """What the live student answers of these turns, and says."""
        assert self.live is not None
        release = self.standing.release
        assert release is not None
        labels, sure = self.scored(self.live, rows)
        for row, label, confidence in zip(rows, labels, sure, strict=True):
            if accepts(self.turns.labels[label], float(confidence), release.threshold, release.withheld):
                answered[row] = True
                self.assigned[row] = label

    def audit(self, chain: Ints, said: Ints, answered: npt.NDArray[np.bool_], *, is_swapped: bool) -> None:
        """The model is asked about one random turn of a chain, once more where it was before."""
        row = int(self.dice.choice(chain))
        again = int(self.teacher(np.array([row]), is_swapped=is_swapped)[0])
        self.told.calls += 1
        self.judges.append((row, again))
        if not answered[row]:
            self.consistency = Consistency(self.consistency.same + int(again == said[row]), self.consistency.asked + 1)
        elif self.live is not None:
            self.since_swap += is_swapped
            self.step(Audited((bool(self.assigned[row] == again),)))
            if self.standing.state is State.DEMOTED:
                self.begin_anew()

    def begin_anew(self) -> None:
        """Demoted: no audit of before judges again, and chains that could have judged in shadow teach no more."""
        self.told.demoted_after = self.since_swap
        share = judging_share(self.terms.audit_share, in_shadow=True)
        self.lessons = [lesson for lesson in self.lessons if lesson.draw >= share]
        self.live, self.judges, self.spread, self.labels_at_last_look = None, [], [], 0

    def look(self, chains: int) -> None:
        """Trains, and judges, if it is worth it."""
        if reason := out_of_reach(self.promise, self.consistency):
            self.step(Unreachable(reason))
            self.live = None
        labels = sum(len(lesson.rows) for lesson in self.lessons)
        needed = labels_needed(self.labels_at_last_look), judges_needed(self.promise, self.standing.looks)
        if self.standing.state is State.REFUSED:
            return
        if labels < needed[0] or len(self.judges) < needed[1]:
            self.step(Waits(labels, needed[0], len(self.judges), needed[1]))
            return
        self.labels_at_last_look = labels
        self.told.looks += 1
        rows = np.concatenate([lesson.rows for lesson in self.lessons])
        taught = np.concatenate([lesson.said for lesson in self.lessons])
        y = taught[:, None] == np.arange(len(self.turns.labels))
        newest = Rows(self.turns.labels, *learn(self.design(rows), y, Fit()))
        self.step(Fitted(chains, len(rows)))
        judged = np.array([row for row, _ in self.judges])
        answers, sure = self.scored(newest, judged)
        audits = [
            Audit(self.turns.labels[label], float(confidence), bool(label == model))
            for label, confidence, (_, model) in zip(answers, sure, self.judges, strict=True)
        ]
        points = grid(map(float, self.scored(newest, np.concatenate(self.spread))[1]), self.promise.step)
        self.step(Judged(judge(audits, points, self.promise, self.standing.looks + 1)))
        if self.standing.state is State.LIVE and self.standing.released == chains:
            self.live = newest

    def step(self, event: Any) -> None:
        """One event of the state machine."""
        before = self.standing.reason
        self.standing = advance(self.standing, event, target=self.terms.target)
        if self.standing.reason != before:
            self.told.reasons.append((self.told.turns, f"{self.standing.state}: {self.standing.reason}"))

    def scored(self, student: Rows, rows: Ints) -> tuple[Ints, npt.NDArray[np.float32]]:
        """The student's label for each turn, and its confidence."""
        scores = self.turns.x[rows] @ student.weights + student.bias
        scores += np.float32(self.turns.features.previous) * student.weights[self.turns.before[self.before[rows]]]
        share = confidences(np.asarray(scores, np.float32))
        return share.argmax(axis=1), share.max(axis=1)

    def design(self, rows: Ints) -> Any:
        """These turns with the label before each."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415

        values = np.full(len(rows), self.turns.features.previous, np.float32)
        before = (values, self.turns.before[self.before[rows]], np.arange(len(rows) + 1))
        return self.turns.x[rows] + csr_matrix(before, shape=(len(rows), self.turns.features.rows))


def run(turns: Turns, terms: Terms, seeds: Sequence[int]) -> Iterator[Told]:
    """A stream a seed."""
    for seed in seeds:
        yield Stream(turns, terms, seed).run()
