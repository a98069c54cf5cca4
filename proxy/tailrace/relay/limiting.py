"""What a key may use, held before a call starts: counted with all other workers, given back whatever becomes of it.

enter ─▶ Lease, counted ─▶ START carries what was reserved ─▶ the call ─▶ Lease.end
                                                 └─▶ the writer files it, and settles what it really used
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tailrace.errors import Code, Refused
from tailrace.keys import Key
from tailrace.limits.slot import MICRO, Left, Limit, OverLimit, Reserved, enter, give_back, leave
from tailrace.limits.table import LimitTable, TableBusy
from tailrace.prices import Prices
from tailrace.records import Json, Usage
from tailrace.relay.callers import Caller
from tailrace.relay.outbound import Header
from tailrace.relay.routing import Route
from tailrace.settings import SIMULATED, Settings
from tailrace.wire.estimate import estimated_tokens

_WORDS: Final = {
    Limit.REQUESTS: "This key has made as many requests within a minute as it may",
    Limit.TOKENS: "This key has used as many tokens within a minute as it may",
    Limit.CONCURRENCY: "This key has as many calls at once as it may",
    Limit.DAY: "This key has used up its budget of the day",
    Limit.MONTH: "This key has used up its budget of the month",
}
_BUDGETS: Final = (Limit.DAY, Limit.MONTH)


@dataclass(slots=True)
class Lease:
    """A call that has entered. `end` it, whatever becomes of it; the second time does nothing."""

    limiter: "Limiter"
    key: Key
    reserved: Reserved
    headers: tuple[Header, ...]
    logged: bool = False
    """START has been written: the writer will settle what was reserved."""
    _over: bool = False

    def end(self) -> None:
        """The call is over."""
        if self._over:
            return
        self._over = True
        self.limiter.left(self)


class Limiter:
    """The limits of one relay worker's callers."""

    def __init__(self, table: LimitTable, worker: int, now_us: Callable[[], int]) -> None:
        self._table = table
        self._worker = worker
        self._now_us = now_us
        self._prices: tuple[Settings, Prices] | None = None

    def enter(
        self, caller: Caller, settings: Settings, parsed: dict[str, Json], first: Callable[[], Route]
    ) -> Lease | None:
        """Count a call; None where its caller has no limits. `first` tells the target that is tried first.

        Raises:
            Refused: 429, it would pass a limit; 503, whether it would cannot be told; and as `first`.
        """
        key = caller.key
        if key is None or not _is_limited(key):
            return None
        ask = self._ask(key, settings, parsed, first)
        try:
            with self._table.slot(key.id) as slot:
                left = enter(slot, key, self._now_us(), ask, self._worker)
        except OverLimit as over:
            raise _refusal(over) from over
        except TableBusy as busy:
            raise Refused(
                Code.OVERLOADED, "The key's limits cannot be read now.", status=503, retry_after_s=1
            ) from busy
        return Lease(self, key, ask, _headers(key, left))

    def left(self, lease: Lease) -> None:
        """A call that had entered is over."""
        try:
            with self._table.slot(lease.key.id) as slot:
                leave(slot, self._worker)
                if not lease.logged:
                    give_back(slot, lease.reserved)
        except TableBusy:  # it stays counted until this worker starts anew: too strict, never too lax
            return

    def _ask(self, key: Key, settings: Settings, parsed: dict[str, Json], first: Callable[[], Route]) -> Reserved:
        if key.tokens_per_min is None and not _has_budget(key):
            return Reserved()
        into, out = estimated_tokens(parsed, settings.keys.assumed_output_tokens)
        if not _has_budget(key):
            return Reserved(into + out)
        return Reserved(into + out, self._micro_usd(settings, first(), into, out))

    def _micro_usd(self, settings: Settings, route: Route, into: int, out: int) -> int:
        if self._prices is None or self._prices[0] is not settings:
            self._prices = (settings, Prices(settings))
        usage = Usage(input_tokens=into, output_tokens=out)
        cost = self._prices[1].cost_usd(
            usage, provider=route.provider, model=route.model, served=None, at_us=self._now_us()
        )
        if cost is not None:
            return round(cost * MICRO)
        if route.provider == SIMULATED or settings.keys.unpriced == "free":
            return 0
        message = f"The model {route.model!r} has no known price, and this key has a budget; set [prices]."
        raise Refused(Code.BUDGET, message, status=403)


def _is_limited(key: Key) -> bool:
    limits = (key.requests_per_min, key.tokens_per_min, key.concurrency)
    return any(limit is not None for limit in limits) or _has_budget(key)


def _has_budget(key: Key) -> bool:
    return key.usd_per_day is not None or key.usd_per_month is not None


def _refusal(over: OverLimit) -> Refused:
    code = Code.BUDGET if over.limit in _BUDGETS else Code.RATE_LIMITED
    words = _WORDS[over.limit]
    if over.retry_after_s is None:
        words = "This call asks for more tokens than the key may use within a minute; lower its max_tokens"
    return Refused(code, f"{words} ({over.limit}).", status=429, retry_after_s=over.retry_after_s)


def _headers(key: Key, left: Left) -> tuple[Header, ...]:
    """As OpenAI names them: `x-ratelimit-limit-requests` and so on; a reset is in seconds, `12s`."""
    found: list[Header] = []
    for name, limit, rest, reset_s in (
        (b"requests", key.requests_per_min, left.requests, left.requests_reset_s),
        (b"tokens", key.tokens_per_min, left.tokens, left.tokens_reset_s),
    ):
        if limit is not None:
            found.append((b"x-ratelimit-limit-" + name, str(limit).encode()))
            found.append((b"x-ratelimit-remaining-" + name, str(rest).encode()))
            found.append((b"x-ratelimit-reset-" + name, f"{reset_s}s".encode()))
    return tuple(found)
