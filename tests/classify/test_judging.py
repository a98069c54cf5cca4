"""Agreement, coverage and drift, where the answer is known beforehand."""

import random
from collections import Counter

import pytest

from tailrace.classify.judging import agreements, coverage_curve, distance, drift, kappa, stability


def test_agreement_is_of_the_turns_where_both_spoke() -> None:
    turns = [{"llm": "a", "rule": "a"}, {"llm": "b", "rule": "a"}, {"llm": "a"}, {"human": "b", "llm": "b"}]
    found = {(one.one, one.other): (one.turns, one.agree) for one in agreements(turns)}
    assert found == {("llm", "rule"): (2, 0.5), ("human", "llm"): (1, 1.0)}


def test_kappa_is_what_cohen_has_it_and_nothing_where_chance_agrees_always() -> None:
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)  # the textbook's table
    assert kappa([("a", "a")] * 9) is None
    assert kappa([]) is None


def test_the_coverage_curve_goes_from_the_surest_down_and_ignores_what_has_no_confidence() -> None:
    judged = [(n / 100, n >= 50) for n in range(100)]
    curve = coverage_curve([*judged, (None, False)])
    assert [accuracy for coverage, _, accuracy in curve if coverage <= 0.5] == [1.0] * 10
    assert curve[-1] == (1.0, 0.0, 0.5)
    assert coverage_curve([(None, True)]) == []


def test_distance_and_stability_are_0_for_the_same_and_grow_with_the_difference() -> None:
    same, half = Counter(a=50, b=50), Counter(a=100)
    assert distance(same, Counter(a=5, b=5)) == 0
    assert stability(same, same) == 0
    assert distance(same, half) == 0.5
    assert distance(Counter(a=1), Counter(b=1)) == 1
    assert stability(same, half) > 0.25, "what practice calls a shift"


def test_drift_is_found_and_the_same_labels_are_none() -> None:
    reference = Counter(a=300, b=100)
    (same, other) = drift(reference, {"w2": Counter(a=148, b=52), "w3": Counter(a=100, b=100), "w4": Counter()})
    assert (same.period, same.drifted, other.drifted) == ("w2", False, True)
    assert other.distance == 0.25
    assert other.low < 0.25 < other.high
    assert drift(reference, {"w2": Counter(a=148, b=52)}) == [same], "the seed is fixed"


def test_what_is_drawn_from_one_distribution_seldom_counts_as_drift() -> None:
    dice = random.Random(3)
    alarms = 0
    for _ in range(60):
        one, other = (Counter(dice.choices("abcd", weights=[5, 3, 1, 1], k=size)) for size in (200, 100))
        alarms += drift(one, {"w": other})[0].drifted
    assert alarms <= 8  # 3 are expected; more than 8 have a chance below 1 %
