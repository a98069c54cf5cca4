"""The state machine: each step has its reason, and nothing skips the proof."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.student.guarantee import Infeasible, Release
from tailrace.classify.student.states import (
    Audited,
    Disabled,
    Enabled,
    Event,
    Fitted,
    Judged,
    Standing,
    Unreachable,
    Waits,
    advance,
)
from tailrace.records import StudentState as State

RELEASE = Release(0.8, 0.6, 0.98, 0.951, 300, 0.025)
NOT_YET = Infeasible("20 audits of at least 142", 122)
LIVE: list[Event] = [Enabled("v1"), Waits(10, 50, 3, 70), Fitted(1, 60), Judged(RELEASE)]


def after(*events: Event) -> Standing:
    standing = Standing()
    for event in events:
        standing = advance(standing, event, target=0.95)
    return standing


def test_the_way_to_live() -> None:
    assert after().state is State.OFF
    assert after(*LIVE[:1]).state is State.TRAINING
    assert "10 of the 50 labels" in after(*LIVE[:2]).reason
    assert "3 of the 70 turns to judge it by" in after(*LIVE[:2]).reason
    assert after(*LIVE[:3]).state is State.SHADOW
    live = after(*LIVE)
    assert (live.state, live.released, live.looks) == (State.LIVE, 1, 1)
    assert live.reason == RELEASE.reason


def test_shadow_says_what_is_missing() -> None:
    shadow = after(*LIVE[:3], Judged(NOT_YET))
    assert (shadow.state, shadow.missing, shadow.looks) == (State.SHADOW, 122, 1)
    assert "122 audits are missing" in shadow.reason


def test_a_refit_that_proves_less_leaves_the_student_before_live() -> None:
    weaker = Release(0.9, 0.3, 0.99, 0.96, 300, 0.008)
    for outcome in (NOT_YET, weaker):
        kept = after(*LIVE, Fitted(2, 90), Judged(outcome))
        assert (kept.state, kept.fitted, kept.released, kept.looks) == (State.LIVE, 2, 1, 2)
        assert "the student before" in kept.reason
    better = after(*LIVE, Fitted(2, 90), Judged(Release(0.7, 0.8, 0.97, 0.951, 400, 0.008)))
    assert better.released == 2


def test_drift_demotes_and_audits_begin_anew() -> None:
    demoted = after(*LIVE, Audited((False,) * 20))
    assert (demoted.state, demoted.release, demoted.looks) == (State.DEMOTED, None, 0)
    assert demoted.epoch == after(*LIVE).epoch + 1
    again = advance(demoted, Fitted(2, 90), target=0.95)
    assert again.state is State.SHADOW
    assert advance(again, Judged(RELEASE), target=0.95).state is State.LIVE


def test_another_meaning_starts_anew_and_the_same_does_not() -> None:
    assert after(*LIVE, Enabled("v1")) == after(*LIVE)
    for before in (LIVE, [*LIVE, Unreachable("√s")], [*LIVE, Audited((False,) * 20)]):
        anew = after(*before, Enabled("v2"))
        assert (anew.state, anew.release, anew.fitted, anew.looks) == (State.TRAINING, None, None, 0)
        assert anew.epoch > after(*before).epoch


def test_another_target_is_proven_anew_by_the_same_audits_and_their_looks_stay_spent() -> None:
    for before in (LIVE, [*LIVE, Unreachable("lower target_agreement")], [*LIVE, Fitted(2, 90), Judged(NOT_YET)]):
        was = after(*before)
        assert advance(was, Enabled("v1"), target=0.95) == was
        anew = advance(was, Enabled("v1"), target=0.9)
        assert (anew.state, anew.released, anew.release, anew.drift) == (State.TRAINING, None, None, None)
        assert (anew.epoch, anew.looks) == (was.epoch, was.looks)
        assert "90.0%" in anew.reason
        live = advance(advance(anew, Fitted(3, 90), target=0.9), Judged(RELEASE), target=0.9)
        assert live.drift is not None
        assert (live.state, live.drift.target) == (State.LIVE, 0.9)


def test_refused_stays_refused() -> None:
    refused = after(*LIVE, Unreachable("the model disagrees with itself"), Fitted(3, 99), Judged(RELEASE))
    assert (refused.state, refused.reason) == (State.REFUSED, "the model disagrees with itself")


EVENTS = st.sampled_from(
    [
        *LIVE, Judged(NOT_YET), Audited((True,) * 5), Audited((False,) * 20), Unreachable("no"), Enabled("v2"),
        Disabled(),
    ]
)  # fmt: skip


@given(st.lists(EVENTS, max_size=30))
def test_live_exactly_where_something_is_released(events: list[Event]) -> None:
    standing = Standing()
    for event in events:
        before, standing = standing, advance(standing, event, target=0.95)
        assert (standing.state is State.LIVE) == (standing.release is not None) == (standing.drift is not None)
        assert standing.reason
        assert standing.epoch >= before.epoch
        if standing.state is State.LIVE and before.state is not State.LIVE:
            assert isinstance(event, Judged)
