"""One key's counts against a model that remembers every call: no limit is ever passed, and none holds without need."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.keys import Key, KeyKind
from tailrace.limits.slot import (
    MICRO,
    NUMBERS,
    Left,
    Limit,
    OverLimit,
    Reserved,
    Slot,
    begin_anew,
    enter,
    forget_worker,
    give_back,
    leave,
    running,
    settle,
    spent,
)

KEY: Final = Key(id="k", hash=bytes(32), kind=KeyKind.CLIENT, name="n", created_us=1)
NOW: Final = 1_800_000_000 * 10**6  # 2027-01-15, eight in the morning UTC
SECOND: Final = 10**6


def new_slot() -> Slot:
    return memoryview(bytearray(NUMBERS * 8)).cast("q")


def over(call: Callable[[], Left]) -> tuple[Limit, int | None]:
    with pytest.raises(OverLimit) as found:
        call()
    return found.value.limit, found.value.retry_after_s


@dataclass
class Model:
    """Every call that entered: when, with how many tokens."""

    entered: list[tuple[int, int]] = field(default_factory=list)

    def within_a_minute(self, now_s: int) -> list[tuple[int, int]]:
        return [one for one in self.entered if one[0] > now_s - 60]


@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 40)), max_size=60),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(1, 100),
)
def test_no_minute_holds_more_than_the_limit_and_no_call_is_refused_before(
    calls: list[tuple[int, int]], rpm: int | None, tpm: int | None
) -> None:
    key = replace(KEY, requests_per_min=rpm, tokens_per_min=tpm)
    slot, model, now_s = new_slot(), Model(), NOW // SECOND
    for wait_s, tokens in calls:
        now_s += wait_s
        there = model.within_a_minute(now_s)
        fits = (rpm is None or len(there) < rpm) and (tpm is None or sum(used for _, used in there) + tokens <= tpm)
        try:
            left = enter(slot, key, now_s * SECOND + 7, Reserved(tokens), 0)
        except OverLimit as refused:
            assert not fits
            wait = refused.retry_after_s
            assert (wait is None) == (tpm is not None and tokens > tpm and (rpm is None or len(there) < rpm))
            if wait is not None:
                later = model.within_a_minute(now_s + wait)
                sooner = model.within_a_minute(now_s + wait - 1)
                if refused.limit is Limit.REQUESTS:
                    assert rpm is not None
                    assert len(later) < rpm <= len(sooner)
            continue
        assert fits
        model.entered.append((now_s, tokens))
        assert left.requests == (None if rpm is None else rpm - len(there) - 1)
        assert left.tokens == (None if tpm is None else tpm - tokens - sum(used for _, used in there))
        assert 1 <= left.requests_reset_s <= 60


def test_a_refused_call_counts_for_nothing() -> None:
    slot, key = new_slot(), replace(KEY, requests_per_min=1, tokens_per_min=10, concurrency=9, usd_per_day=1.0)
    enter(slot, key, NOW, Reserved(4, 5), 0)
    before = bytes(slot)
    assert over(lambda: enter(slot, key, NOW, Reserved(1, 1), 0)) == (Limit.REQUESTS, 60)
    assert bytes(slot) == before


def test_the_clocks_of_two_processes_may_differ_a_little() -> None:
    slot, key = new_slot(), replace(KEY, requests_per_min=2)
    enter(slot, key, NOW + SECOND, Reserved(), 0)
    enter(slot, key, NOW, Reserved(), 1)
    assert over(lambda: enter(slot, key, NOW + 60 * SECOND, Reserved(), 0)) == (Limit.REQUESTS, 1)


def test_calls_at_once_are_those_of_all_workers() -> None:
    slot, key = new_slot(), replace(KEY, concurrency=2)
    enter(slot, key, NOW, Reserved(), 0)
    enter(slot, key, NOW, Reserved(), 3)
    assert over(lambda: enter(slot, key, NOW, Reserved(), 0)) == (Limit.CONCURRENCY, 1)
    leave(slot, 3)
    enter(slot, key, NOW, Reserved(), 0)
    assert running(slot) == 2
    forget_worker(slot, 0)
    assert running(slot) == 0
    leave(slot, 0)
    assert running(slot) == 0, "a worker that began anew owes nothing"


def test_a_budget_is_reserved_then_settled() -> None:
    slot, key = new_slot(), replace(KEY, usd_per_day=1.0)
    ask = Reserved(100, 400_000)
    enter(slot, key, NOW, ask, 0)
    enter(slot, key, NOW, ask, 0)
    midnight_s = 86_400 - NOW // SECOND % 86_400
    assert over(lambda: enter(slot, key, NOW, ask, 0)) == (Limit.DAY, midnight_s)
    settle(slot, started_us=NOW, now_us=NOW, reserved=ask, tokens=10, micro_usd=1_000)
    enter(slot, key, NOW, ask, 0)
    assert spent(slot, NOW) == (1_000, 1_000)
    give_back(slot, ask)
    enter(slot, key, NOW, ask, 0)
    begin_anew(slot)
    assert spent(slot, NOW) == (1_000, 1_000), "what was spent outlives a restart"


def test_days_and_months_begin_anew_in_utc() -> None:
    slot, key = new_slot(), replace(KEY, usd_per_day=1.0, usd_per_month=1.5)
    day_us = 86_400 * SECOND
    settle(slot, started_us=NOW, now_us=NOW, reserved=Reserved(), tokens=None, micro_usd=MICRO)
    assert over(lambda: enter(slot, key, NOW, Reserved(0, 1), 0))[0] is Limit.DAY
    enter(slot, key, NOW + day_us, Reserved(0, 500_000), 0)
    limit, wait_s = over(lambda: enter(slot, key, NOW + day_us, Reserved(0, 1), 0))
    assert limit is Limit.MONTH
    assert wait_s == 1_801_440_000 - NOW // SECOND - 86_400, "the first of February, at midnight"
    settle(slot, started_us=NOW - day_us, now_us=NOW, reserved=Reserved(), tokens=None, micro_usd=7)
    assert spent(slot, NOW) == (MICRO, MICRO + 7), "a call of yesterday that is filed late is not today's"
    assert spent(slot, NOW + 31 * day_us) == (0, 0)


def test_settled_tokens_are_those_of_the_second_in_which_the_call_began() -> None:
    slot, key = new_slot(), replace(KEY, tokens_per_min=100)
    enter(slot, key, NOW, Reserved(100), 0)
    later = NOW + 30 * SECOND
    settle(slot, started_us=NOW, now_us=later, reserved=Reserved(100), tokens=30, micro_usd=0)
    enter(slot, key, later, Reserved(70), 0)
    assert over(lambda: enter(slot, key, later, Reserved(1), 0)) == (Limit.TOKENS, 30)
    settle(slot, started_us=NOW - 40 * SECOND, now_us=later, reserved=Reserved(9), tokens=0, micro_usd=0)
    assert over(lambda: enter(slot, key, later, Reserved(1), 0)) == (Limit.TOKENS, 30), "that second is long gone"
