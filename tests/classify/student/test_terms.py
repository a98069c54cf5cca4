"""When a student is looked at, and which chains judge it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.student.guarantee import Audit, Infeasible, Point, Promise, Release, judge
from tailrace.classify.student.terms import (
    FEWEST,
    GROWTH,
    SHADOW_SHARE,
    judges_needed,
    judging_share,
    labels_needed,
)


def test_looks_at_labels_are_few() -> None:
    looks = [labels_needed(0)]
    while looks[-1] < 50_000:
        looks.append(labels_needed(looks[-1]))
    assert looks[0] == FEWEST
    assert looks[1] == int(FEWEST * GROWTH)
    assert len(looks) < 25


def test_the_numbers_that_the_readme_tells() -> None:
    assert [judges_needed(Promise(target), 0) for target in (0.9, 0.95)] == [194, 391]
    assert SHADOW_SHARE == 0.6


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_no_look_spends_its_share_of_alpha_on_audits_that_cannot_prove_anything(target: float) -> None:
    promise = Promise(target)
    for looks in (0, 1, 2, 5):
        enough = judges_needed(promise, looks)
        right = [Audit("a", 0.9, agreed=True)] * enough
        assert isinstance(judge(right, [Point(1.0, 0.5)], promise, looks + 1), Release)
        if looks:
            assert isinstance(judge(right[1:], [Point(1.0, 0.5)], promise, looks + 1), Infeasible)


def test_the_first_look_can_prove_a_threshold_that_leaves_many_turns_to_the_model() -> None:
    promise = Promise(0.9)
    first = judges_needed(promise, 0)
    surest = round(first * 0.6)
    sure = [Audit("a", 0.9, agreed=True)] * (surest) + [Audit("b", 0.4, agreed=False)] * (first - surest)
    found = judge(sure, [Point(0.6, 0.9), Point(1.0, 0.4)], promise, 1)
    assert isinstance(found, Release)
    assert found.coverage == 0.6


@given(st.floats(0, 1))
def test_some_chains_teach_and_an_audited_chain_judges_in_shadow_too(audit_share: float) -> None:
    live, shadow = (judging_share(audit_share, in_shadow=in_shadow) for in_shadow in (False, True))
    assert live <= shadow == SHADOW_SHARE < 1
    assert live == min(audit_share, SHADOW_SHARE)
