"""Calibration, on probabilities whose right answers are known."""

from collections.abc import Sequence
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.calibration import (
    Isotonic,
    Judged,
    Temperature,
    Unchanged,
    area_under_roc,
    calibrate,
    expected_calibration_error,
    isotonic,
    reliability,
    temperature,
)

JUDGED = st.lists(st.tuples(st.none() | st.floats(0, 1), st.booleans()), max_size=60)


def sharpened(items: int, sharpness: float, seed: int) -> Sequence[Judged]:
    """Right as often as said, before each logit was multiplied by `sharpness`."""
    dice = np.random.default_rng(seed)
    true = dice.beta(5, 2, items)
    return [
        (1 / (1 + exp(-sharpness * log(p / (1 - p)))), bool(right))
        for p, right in zip(map(float, true), dice.random(items) < true, strict=True)
    ]


def test_ece_of_known_gaps() -> None:
    # 10 items at .9, of which 7 right: a gap of .2; 30 at .6, of which 18: none. By items: .2 × 10 / 40.
    judged: list[Judged] = [*((0.9, n < 7) for n in range(10)), *((0.6, n < 18) for n in range(30))]
    assert expected_calibration_error(judged) == pytest.approx(0.05)
    curve = reliability(judged)
    assert [(each.items, round(each.confidence, 3), each.right) for each in curve] == [(30, 0.6, 0.6), (10, 0.9, 0.7)]
    assert expected_calibration_error([(1.0, True), (0.0, False)]) == 0
    assert expected_calibration_error([(1.0, False)]) == 1


def test_ece_of_calibrated_probabilities_goes_to_zero_and_of_sharpened_ones_does_not() -> None:
    assert (expected_calibration_error(sharpened(40_000, 1, 0)) or 1) < 0.01
    assert (expected_calibration_error(sharpened(40_000, 3, 0)) or 0) > 0.1


def test_auroc_of_known_orders() -> None:
    assert area_under_roc([(0.9, True), (0.8, True), (0.3, False)]) == 1
    assert area_under_roc([(0.1, True), (0.8, False)]) == 0
    assert area_under_roc([(0.5, True), (0.5, False), (0.5, True)]) == 0.5
    # Of the 6 pairs (right, wrong) four are in order and one is a tie.
    assert area_under_roc([(0.9, True), (0.7, False), (0.7, True), (0.6, True), (0.2, False)]) == pytest.approx(4.5 / 6)


def test_auroc_of_two_normals() -> None:
    """Means one standard deviation apart: Φ(1/√2) = .7602."""
    dice = np.random.default_rng(5)
    scores = [(float(dice.normal()), False) for _ in range(20_000)] + [
        (float(dice.normal(1)), True) for _ in range(20_000)
    ]
    assert area_under_roc(scores) == pytest.approx(0.7602, abs=0.01)


def test_auroc_is_undefined_where_all_agree() -> None:
    assert area_under_roc([(0.9, True), (0.2, True)]) is None
    assert area_under_roc([(0.9, False)]) is None
    assert area_under_roc([]) is None


def test_what_is_missing_stays_missing_and_counts_for_nothing() -> None:
    judged: list[Judged] = [(0.9, n < 7) for n in range(10)]
    missing: list[Judged] = [(None, False)] * 50
    assert expected_calibration_error(judged + missing) == expected_calibration_error(judged)
    assert area_under_roc([*judged, (0.2, False), *missing]) == area_under_roc([*judged, (0.2, False)])
    assert expected_calibration_error(missing) is None
    assert area_under_roc(missing) is None
    for calibration in (Unchanged(), Temperature(2.0), isotonic(judged)):
        assert calibration(None) is None
    assert calibrate(missing * 100) == Unchanged()


def test_the_temperature_is_the_one_that_was_laid_on() -> None:
    assert temperature(sharpened(20_000, 3, 1)).value == pytest.approx(3, rel=0.05)
    assert temperature(sharpened(20_000, 0.5, 2)).value == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("items", [200, 2_000])
def test_calibration_lowers_ece_on_what_it_did_not_see(items: int) -> None:
    learned, held = calibrate(sharpened(items, 3, 3)), sharpened(5_000, 3, 4)
    assert isinstance(learned, Temperature if items < 1_000 else Isotonic)
    after = expected_calibration_error([(learned(confidence), right) for confidence, right in held])
    before = expected_calibration_error(held)
    assert after is not None
    assert before is not None
    assert after < before / 2


def test_with_few_items_nothing_is_changed() -> None:
    assert calibrate(sharpened(99, 3, 5)) == Unchanged()
    assert Unchanged()(0.7) == 0.7


def test_temperature_of_one_changes_nothing() -> None:
    for share in (0.01, 0.3, 0.99):
        assert Temperature(1.0)(share) == pytest.approx(share)


@given(JUDGED.filter(lambda judged: any(confidence is not None for confidence, _ in judged)))
def test_the_isotonic_curve_rises_and_keeps_the_mean(judged: list[Judged]) -> None:
    curve = isotonic(judged)
    assert list(curve.at) == sorted(curve.at)
    assert all(low <= high + 1e-9 for low, high in zip(curve.to, curve.to[1:], strict=False))
    assert all(0 <= value <= 1 for value in (curve(n / 20) for n in range(21)) if value is not None)


@given(JUDGED)
def test_bounds(judged: list[Judged]) -> None:
    error, area = expected_calibration_error(judged), area_under_roc(judged)
    assert error is None or 0 <= error <= 1
    assert area is None or 0 <= area <= 1
