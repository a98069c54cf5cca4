"""What follows an attempt that failed before the first byte of a good answer. Pure, but for the budget it draws on.

    no connection ──────────────────────────────┐
    408, 429, 5xx ─ Retry-After is short enough ┴─▶ again, while attempts and budget last ─▶ the next target ─▶ give up
    408, 429, 5xx ─ Retry-After is too long ───────────────────────────────────────────────▶ the next target ─▶ give up
    connecting took too long, all connections in use, no such thing in its dialect ────────▶ the next target ─▶ give up
    sent, and no answer: the provider may have acted, and would act twice ─────────────────────────────────────▶ give up

Another target is no repetition and draws on no budget: where a provider is down, all its calls may go elsewhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

from tailrace.errors import CallError, Code, ProviderFailed, ProviderTimeout
from tailrace.relay.outbound import Header, header
from tailrace.settings import Retry

_NUMBER: Final = re.compile(r"\d+(\.\d*)?([eE]\+?\d{1,3})?")
_LONGEST_HEADER: Final = 64
_FOREVER_S: Final = 1e9
_WHOLE: Final = 1_000_000
"""One attempt of a budget, in the parts in which it is counted: sums of parts are exact."""


class Action(Enum):
    """What follows."""

    AGAIN = auto()  # the same target, after a wait
    NEXT = auto()  # the next target that takes the call
    GIVE_UP = auto()  # the client is told of this outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows, and after which wait."""

    action: Action
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: in an error of ours, or with the head of an answer."""

    error: CallError | None = None
    status: int | None = None
    headers: Sequence[Header] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a call stands after an attempt."""

    attempts: int  # at this target, the one that failed included
    has_next: bool  # another target is left
    left_s: float  # until the call's total clock runs out
    resting: bool = False  # the target is left alone now: not worth another attempt
    idempotent: bool = False  # acting twice is acting once (GET, HEAD)


class RetryBudget:
    """A token bucket that bounds repeated attempts: each call puts `share` in, each repetition takes one out.

    It starts with `minimum` and never holds more (than one, where that is less), so that of any row of n calls at most
    share × n + minimum are repeated, however long all went well before.
    """

    def __init__(self, share: float, minimum: int) -> None:
        self._share = int(share * _WHOLE)
        self._most = max(minimum, 1) * _WHOLE
        self._balance = minimum * _WHOLE

    def called(self) -> None:
        """A call begins; its repetitions are none."""
        self._balance = min(self._most, self._balance + self._share)

    def take(self) -> bool:
        """Whether one more attempt may be made; if so, it counts."""
        if self._balance < _WHOLE:
            return False
        self._balance -= _WHOLE
        return True


def decide(
    outcome: Outcome, standing: Standing, retry: Retry, budget: RetryBudget, *, now_s: float, chance: float
) -> Decision:
    """What follows `outcome`. `now_s` is Unix seconds, `chance` a random number from 0 to 1, for the jitter."""
    elsewhere = Decision(Action.NEXT if standing.has_next else Action.GIVE_UP)
    may = _may(outcome, standing)
    if may is not Action.AGAIN:
        return elsewhere if may is Action.NEXT else Decision(Action.GIVE_UP)
    wait_s = _wait(outcome.headers, standing.attempts, retry, now_s, chance)
    if standing.attempts >= retry.attempts or standing.resting or wait_s is None or wait_s >= standing.left_s:
        return elsewhere
    return Decision(Action.AGAIN, wait_s) if budget.take() else elsewhere


def retry_after_s(headers: Sequence[Header], now_s: float) -> float | None:
    """How long an answer asks to be left alone: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.

    None where it does not say, or says what means nothing (a negative number). A date in the past is 0; at most 1e9.
    """
    told = _text(headers, b"retry-after-ms")
    if told is not None and _NUMBER.fullmatch(told):
        return min(float(told) / 1000, _FOREVER_S)
    told = _text(headers, b"retry-after")
    if told is None:
        return None
    if _NUMBER.fullmatch(told):
        return min(float(told), _FOREVER_S)
    try:
        date = parsedate_to_datetime(told)
        if date.tzinfo is None:  # `-0000`: a time in UTC whose zone is not told
            date = date.replace(tzinfo=UTC)
        return min(max(date.timestamp() - now_s, 0.0), _FOREVER_S)
    except (ValueError, TypeError, IndexError, OverflowError):  # what the parser makes of text that is no date
        return None


def _may(outcome: Outcome, standing: Standing) -> Action:
    """The most that may follow an outcome for its kind."""
    error = outcome.error
    if isinstance(error, ProviderFailed):
        if error.sent:
            return Action.AGAIN if standing.idempotent else Action.GIVE_UP
        # Who could not be connected within the limit will not be within another one.
        return Action.NEXT if isinstance(error, ProviderTimeout) else Action.AGAIN
    if error is not None:
        return Action.NEXT if error.code in {Code.OVERLOADED, Code.CANNOT_TRANSLATE} else Action.GIVE_UP
    status = outcome.status or 0
    if not (status in {408, 429} or status >= 500):
        return Action.GIVE_UP
    if _text(outcome.headers, b"x-should-retry") == "false":
        # 429 says that nothing was done; behind any other, work may have been.
        return Action.NEXT if status == 429 else Action.GIVE_UP
    return Action.AGAIN


def _wait(headers: Sequence[Header], attempts: int, retry: Retry, now_s: float, chance: float) -> float | None:
    """Seconds until the next attempt; None where the provider wants more of them than we have."""
    told = retry_after_s(headers, now_s)
    if told is not None and told > retry.max_wait_s:
        return None
    backoff_s = min(retry.backoff_max_s, retry.backoff_s * 2 ** (attempts - 1)) * (0.5 + chance / 2)
    # Those who were told the same time should not all come back in the same instant.
    return min(retry.max_wait_s, told + retry.backoff_s * chance if told else backoff_s)


def _text(headers: Sequence[Header], name: bytes) -> str | None:
    value = header(headers, name)
    if value is None or len(value) > _LONGEST_HEADER:
        return None
    return value.decode("latin-1").strip().lower()
