"""What follows a failed attempt: no second call where the provider may have acted, no storm, no wait beyond reason."""

from email.utils import formatdate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tailrace.errors import CallError, Code, LogUnavailable, ProviderFailed, ProviderTimeout, ProviderTruncated, Refused
from tailrace.relay.outbound import Header
from tailrace.relay.retry import Action, Decision, Outcome, RetryBudget, Standing, decide, retry_after_s
from tailrace.settings import Retry

NOW_S = 1_700_000_000.0
UNREACHABLE = ProviderFailed(Code.PROVIDER_UNREACHABLE, "", sent=False)


def standing(attempts: int = 1, *, has_next: bool = True, left_s: float = 900, **more: bool) -> Standing:
    return Standing(attempts, has_next, left_s, **more)


def after(
    outcome: Outcome | CallError | int,
    at: Standing | None = None,
    retry: Retry | None = None,
    budget: RetryBudget | None = None,
    headers: tuple[Header, ...] = (),
    chance: float = 0.0,
) -> Decision:
    if isinstance(outcome, int):
        outcome = Outcome(status=outcome, headers=headers)
    elif isinstance(outcome, CallError):
        outcome = Outcome(error=outcome)
    rules = retry or Retry()
    return decide(outcome, at or standing(), rules, budget or RetryBudget(0.1, 10), now_s=NOW_S, chance=chance)


@pytest.mark.parametrize("outcome", [UNREACHABLE, 408, 429, 500, 502, 503, 504, 529])
def test_what_was_not_done_is_tried_again_then_elsewhere(outcome: CallError | int) -> None:
    assert after(outcome).action is Action.AGAIN
    assert after(outcome, standing(2)) == Decision(Action.NEXT)
    assert after(outcome, standing(2, has_next=False)) == Decision(Action.GIVE_UP)
    assert after(outcome, standing(2), Retry(attempts=3)).action is Action.AGAIN
    assert after(outcome, standing(resting=True)) == Decision(Action.NEXT)
    assert after(outcome, standing(left_s=0.25)) == Decision(Action.NEXT)


@pytest.mark.parametrize(
    "error",
    [ProviderTimeout(""), ProviderTruncated(""), ProviderFailed(Code.PROVIDER_PROTOCOL, "")],
    ids=lambda error: error.code,
)
def test_what_the_provider_may_have_done_is_not_asked_for_twice(error: CallError) -> None:
    assert after(error) == Decision(Action.GIVE_UP)
    assert after(error, standing(idempotent=True)).action is Action.AGAIN


@pytest.mark.parametrize(
    "error",
    [
        ProviderTimeout("", sent=False),
        CallError(Code.OVERLOADED, "", status=503),
        Refused(Code.CANNOT_TRANSLATE, "", status=400),
    ],
    ids=lambda error: error.code,
)
def test_what_this_target_cannot_do_another_may(error: CallError) -> None:
    assert after(error) == Decision(Action.NEXT)
    assert after(error, standing(has_next=False)) == Decision(Action.GIVE_UP)


@given(st.integers(100, 499).filter(lambda status: status not in {408, 429}))
def test_an_answer_or_a_callers_mistake_is_final(status: int) -> None:
    assert after(status, headers=((b"x-should-retry", b"true"),)) == Decision(Action.GIVE_UP)


@pytest.mark.parametrize("error", [Refused(Code.INVALID_REQUEST, "", status=400), LogUnavailable("")])
def test_our_own_refusal_is_final(error: CallError) -> None:
    assert after(error) == Decision(Action.GIVE_UP)


def test_a_provider_that_forbids_it_is_not_asked_again() -> None:
    never = ((b"x-should-retry", b"False"),)
    assert after(429, headers=never) == Decision(Action.NEXT)
    assert after(500, headers=never) == Decision(Action.GIVE_UP)
    assert after(408, headers=never) == Decision(Action.GIVE_UP)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.5),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "20.5"}, None),
        ({"retry-after": "1000000000"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "-5"}, 0.5),
        ({"retry-after": "nan"}, 0.5),
        ({"retry-after": "inf"}, 0.5),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after": ""}, 0.5),
        ({"retry-after": "9" * 400}, 0.5),
        ({"retry-after": formatdate(NOW_S + 7, usegmt=True)}, 7.0),
        ({"retry-after": formatdate(NOW_S - 7, usegmt=True)}, 0.5),
        ({"retry-after": formatdate(NOW_S + 86400, usegmt=True)}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 -0000"}, 10.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "-1", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "60000"}, None),
        ({}, 0.5),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], expected: float | None) -> None:
    sent = tuple((name.encode(), value.encode()) for name, value in headers.items())
    found = after(429, headers=sent, chance=1.0 if expected == 0.5 else 0.0)
    assert found == (Decision(Action.NEXT) if expected is None else Decision(Action.AGAIN, expected))


def test_waits_double_up_to_their_limit_with_jitter_between_half_and_whole() -> None:
    rules = Retry(attempts=10, backoff_s=1, backoff_max_s=5)
    waits = [after(500, standing(n), rules, chance=1.0).wait_s for n in range(1, 6)]
    assert waits == [1, 2, 4, 5, 5]
    assert [after(500, standing(n), rules).wait_s for n in range(1, 4)] == [0.5, 1, 2]


def test_those_who_were_told_the_same_time_come_back_at_different_ones() -> None:
    told = ((b"retry-after", b"3"),)
    assert [after(429, headers=told, chance=chance).wait_s for chance in (0.0, 0.5, 1.0)] == [3, 3.25, 3.5]
    assert after(429, headers=((b"retry-after", b"20"),), chance=1.0).wait_s == 20


@given(
    st.lists(st.tuples(st.sampled_from([b"retry-after", b"retry-after-ms"]), st.binary(max_size=70)), max_size=3),
    st.floats(0, 1),
    st.floats(0, 100),
    st.floats(0, 1000),
)
def test_no_header_makes_it_wait_longer_than_it_may(
    headers: list[Header], chance: float, max_wait_s: float, left_s: float
) -> None:
    outcome = Outcome(status=503, headers=headers)
    at = standing(has_next=False, left_s=left_s)
    found = decide(outcome, at, Retry(max_wait_s=max_wait_s), RetryBudget(0.1, 1), now_s=NOW_S, chance=chance)
    assert found.action in {Action.AGAIN, Action.GIVE_UP}
    assert 0 <= found.wait_s <= max_wait_s
    assert found.action is Action.GIVE_UP or found.wait_s < left_s


@given(st.text("0123456789.eE+-, :GMTJanFeb", max_size=40) | st.text(max_size=40))
def test_any_retry_after_is_a_time_or_nothing(told: str) -> None:
    found = retry_after_s([(b"retry-after", told.encode("utf-8", "surrogatepass"))], NOW_S)
    assert found is None or 0 <= found <= 1e9


@given(st.integers(0, 10**9))
def test_a_retry_after_means_what_it_says(seconds: int) -> None:
    assert retry_after_s([(b"retry-after", b"%d" % seconds)], NOW_S) == seconds
    assert retry_after_s([(b"retry-after-ms", b"%d" % seconds)], NOW_S) == seconds / 1000
    assume(seconds < 2 * 10**8)
    assert retry_after_s([(b"retry-after", formatdate(NOW_S + seconds, usegmt=True).encode())], NOW_S) == seconds


@given(st.lists(st.booleans()), st.floats(0, 1), st.integers(0, 20))
def test_the_budget_is_kept_in_any_order_of_calls_and_failures(steps: list[bool], share: float, minimum: int) -> None:
    """`steps`: a call begins, or an attempt failed and would be repeated."""
    budget = RetryBudget(share, minimum)
    history: list[tuple[int, int]] = [(0, 0)]  # calls and repetitions so far
    calls = repeated = 0
    for is_call in steps:
        if is_call:
            budget.called()
            calls += 1
        elif budget.take():
            repeated += 1
        history.append((calls, repeated))
        for calls_before, repeated_before in history:
            allowed = max(minimum, 1) + share * (calls - calls_before)
            assert repeated - repeated_before <= allowed + 1e-9
        assert repeated <= minimum + share * calls + 1e-9


def test_the_budget_is_of_use() -> None:
    budget = RetryBudget(0.1, 10)
    assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(10):
        budget.called()
    assert [budget.take(), budget.take()] == [True, False]
    from_nothing = RetryBudget(0.5, 0)
    assert not from_nothing.take()
    from_nothing.called()
    from_nothing.called()
    assert from_nothing.take()


def test_only_repetitions_draw_on_the_budget() -> None:
    budget = RetryBudget(0, 1)
    for outcome in (200, 400, 429):
        after(outcome, standing(2), budget=budget)
    after(ProviderTimeout(""), budget=budget)
    assert after(429, budget=budget).action is Action.AGAIN
    assert after(429, budget=budget) == Decision(Action.NEXT)
    assert after(429, standing(has_next=False), budget=budget) == Decision(Action.GIVE_UP)
