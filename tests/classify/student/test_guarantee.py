"""The guarantee: what audits prove, and what they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.student.binomial import at_most, lower, needed, proves, upper
from tailrace.classify.student.guarantee import (
    Audit,
    Consistency,
    Infeasible,
    Point,
    Promise,
    Release,
    grid,
    judge,
    out_of_reach,
)

PROMISE = Promise(0.95)


def audits(*groups: tuple[int, int, float], label: str = "a") -> list[Audit]:
    """Of (right, wrong, confidence)."""
    return [
        Audit(label, confidence, agreed)
        for right, wrong, confidence in groups
        for agreed in [True] * right + [False] * wrong
    ]


def test_the_known_numbers_of_audits() -> None:
    assert needed(0.95, 1.0, 0.05) == 59
    assert needed(0.95, 0.97, 0.05) == 311
    assert needed(0.95, 0.96, 0.05) == 1_237
    assert needed(0.95, 0.95, 0.05) is None
    assert needed(0.95, 0.9505, 0.05) is None  # more than anybody makes


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    # As R says of 90 in 100, one-sided at 95 %.
    assert lower(90, 100, 0.05) == pytest.approx(0.8362824, abs=1e-6)
    assert upper(90, 100, 0.05) == pytest.approx(0.9447367, abs=1e-6)
    assert (lower(0, 10, 0.05), upper(10, 10, 0.05)) == (0, 1)
    assert (lower(0, 0, 0.05), upper(0, 0, 0.05)) == (0, 1)


@given(st.integers(1, 300), st.data(), st.floats(0.01, 0.99))
def test_the_tail_is_the_sum_of_its_terms(items: int, data: st.DataObject, share: float) -> None:
    from math import comb, fsum  # noqa: PLC0415

    errors = data.draw(st.integers(0, items))
    terms = [comb(items, k) * share**k * (1 - share) ** (items - k) for k in range(errors + 1)]
    assert at_most(errors, items, share) == pytest.approx(min(fsum(terms), 1.0), rel=1e-6, abs=1e-12)


def test_the_level_is_kept_by_simulation() -> None:
    dice = np.random.default_rng(1)
    wrongly = sum(proves(int(dice.binomial(200, 0.95)), 200, 0.95, 0.05) for _ in range(4_000))
    assert wrongly / 4_000 <= 0.062  # 0.05 and 3.5 standard deviations


def test_the_grid_is_fixed_by_coverage_and_ties_are_one_point() -> None:
    points = grid([n / 100 for n in range(100)])
    assert [round(point.coverage, 2) for point in points[:3]] == [0.05, 0.1, 0.15]
    assert points[0].threshold == 0.95
    assert points[-1] == Point(1.0, 0.0)
    assert grid([0.5] * 100) == [Point(1.0, 0.5)]
    assert grid([]) == []


def test_tests_begin_with_enough_audits_and_end_at_the_first_failure() -> None:
    points = [Point(0.05, 0.95), Point(0.5, 0.9), Point(0.6, 0.8), Point(0.7, 0.7), Point(1.0, 0.1)]
    # The surest 5 % hold an error in two audits: too few to be tested. The last would pass again, and is not reached.
    found = judge(audits((1, 1, 0.96), (250, 1, 0.9), (50, 0, 0.8), (10, 30, 0.7), (5_000, 0, 0.1)), points, PROMISE, 1)
    assert isinstance(found, Release)
    assert (found.coverage, found.threshold, found.audits) == (0.6, 0.8, 303)
    assert found.bound >= 0.95
    assert "60%" in found.reason


def test_looks_spend_alpha_and_never_more_than_all_of_it() -> None:
    assert sum(PROMISE.alpha_at(look) for look in range(1, 10_000)) <= 0.05
    assert PROMISE.n_min(2) > PROMISE.n_min(1)
    spare = PROMISE.spare_errors
    points, just = [Point(1.0, 0.5)], audits((PROMISE.n_min(1) - spare, spare, 0.5))
    assert isinstance(judge(just, points, PROMISE, 1), Release)
    assert isinstance(judge(just, points, PROMISE, 2), Infeasible)


def test_what_is_missing_is_said() -> None:
    points = [Point(1.0, 0.5)]
    few = judge(audits((20, 0, 0.5)), points, PROMISE, 1)
    assert few == Infeasible(f"20 audits of at least {PROMISE.n_min()}", PROMISE.n_min() - 20)
    close = judge(audits((291, 9, 0.5)), points, PROMISE, 1)
    assert isinstance(close, Infeasible)
    assert close.missing == (needed(0.95, 0.97, 0.025) or 0) - 300
    poor = judge(audits((225, 75, 0.5)), points, PROMISE, 1)
    assert isinstance(poor, Infeasible)
    assert poor.missing is None
    assert "better student" in poor.reason


def test_a_class_proven_below_its_floor_is_withheld_and_a_rare_one_is_not() -> None:
    held = audits((1_000, 5, 0.9)) + audits((20, 20, 0.9), label="b") + audits((1, 3, 0.9), label="c")
    found = judge(held, [Point(1.0, 0.5)], PROMISE, 1)
    assert isinstance(found, Release)
    assert found.withheld == ("b",)


def test_a_target_above_the_root_of_self_consistency_is_refused() -> None:
    noisy = Consistency(905, 1_000)
    said = out_of_reach(Promise(0.97), noisy)
    assert said is not None
    assert "√s = 95.1%" in said
    assert out_of_reach(Promise(0.95), noisy) is None
    assert out_of_reach(Promise(0.97), Consistency(0, 0)) is None
