"""The running test: rare false alarms, and drift seen within the stated number of audits."""

import numpy as np

from tailrace.classify.student.drift import Drift


def run_length(drift: Drift, errors: float, dice: np.random.Generator, most: int) -> int:
    for _ in range(most):
        drift = drift.after(bool(dice.random() >= errors))
        if drift.alarmed:
            return drift.audits
    return most


def test_false_alarms_are_as_rare_as_stated() -> None:
    dice = np.random.default_rng(3)
    # Just at the promise, the worst there is without breaking it; cut at 4,000, which makes the mean smaller.
    runs = [run_length(Drift(0.9, false_alarm=1 / 200), 0.1, dice, 4_000) for _ in range(60)]
    assert sum(runs) / len(runs) >= 200


def test_drift_is_seen_in_time() -> None:
    dice = np.random.default_rng(4)
    for target, errors in ((0.9, 0.5), (0.95, 0.3)):
        stated = Drift(target).audits_until_seen(errors)
        assert stated is not None
        in_time = sum(run_length(Drift(target), errors, dice, 500) <= stated for _ in range(400))
        assert in_time >= 0.93 * 400


def test_a_long_good_time_before_delays_nothing() -> None:
    fresh, old = Drift(0.9), Drift(0.9).after_all([True] * 1_000)
    lasts = [len([1 for n in range(1, 30) if not each.after_all([False] * n).alarmed]) for each in (fresh, old)]
    assert lasts[0] == lasts[1] < 10


def test_what_is_hardly_worse_than_promised_is_not_claimed_to_be_seen() -> None:
    assert Drift(0.9).audits_until_seen(0.1) is None


def test_an_alarm_stays_and_says_why() -> None:
    alarmed = Drift(0.9).after_all([False] * 20 + [True] * 50)
    assert alarmed.alarmed
    assert "90.0%" in alarmed.reason
    assert "2,000 audits" in alarmed.reason
