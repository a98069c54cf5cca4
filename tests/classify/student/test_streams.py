"""The guarantee over whole streams: a small share of what `make test-guarantee` shows (`test_streams_whole.py`)."""

from functools import cache

import pytest

from tailrace.classify.student.drift import Drift
from tailrace.classify.student.features import Features
from tailrace.records import StudentState as State
from tests.classify.student.labelled import airline_sample
from tests.classify.student.streams import Terms, Turns, run

LOOKS = (120, 180, 270)


@cache
def turns() -> Turns:
    return Turns.of(airline_sample(), Features(bits=15))


@pytest.mark.timeout(120)
def test_what_a_live_student_answers_keeps_the_promise() -> None:
    told = list(run(turns(), Terms(0.85, looks=LOOKS), range(6)))
    live = [each for each in told if each.answered]
    assert len(live) >= 3
    assert sum(each.agreed < 0.85 * each.answered for each in live) <= 1
    assert all(each.calls < each.turns for each in live)


def test_without_enough_audits_it_stays_in_shadow_and_says_how_many_are_missing() -> None:
    (told,) = run(turns(), Terms(0.98, looks=(120,)), [0])
    assert told.state is State.SHADOW
    assert told.answered == 0
    assert "audits are missing" in told.reasons[-1][1]


def test_a_noisy_model_makes_a_high_target_refused_with_the_explanation() -> None:
    for told in run(turns(), Terms(0.97, noise=0.05, looks=(330,)), range(3)):
        assert told.state is State.REFUSED
        assert told.answered == 0
        assert "√s" in told.reasons[-1][1]
        assert "out of any student's reach" in told.reasons[-1][1]


def test_two_labels_that_change_places_take_the_student_off_in_time() -> None:
    terms = Terms(0.85, looks=(200,), live_share=1.0, swap=("contentonly", "confirmation"), swap_at=220)
    stated = Drift(0.85).audits_until_seen(0.4)
    assert stated is not None
    told = [each for each in run(turns(), terms, range(4)) if each.answered]
    assert len(told) >= 2
    for each in told:
        assert each.state is State.DEMOTED
        assert each.demoted_after is not None
        assert each.demoted_after <= stated
