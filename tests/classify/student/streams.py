"""Streams of conversations through a student, as the labeller would run it. Pure modules only: no process, no store.

A stream is the chains of a data set in a seeded order. While the student is in shadow the model labels every turn; when
it is live the model labels what the student does not answer, and the audits. Turns of audited chains never train: not
only the audited one, since turns of one chain are alike.
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
    is_worth_asking_again,
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
    advance,
)
from tailrace.records import StudentState as State

Ints = npt.NDArray[np.int64]
LOOKS: Final = (240, 360, 540, 810, 1_215, 1_820)
"""After so many chains a student is trained and judged; each half as many again."""


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
    """How a stream is run. `noise`: the model errs so often, afresh each time. `swap_at`: two labels change places."""

    target: float
    shadow_share: float = 0.7
    live_share: float = 0.25
    noise: float = 0.0
    swap: tuple[str, str] | None = None
    swap_at: int = 0
    spare_errors: int = 3
    looks: tuple[int, ...] = LOOKS
    fit: Fit = field(default_factory=Fit)


@dataclass(slots=True)
class Told:
    """What came out of a stream."""

    turns: int = 0
    calls: int = 0
    answered: int = 0
    agreed: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    demoted_after: int | None = None  # audits of answered turns since the swap
    state: State = State.OFF


class Stream:
    """One stream."""

    def __init__(self, turns: Turns, terms: Terms, seed: int) -> None:
        self.turns, self.terms = turns, terms
        self.dice = np.random.default_rng(seed)
        self.standing = advance(Standing(), Enabled("v1"), target=terms.target)
        self.promise = Promise(terms.target, spare_errors=terms.spare_errors)
        self.told = Told()
        self.assigned = np.full(len(turns.gold), -1)  # the label that went out
        self.before = np.full(len(turns.gold), len(turns.labels))  # the label before, as it stood then
        self.train: list[Ints] = []
        self.taught: list[Ints] = []
        self.audits: list[tuple[int, int]] = []  # of this epoch: turn, the model's label
        self.unlabelled: list[Ints] = []  # turns of audited chains of this epoch
        self.consistency = Consistency(0, 0)
        self.newest: Rows | None = None
        self.live: Rows | None = None
        self.since_swap = 0

    def run(self) -> Told:
        """All chains, block by block."""
        order = self.dice.permutation(len(self.turns.chains))
        begin = 0
        marks = [look for look in self.terms.looks if look < len(order)]
        cuts = sorted({*marks, *range(0, len(order), 40), self.terms.swap_at if self.terms.swap else 0, len(order)})
        for end in cuts[1:]:
            self.block([self.turns.chains[n] for n in order[begin:end]], begin)
            begin = end
            if end in marks:
                self.look(end)
        self.told.state = self.standing.state
        return self.told

    def teacher(self, rows: Ints, begin: int) -> Ints:
        """A fresh draw of the model's labels."""
        said, labels = self.turns.gold[rows].copy(), self.turns.labels
        if self.terms.swap and begin >= self.terms.swap_at:
            one, other = (labels.index(label) for label in self.terms.swap)
            first, second = said == one, said == other
            said[first], said[second] = other, one
        wrong = self.dice.random(len(rows)) < self.terms.noise
        said[wrong] = (said[wrong] + self.dice.integers(1, len(labels), wrong.sum())) % len(labels)
        return np.asarray(said)

    def block(self, chains: list[Ints], begin: int) -> None:
        """Some chains: each turn position of all of them at once, since a turn's features hold the label before it."""
        share = self.terms.live_share if self.live is not None else self.terms.shadow_share
        drawn = self.dice.random(len(chains)) < share
        answered = np.zeros(len(self.turns.gold), bool)
        said = np.full(len(self.turns.gold), -1)
        for position in range(max(map(len, chains))):
            rows = np.array([chain[position] for chain in chains if len(chain) > position])
            if position:
                self.before[rows] = self.assigned[rows - 1]
            said[rows] = self.teacher(rows, begin)
            self.assigned[rows] = said[rows]
            if self.live is not None:
                self.answer(rows, answered)
        every = np.concatenate(chains)
        out = every[answered[every]]
        self.told.turns += len(every)
        self.told.calls += len(every) - len(out)
        self.told.answered += len(out)
        self.told.agreed += int((self.assigned[out] == said[out]).sum())
        for chain, is_audited in zip(chains, drawn, strict=True):
            if is_audited:
                self.audit(chain, said, answered, begin)
            else:
                kept = chain[~answered[chain]]
                self.train.append(kept)
                self.taught.append(said[kept])

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

    def audit(self, chain: Ints, said: Ints, answered: npt.NDArray[np.bool_], begin: int) -> None:
        """One random turn of a chain."""
        row = int(self.dice.choice(chain))
        self.told.calls += int(answered[row])
        if is_worth_asking_again(self.promise, self.consistency):
            self.told.calls += 1
            again = self.teacher(np.array([row]), begin)[0] == said[row]
            self.consistency = Consistency(self.consistency.same + int(again), self.consistency.asked + 1)
        self.audits.append((row, int(said[row])))
        self.unlabelled.append(chain)
        if answered[row] and self.live is not None:
            self.since_swap += bool(self.terms.swap) and begin >= self.terms.swap_at
            self.step(Audited((bool(self.assigned[row] == said[row]),)))
            if self.standing.state is State.DEMOTED:
                self.told.demoted_after = self.since_swap
                self.live, self.audits, self.unlabelled = None, [], []
                self.train, self.taught = self.train[-200:], self.taught[-200:]

    def look(self, chains: int) -> None:
        """Trains, and judges by the audits."""
        if reason := out_of_reach(self.promise, self.consistency):
            self.step(Unreachable(reason))
            self.live = None
        if self.standing.state is State.REFUSED or not self.audits:
            return
        rows, taught = np.concatenate(self.train), np.concatenate(self.taught)
        y = taught[:, None] == np.arange(len(self.turns.labels))
        weights, bias = learn(self.design(rows), y, self.terms.fit, start=self.newest)
        self.newest = Rows(self.turns.labels, weights, bias)
        self.step(Fitted(chains, len(rows)))
        audited = np.array([row for row, _ in self.audits])
        labels, sure = self.scored(self.newest, audited)
        audits = [
            Audit(self.turns.labels[label], float(confidence), bool(label == model))
            for label, confidence, (_, model) in zip(labels, sure, self.audits, strict=True)
        ]
        points = grid(map(float, self.scored(self.newest, np.concatenate(self.unlabelled))[1]), self.promise.step)
        self.step(Judged(judge(audits, points, self.promise, self.standing.looks + 1)))
        if self.standing.state is State.LIVE and self.standing.released == chains:
            self.live = self.newest

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
