"""One key's counts, as 64-bit numbers in a row that processes share. Pure: time comes in, numbers change.

    0-1    whose slot it is                        8-67     requests in each of the last 60 seconds
    2      the second the windows have come to     68-127   tokens in each of them
    3-4    day (UTC), micro-USD of it that filed calls cost         128-191  running calls, by relay worker
    5-6    month, micro-USD of it                  7        micro-USD reserved by calls that are not filed yet

A minute is any 60 seconds in a row, told to the second: no more than the limit starts within them, at whatever moment
one begins to count. What a call will cost is reserved before it starts, and settled when the log has filed it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from tailrace.keys import Key

WORKERS: Final = 64
NUMBERS: Final = 192
_SECONDS: Final = 60
_LAST: Final = 2
_DAY: Final = 3
_MONTH: Final = 5
_UNFILED: Final = 7
_REQUESTS: Final = 8
_TOKENS: Final = 68
_RUNNING: Final = 128
_SECOND_US: Final = 10**6
_DAY_S: Final = 86_400
MICRO: Final = 10**6
"""Micro-USD in a USD."""

Slot = memoryview  # of `NUMBERS` signed 64-bit numbers


class Limit(StrEnum):
    """Which of a key's limits."""

    REQUESTS = "requests_per_min"
    TOKENS = "tokens_per_min"
    CONCURRENCY = "concurrency"
    DAY = "usd_per_day"
    MONTH = "usd_per_month"


class OverLimit(Exception):
    """The call would pass a limit. `retry_after_s`: when it would not; None: never, it is too large by itself."""

    def __init__(self, limit: Limit, retry_after_s: int | None) -> None:
        super().__init__(limit)
        self.limit = limit
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a call is counted with before it is known what it uses."""

    tokens: int = 0
    micro_usd: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of the minute's limits, None where there is none, and in how many seconds all of it is back."""

    requests: int | None
    requests_reset_s: int
    tokens: int | None
    tokens_reset_s: int


def enter(slot: Slot, key: Key, now_us: int, ask: Reserved, worker: int) -> Left:
    """Count one more call; returns what is left.

    Raises:
        OverLimit: it would pass a limit. Nothing was counted.
    """
    now_s = _advance(slot, now_us)
    _check_budgets(slot, key, now_us, ask)
    if key.concurrency is not None and running(slot) >= key.concurrency:
        raise OverLimit(Limit.CONCURRENCY, 1)
    _check_window(slot, _REQUESTS, key.requests_per_min, 1, Limit.REQUESTS)
    _check_window(slot, _TOKENS, key.tokens_per_min, ask.tokens, Limit.TOKENS)
    slot[_REQUESTS + now_s % _SECONDS] += 1
    slot[_TOKENS + now_s % _SECONDS] += ask.tokens
    slot[_RUNNING + worker] += 1
    slot[_UNFILED] += ask.micro_usd
    return Left(
        _left(slot, _REQUESTS, key.requests_per_min),
        _reset_s(slot, _REQUESTS),
        _left(slot, _TOKENS, key.tokens_per_min),
        _reset_s(slot, _TOKENS),
    )


def leave(slot: Slot, worker: int) -> None:
    """A call that had entered is over."""
    slot[_RUNNING + worker] = max(0, slot[_RUNNING + worker] - 1)


def give_back(slot: Slot, reserved: Reserved) -> None:
    """A call that had entered came to nothing: no provider was asked, and the log will not file it."""
    slot[_UNFILED] = max(0, slot[_UNFILED] - reserved.micro_usd)


def settle(slot: Slot, *, started_us: int, now_us: int, reserved: Reserved, tokens: int | None, micro_usd: int) -> None:
    """The log has filed a call that was counted with `reserved`: count what it really used."""
    now_s = _advance(slot, now_us)
    started_s = started_us // _SECOND_US
    if tokens is not None and now_s - started_s < _SECONDS:
        at = _TOKENS + started_s % _SECONDS
        slot[at] = max(0, slot[at] + tokens - reserved.tokens)
    slot[_UNFILED] = max(0, slot[_UNFILED] - reserved.micro_usd)
    for at, number in ((_DAY, _day(started_us)), (_MONTH, _month(started_us))):
        if slot[at] < number:
            slot[at], slot[at + 1] = number, 0
        if slot[at] == number:
            slot[at + 1] += micro_usd


def running(slot: Slot) -> int:
    """Calls at this moment, of all workers."""
    return sum(slot[_RUNNING : _RUNNING + WORKERS])


def forget_worker(slot: Slot, worker: int) -> None:
    """The worker begins anew: none of the calls it was counted with goes on."""
    slot[_RUNNING + worker] = 0


def begin_anew(slot: Slot) -> None:
    """Nothing runs on this node: no running calls, nothing reserved."""
    slot[_UNFILED] = 0
    for worker in range(WORKERS):
        slot[_RUNNING + worker] = 0


def spent(slot: Slot, now_us: int) -> tuple[int, int]:
    """Micro-USD of this day and of this month that filed calls cost."""
    return _spent(slot, _DAY, _day(now_us)), _spent(slot, _MONTH, _month(now_us))


def put_spent(slot: Slot, now_us: int, day: int, month: int) -> None:
    """What the store knows of it."""
    slot[_DAY], slot[_DAY + 1] = _day(now_us), day
    slot[_MONTH], slot[_MONTH + 1] = _month(now_us), month


def _spent(slot: Slot, at: int, number: int) -> int:
    return slot[at + 1] if slot[at] == number else 0


def _check_budgets(slot: Slot, key: Key, now_us: int, ask: Reserved) -> None:
    day, month = spent(slot, now_us)
    reserved = slot[_UNFILED] + ask.micro_usd
    if key.usd_per_day is not None and day + reserved > round(key.usd_per_day * MICRO):
        raise OverLimit(Limit.DAY, _DAY_S - now_us // _SECOND_US % _DAY_S)
    if key.usd_per_month is not None and month + reserved > round(key.usd_per_month * MICRO):
        raise OverLimit(Limit.MONTH, _to_next_month_s(now_us))


def _check_window(slot: Slot, at: int, limit: int | None, more: int, what: Limit) -> None:
    if limit is None:
        return
    if more > limit:
        raise OverLimit(what, None)
    over = sum(slot[at : at + _SECONDS]) + more - limit
    if over <= 0:
        return
    oldest = slot[_LAST] + 1  # the second whose place is used next: a minute ago
    for wait_s in range(1, _SECONDS + 1):
        over -= slot[at + (oldest + wait_s - 1) % _SECONDS]
        if over <= 0:
            raise OverLimit(what, wait_s)
    raise AssertionError("the windows hold no more than was counted")


def _left(slot: Slot, at: int, limit: int | None) -> int | None:
    return None if limit is None else max(0, limit - sum(slot[at : at + _SECONDS]))


def _reset_s(slot: Slot, at: int) -> int:
    """Until the newest second that counts has left the window."""
    last = slot[_LAST]
    return next((_SECONDS - ago for ago in range(_SECONDS) if slot[at + (last - ago) % _SECONDS]), 0)


def _advance(slot: Slot, now_us: int) -> int:
    """Bring the windows to now; the second they have come to, as another process may have been ahead of us."""
    now_s, last = now_us // _SECOND_US, slot[_LAST]
    if now_s <= last:
        return last
    for second in range(max(last + 1, now_s - _SECONDS + 1), now_s + 1):
        slot[_REQUESTS + second % _SECONDS] = 0
        slot[_TOKENS + second % _SECONDS] = 0
    slot[_LAST] = now_s
    return now_s


def _day(us: int) -> int:
    return us // _SECOND_US // _DAY_S


def _month(us: int) -> int:
    moment = datetime.fromtimestamp(us // _SECOND_US, UTC)
    return moment.year * 12 + moment.month - 1


def _to_next_month_s(now_us: int) -> int:
    number = _month(now_us) + 1
    following = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp()) - now_us // _SECOND_US
