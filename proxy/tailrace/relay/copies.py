"""Shadow traffic: a share of an alias's calls is copied to another target, logged, and answered to nobody.

A copy is a completion of its own: its row says `shadow`, and which completion it copies. No client waits for it, so it
is left out where too many run already.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import structlog

from tailrace import metrics
from tailrace.records import Origin
from tailrace.relay.accept import Accepted
from tailrace.relay.asked import Asked, arrive
from tailrace.relay.guard import Receive
from tailrace.relay.live import Live, Relay
from tailrace.relay.reply import Reply
from tailrace.relay.routing import Plan, Route
from tailrace.relay.shadowing import shadows

MOST_COPIES: Final = 256
"""Copies that run at once, per worker."""

CarryOut = Callable[[Relay, Live, Asked, Receive, Reply], Awaitable[None]]

log = structlog.get_logger("tailrace.relay")


def send_copies(relay: Relay, live: Live, asked: Asked, plan: Plan, carry_out: CarryOut) -> None:
    """Begins the copies that the completion's id draws; returns at once."""
    if not isinstance(asked, Accepted) or plan.alias is None:
        return
    for route in shadows(plan, asked.arrival.id.bytes):
        sent = relay.copies < MOST_COPIES and not relay.draining
        metrics.copied(plan.alias, sent=sent)
        if sent:
            relay.copies += 1
            relay.tasks.create_task(_copy(relay, live, asked, plan, route, carry_out))


async def _copy(relay: Relay, live: Live, asked: Accepted, plan: Plan, route: Route, carry_out: CarryOut) -> None:
    arrival = arrive(relay)
    copied = replace(
        asked,
        arrival=arrival,
        origin=Origin.SHADOW,
        lease=None,
        source=str(asked.arrival.id),
        fixed=Plan((route,), plan.retry, plan.cooldown),
    )
    try:
        await carry_out(relay, live, copied, never_leaves, Reply(_nowhere, str(arrival.id).encode()))
    except Exception:
        log.exception("a shadow copy failed", id=str(arrival.id))
    finally:
        relay.copies -= 1


async def never_leaves() -> dict[str, Any]:
    """A client that does not leave."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _nowhere(message: dict[str, Any]) -> None:
    """A client that is not there."""
