"""What a call was counted with by its key's limits becomes what it used, as soon as it is filed.

A call that was filed and not settled, because the writer died in between, stays counted with what was reserved until
the proxy starts anew: too strict for a while, never too lax.
"""

from collections.abc import Callable, Sequence

import structlog

from tailrace.clock import Clock
from tailrace.limits.slot import MICRO, Reserved, settle
from tailrace.limits.table import LimitTable, TableBusy
from tailrace.records import CACHE, TAILRACE
from tailrace.writer.prepared import Prepared

Settle = Callable[[Sequence[Prepared]], None]
"""Is told of completions that were filed, each once."""

log = structlog.get_logger("tailrace.writer")


def settle_nothing(_filed: Sequence[Prepared]) -> None:
    """Where no limits are kept."""


def settler(table: LimitTable, clock: Clock) -> Settle:
    """Settles in `table` what was reserved."""

    def settle_all(filed: Sequence[Prepared]) -> None:
        for one in filed:
            if one.closed.start.reserved_tokens is not None:
                _settle(table, one, clock.now_us())

    return settle_all


def _is_free(one: Prepared) -> bool:
    """No provider gave an answer to it: it was refused, failed with an error, or answered from what was at hand."""
    start, end = one.closed.start, one.closed.end
    if end is None:
        return False
    failed = end.http_status is not None and end.http_status >= 400
    return failed or end.last is None or start.provider in {CACHE, TAILRACE}


def _settle(table: LimitTable, one: Prepared, now_us: int) -> None:
    start, usage = one.closed.start, one.answer.usage
    assert start.key is not None
    reserved = Reserved(start.reserved_tokens or 0, start.reserved_micro_usd or 0)
    counted = (usage.input_tokens, usage.output_tokens)
    tokens = None if counted == (None, None) else sum(count or 0 for count in counted)
    # Unknown is not free: a call whose cost nobody can tell counts with what was reserved for it.
    micro_usd = reserved.micro_usd if one.cost_usd is None else round(one.cost_usd * MICRO)
    if _is_free(one):
        tokens, micro_usd = 0, 0
    try:
        with table.slot(start.key) as slot:
            settle(slot, started_us=start.at_us, now_us=now_us, reserved=reserved, tokens=tokens, micro_usd=micro_usd)
    except TableBusy as busy:
        log.warning("a call could not be settled, its key stays counted with what was reserved", reason=str(busy))
