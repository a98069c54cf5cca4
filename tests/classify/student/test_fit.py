"""Training: deterministic, bounded, able to go on, better than the most frequent label."""

import numpy as np
import pytest

from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Fit, Item, Rows, design, out_of_fold, sparse, train
from tailrace.classify.turn import Subject
from tests.classify.student.labelled import airline_sample

FEATURES = Features(bits=14)


def items(chains: int, skip: int = 0) -> list[Item]:
    found = []
    for n, chain in enumerate(airline_sample()[skip : skip + chains]):
        before = None
        for text, label in chain:
            found.append(Item(Subject(text, previous=before), (label,), b"%d" % (n + skip)))
            before = label
    return found


LABELS = sorted({label for item in items(400) for label in item.labels})


def accuracy(rows: Rows, judged: list[Item]) -> float:
    x = sparse([FEATURES.of(item.subject) for item in judged], FEATURES.rows)
    best = (x @ rows.weights + rows.bias).argmax(axis=1)
    right = sum(rows.labels[n] == item.labels[0] for n, item in zip(best, judged, strict=True))
    return float(right / len(judged))


def test_the_same_data_and_seed_are_the_same_rows_and_another_seed_is_not() -> None:
    one, same = (train(items(40), LABELS, FEATURES) for _ in range(2))
    assert (one.weights == same.weights).all()
    assert one.temperature == same.temperature
    assert (train(items(40), LABELS, FEATURES, Fit(seed=1)).weights != one.weights).any()


def test_it_learns_and_goes_on_from_where_it_was() -> None:
    first = train(items(30), LABELS, FEATURES)
    more = train(items(60), LABELS, FEATURES, start=first)
    judged = items(50, skip=300)
    assert accuracy(first, judged) > 0.75
    assert accuracy(more, judged) >= accuracy(first, judged)
    assert accuracy(more, judged) == pytest.approx(accuracy(train(items(60), LABELS, FEATURES), judged), abs=0.03)


def test_a_label_without_an_example_never_wins() -> None:
    rows = train(items(20), [*LABELS, "none"], FEATURES)
    assert rows.bias[-1] == -10
    assert accuracy(rows, items(20)) > 0.9


def test_only_the_newest_items_are_learned() -> None:
    fit = Fit(most_items=50)
    assert design(items(40), LABELS, FEATURES, fit).x.shape[0] == 50
    assert (
        train(items(40), LABELS, FEATURES, fit).weights == train(items(40)[-50:], LABELS, FEATURES, fit).weights
    ).all()


def test_a_label_that_is_none_of_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="is not one of the labels"):
        train(items(5), ["confirmation"], FEATURES)


def test_no_item_is_judged_by_a_student_that_saw_its_chain() -> None:
    """A word that only one chain has, its label too: out of fold nobody can know it."""
    told = items(40) + [Item(Subject("xyzzy"), ("outofdomain",), b"odd") for _ in range(20)]
    held = out_of_fold(design(told, LABELS, FEATURES, Fit()), Fit())
    assert not np.isnan(held).any()
    within = train(told, LABELS, FEATURES)
    odd = LABELS.index("outofdomain")
    x = sparse([FEATURES.of(told[-1].subject)], FEATURES.rows)
    assert (x @ within.weights + within.bias)[0].argmax() == odd
    assert not (held[-20:].argmax(axis=1) == odd).any()


def test_balance_lifts_a_rare_label() -> None:
    told, judged = items(50), items(200, skip=200)
    rare = [item for item in judged if item.labels[0] == "outofdomain"]
    plain, balanced = (train(told, LABELS, FEATURES, Fit(balance=balance)) for balance in (0.0, 1.0))
    assert accuracy(balanced, rare) > accuracy(plain, rare)
