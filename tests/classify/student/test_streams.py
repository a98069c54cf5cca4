"""The guarantee over whole streams: a small share of what `make test-guarantee` shows (`test_streams_whole.py`)."""

from functools import cache

import pytest

from tailrace.classify.student.drift import Drift
from tailrace.classify.student.features import Features
from tailrace.classify.student.guarantee import Promise
from tailrace.classify.student.terms import judges_needed
from tailrace.records import StudentState as State
from tests.classify.student.labelled import airline_sample
from tests.classify.student.streams import Terms, Turns, run


@cache
def turns() -> Turns:
    return Turns.of(airline_sample(), Features(bits=15))


@pytest.mark.timeout(120)
def test_what_a_live_student_answers_keeps_the_promise() -> None:
    told = list(run(turns(), Terms(0.85), range(6)))
    live = [each for each in told if each.answered]
    assert len(live) >= 3
    assert sum(each.agreed < 0.85 * each.answered for each in live) <= 1
    assert all(each.calls < each.turns for each in live)


def test_without_enough_judged_turns_nothing_is_spent_and_it_says_how_many_there_are() -> None:
    (told,) = run(turns(), Terms(0.98), [0])
    assert (told.state, told.looks, told.answered) == (State.TRAINING, 0, 0)
    judges = int(told.reasons[-1][1].split(" turns to judge")[0].split()[-4])
    assert 200 < judges < judges_needed(Promise(0.98), 0)
    assert f"{judges} of the {judges_needed(Promise(0.98), 0)} turns to judge it by" in told.reasons[-1][1]


def test_a_noisy_model_makes_a_high_target_refused_with_the_explanation() -> None:
    for told in run(turns(), Terms(0.97, noise=0.05, audit_share=1.0), range(3)):
        assert told.state is State.REFUSED
        assert told.answered == 0
        assert "√s" in told.reasons[-1][1]
        assert "out of any student's reach" in told.reasons[-1][1]


def test_two_labels_that_change_places_take_the_student_off_in_time() -> None:
    terms = Terms(0.8, audit_share=0.7, swap=("contentonly", "confirmation"), swap_at=240)
    stated = Drift(0.8).audits_until_seen(0.4)
    assert stated is not None
    told = [each for each in run(turns(), terms, range(4)) if each.answered]
    assert len(told) >= 2
    for each in told:
        assert each.demoted_after is not None
        assert each.demoted_after <= stated
