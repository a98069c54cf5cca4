"""Training: one-vs-rest logistic regression over hashed features, by averaged stochastic gradient. For the labeller.

Pure given items and seed: the same rows come out. Memory is bounded by `Fit.most_items` and by the features that occur
(columns that no item has are never made). Warm start: the rows of an earlier student are where the descent begins, so
that a refit on a few more labels takes a third of the passes.

Temperature comes out of fold, from items that were not trained on, groups kept whole: the turns of one chain are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

from tailrace.classify.calibration import fit_temperature
from tailrace.classify.student.features import Features, Indices, Values
from tailrace.classify.student.scores import confidences
from tailrace.classify.turn import Subject

Scores = npt.NDArray[np.float32]

_STEPS: Final = 60_000  # item visits at least: with few items, more passes
_FEWEST_FOR_FOLDS: Final = 40


@dataclass(frozen=True, slots=True)
class Item:
    """What is learned from: a turn, its labels (one, but for a multi-label task), and the chain it belongs to."""

    subject: Subject
    labels: tuple[str, ...]
    chain: bytes = b""


@dataclass(frozen=True, slots=True)
class Fit:
    """How to train. `balance` weights classes by frequency^-balance: 0 not at all (agreement counts), 1 all alike."""

    strength: float = 6.0  # C of logistic regression: larger trusts the labels more
    passes: int = 6
    balance: float = 0.0
    folds: int = 3
    most_items: int = 50_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Trained: a row of scores for each hashed feature, and the score of each label by itself."""

    labels: tuple[str, ...]
    weights: Scores  # features.rows × labels
    bias: Scores
    temperature: float = 1.0
    multilabel: bool = False
    out_of_fold: Scores = field(default_factory=lambda: np.empty((0, 0), np.float32))  # items × labels; NaN: not judged


@dataclass(frozen=True, slots=True)
class Design:
    """Items as a sparse matrix over all rows, ready to be cut."""

    x: Any  # csr_matrix, items × features.rows
    y: npt.NDArray[np.bool_]  # items × labels
    folds: npt.NDArray[np.int64]


def design(items: Sequence[Item], labels: Sequence[str], features: Features, fit: Fit) -> Design:
    """The newest `most_items` items as numbers. A label that is not among `labels` raises ValueError."""
    items = items[-fit.most_items :]
    order = {label: n for n, label in enumerate(labels)}
    y = np.zeros((len(items), len(labels)), bool)
    for row, item in enumerate(items):
        for label in item.labels:
            if label not in order:
                raise ValueError(f"{label!r} is not one of the labels")
            y[row, order[label]] = True
    x = sparse([features.of(item.subject) for item in items], features.rows)
    folds = np.array([_fold(item.chain or b"%d" % n, fit) for n, item in enumerate(items)], np.int64)
    return Design(x, y, folds)


def sparse(rows: Sequence[tuple[Indices, Values]], width: int) -> Any:
    """Turns as a csr_matrix."""
    ends = np.cumsum([0, *(len(indices) for indices, _ in rows)])
    empty: tuple[list[Indices], list[Values]] = ([np.empty(0, np.int64)], [np.empty(0, np.float32)])
    indices = np.concatenate([each for each, _ in rows] or empty[0])
    values = np.concatenate([each for _, each in rows] or empty[1])
    return csr_matrix((values, indices, ends), shape=(len(rows), width))


def train(
    items: Sequence[Item],
    labels: Sequence[str],
    features: Features,
    fit: Fit = Fit(),
    *,
    multilabel: bool = False,
    start: Rows | None = None,
) -> Rows:
    """A student of `items`. Labels nobody gave keep a score that never wins."""
    made = design(items, labels, features, fit)
    rows = learn(made.x, made.y, fit, start=start)
    held = out_of_fold(made, fit) if len(made.folds) >= _FEWEST_FOR_FOLDS else np.empty((0, len(labels)), np.float32)
    return Rows(tuple(labels), rows[0], rows[1], _temperature(held, made.y, multilabel), multilabel, held)


def out_of_fold(made: Design, fit: Fit) -> Scores:
    """Each item's scores by a student that saw none of its chain."""
    scores = np.full(made.y.shape, np.nan, np.float32)
    for fold in range(fit.folds):
        held = made.folds == fold
        if held.any() and not held.all():
            weights, bias = learn(made.x[~held], made.y[~held], fit)
            scores[held] = made.x[held] @ weights + bias
    return scores


def learn(x: Any, y: npt.NDArray[np.bool_], fit: Fit, *, start: Rows | None = None) -> tuple[Scores, Scores]:
    """Weights (features × labels) and bias of a one-vs-rest logistic regression."""
    occurring = np.unique(x.indices)
    inner = csr_matrix((x.data, np.searchsorted(occurring, x.indices), x.indptr), shape=(x.shape[0], len(occurring)))
    weights = np.zeros((x.shape[1], y.shape[1]), np.float32)
    bias = np.full(y.shape[1], -10.0, np.float32)  # a label without an example
    for column in range(y.shape[1]):
        target = y[:, column]
        if target.all() or not target.any():
            bias[column] = 10.0 if len(target) and target.all() else -10.0
            continue
        coef, bias[column] = _one(inner, target, fit, _begin(start, occurring, column) if start else None)
        weights[occurring, column] = coef
    return weights, bias


def _begin(start: Rows, occurring: Indices, column: int) -> tuple[Scores, float]:
    return start.weights[occurring, column], float(start.bias[column])


def _one(x: Any, target: npt.NDArray[np.bool_], fit: Fit, start: tuple[Scores, float] | None) -> tuple[Scores, float]:
    """One label against the rest."""
    items = len(target)
    passes = max(fit.passes, min(100, -(-_STEPS // items)))
    model = SGDClassifier(
        loss="log_loss",
        alpha=1 / (fit.strength * items),
        max_iter=max(2, passes // 3) if start else passes,
        tol=None,
        average=items,  # the first pass is far from anything worth averaging
        random_state=fit.seed,
        class_weight=_weights(target, fit.balance),
    )
    if start:
        model.fit(x, target, coef_init=start[0].reshape(1, -1).astype(np.float64), intercept_init=[float(start[1])])
    else:
        model.fit(x, target)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def _weights(target: npt.NDArray[np.bool_], balance: float) -> dict[bool, float] | None:
    """Weights that favour the rarer side; None where nothing is favoured."""
    if not balance:
        return None
    share = float(target.mean())
    return {True: (0.5 / share) ** balance, False: (0.5 / (1 - share)) ** balance}


def _fold(chain: bytes, fit: Fit) -> int:
    return int.from_bytes(blake2b(chain, digest_size=4, salt=fit.seed.to_bytes(8, "big")).digest(), "big") % fit.folds


def _temperature(held: Scores, y: npt.NDArray[np.bool_], multilabel: bool) -> float:
    """What makes the confidences of held-out items as high as they are right."""
    judged = ~np.isnan(held).any(axis=1) if held.size else np.zeros(0, bool)
    if judged.sum() < _FEWEST_FOR_FOLDS:
        return 1.0
    scores, truth = held[judged], y[judged]
    return fit_temperature(lambda t: _loss(scores, truth, t, multilabel)).value


def _loss(scores: Scores, truth: npt.NDArray[np.bool_], temperature: float, multilabel: bool) -> float:
    """Mean negative log-likelihood of the truth."""
    share = confidences(scores, temperature, multilabel)
    if multilabel:
        share = np.where(truth, share, 1 - share)
        return float(-np.log(np.clip(share, 1e-12, 1)).sum(axis=1).mean())
    return float(-np.log(np.clip((share * truth).max(axis=1), 1e-12, 1)).mean())
