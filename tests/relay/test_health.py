"""Targets that fail rest, one call tries them again, and none has more calls at once than it may."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tailrace.errors import CallError, Code, ProviderFailed, ProviderTimeout, ProviderTruncated, Refused
from tailrace.relay import health as module
from tailrace.relay.health import Closed, Entered, Health, Place, is_failure
from tailrace.relay.routing import Route
from tailrace.settings import Cooldown, Timeouts

A = Route("acme", "a", Timeouts(), drain=False)
B = Route("acme", "b", Timeouts(), drain=False)
RULES = Cooldown(after=3, for_s=30)


def enter(health: Health, route: Route = A, now: float = 0.0, **more: Any) -> Place:
    place = health.enter(route, now, **more)
    assert isinstance(place, Place)
    return place


def fail(health: Health, times: int = 1, now: float = 0.0, at_least_s: float = 0.0, route: Route = A) -> list[bool]:
    begun = []
    for _ in range(times):
        with enter(health, route, now) as place:
            begun.append(place.failed(now, RULES, at_least_s))
    return begun


def test_failures_in_a_row_bring_a_rest_and_an_answer_between_them_does_not() -> None:
    health = Health()
    fail(health, 2)
    with enter(health) as place:
        place.answered()
    assert fail(health, 3) == [False, False, True]
    assert health.enter(A, 29.9) is Closed.RESTING
    assert health.is_resting(A, 29.9)
    with enter(health, B):
        pass


def test_after_the_rest_exactly_one_call_tries() -> None:
    health = Health()
    fail(health, 3)
    probe = enter(health, now=30)
    assert [health.enter(A, 30), health.enter(A, 1e9)] == [Closed.RESTING] * 2
    probe.answered()
    with enter(health, now=30), enter(health, now=30):
        assert not health.is_resting(A, 30)
    probe.leave()


def test_a_probe_that_fails_means_another_rest() -> None:
    health = Health()
    fail(health, 3)
    assert fail(health, 1, now=31) == [True]
    assert health.enter(A, 60.9) is Closed.RESTING
    enter(health, now=61).leave()


def test_a_probe_without_a_verdict_leaves_the_trial_to_the_next() -> None:
    health = Health()
    fail(health, 3)
    enter(health, now=30).leave()
    enter(health, now=30)
    assert health.enter(A, 30) is Closed.RESTING


@pytest.mark.parametrize(("retry_after_s", "rest_s"), [(0, 30), (10, 30), (60, 60), (299, 299), (1e9, 300)])
def test_a_retry_after_is_the_least_rest_within_reason(retry_after_s: float, rest_s: float) -> None:
    health = Health()
    fail(health, 3, at_least_s=retry_after_s)
    assert health.enter(A, rest_s - 0.1) is Closed.RESTING
    enter(health, now=rest_s)


def test_calls_that_began_before_the_rest_do_not_prolong_it_but_for_their_retry_after() -> None:
    health = Health()
    late, later = enter(health), enter(health)
    fail(health, 3)
    late.failed(20, RULES)
    assert not health.is_resting(A, 30)
    later.failed(20, RULES, 40)
    assert health.is_resting(A, 59.9)
    assert not health.is_resting(A, 60)


def test_an_answer_ends_a_rest() -> None:
    health = Health()
    early = enter(health)
    fail(health, 3)
    early.answered()
    with enter(health):
        pass


def test_places_are_bounded_and_given_back_whatever_happens() -> None:
    health, narrow = Health(), replace(A, max_concurrency=2)
    one, two = enter(health, narrow), enter(health, narrow)
    assert (health.enter(narrow, 0), health.active(narrow)) == (Closed.FULL, 2)
    one.leave()
    one.leave()
    with pytest.raises(ZeroDivisionError), enter(health, narrow):
        raise ZeroDivisionError
    enter(health, narrow)
    assert health.enter(narrow, 0, last_resort=True) is Closed.FULL
    two.leave()


def test_the_first_target_that_takes_a_call() -> None:
    health, narrow = Health(), replace(A, max_concurrency=1)
    targets = (narrow, B)

    def first(start: int = 0, *, last_resort: bool = False) -> int | Closed:
        entered = health.enter_first(targets, start, 0.0, last_resort=last_resort)
        if isinstance(entered, Entered):
            entered.place.leave()
            return entered.index
        return entered

    assert (first(), first(1), first(2)) == (0, 1, Closed.RESTING)
    fail(health, 3)
    assert first() == 1
    fail(health, 3, route=B)
    assert (first(), first(last_resort=True), first(1, last_resort=True)) == (Closed.RESTING, 0, 1)
    enter(health, narrow, last_resort=True)
    assert (first(), first(last_resort=True)) == (Closed.FULL, 1)


def test_failing_targets_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    health = Health()
    fail(health, 3)
    for n in range(4):
        fail(health, route=replace(A, model=str(n)))
        assert health.is_resting(A, 0) == (n < 2)


class Targets(RuleBasedStateMachine):
    """Whatever is done in whatever order: places within limits, one probe at a time, all given back."""

    places = Bundle("places")

    @initialize(limit=st.none() | st.integers(1, 3))
    def begin(self, limit: int | None) -> None:
        self.health, self.now = Health(), 0.0
        self.route = replace(A, max_concurrency=limit)
        self.held: list[Place] = []
        self.down = False  # by the rules: it rests, or is half open
        self.trying: Place | None = None

    @rule(target=places)
    def come(self) -> Place | None:
        place = self.health.enter(self.route, self.now)
        if not isinstance(place, Place):
            assert place is Closed.RESTING or len(self.held) == self.route.max_concurrency
            return None
        if self.down:
            assert self.trying is None
            self.trying = place
        self.held.append(place)
        return place

    @rule(place=places)
    def answer(self, place: Place | None) -> None:
        if place in self.held:
            place.answered()
            self.down, self.trying = False, None

    @rule(place=places, retry_after_s=st.floats(0, 1e9))
    def fail(self, place: Place | None, retry_after_s: float) -> None:
        if place in self.held:
            self.down |= place.failed(self.now, RULES, retry_after_s)
            if place is self.trying:
                self.trying = None

    @rule(place=consumes(places))
    def go(self, place: Place | None) -> None:
        if place in self.held:
            place.leave()
            self.held.remove(place)
            if place is self.trying:
                self.trying = None

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def places_are_counted(self) -> None:
        if hasattr(self, "health"):
            assert self.health.active(self.route) == len(self.held)
            assert self.route.max_concurrency is None or len(self.held) <= self.route.max_concurrency

    def teardown(self) -> None:
        if hasattr(self, "health"):
            for place in self.held:
                place.leave()
            assert self.health.active(self.route) == 0
            assert not self.health.is_resting(self.route, self.now + 301)


TestTargets = Targets.TestCase


@given(st.integers(100, 599), st.booleans())
def test_which_answers_count_against_a_target(status: int, callers_key: bool) -> None:
    expected = status >= 500 or status == 408 or (status == 429 and not callers_key)
    assert is_failure(None, status, callers_key=callers_key) == expected


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ProviderFailed(Code.PROVIDER_UNREACHABLE, "", sent=False), True),
        (ProviderTimeout("", sent=False), True),
        (ProviderTimeout(""), True),
        (ProviderTruncated(""), True),
        (ProviderFailed(Code.PROVIDER_PROTOCOL, ""), True),
        (ProviderFailed(Code.PROVIDER_TOO_LARGE, ""), False),
        (CallError(Code.OVERLOADED, "", status=503), False),
        (Refused(Code.CANNOT_TRANSLATE, "", status=400), False),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_which_errors_count_against_a_target(error: CallError, counts: bool) -> None:
    assert is_failure(error, None, callers_key=True) == counts
    assert not is_failure(None, None, callers_key=False)
