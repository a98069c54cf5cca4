"""A request, read whole and checked: from here on it has an id, a place in the log, and an answer owed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tailrace.ids import uuid7
from tailrace.records import Origin
from tailrace.relay.body import read_body
from tailrace.relay.guard import Receive
from tailrace.relay.live import Live, Relay
from tailrace.relay.outbound import Header
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.request import Request, read_request
from tailrace.wire.told import Told, read_told


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a request came, and what it is called from then on."""

    id: UUID
    at_us: int  # on the journal's clock
    begun: float  # on the event loop's


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was read whole and can be routed. `source` is the completion that it copies, if any."""

    arrival: Arrival
    wire: EndpointWire
    headers: list[Header]
    query: bytes
    body: bytes
    request: Request
    told: Told
    origin: Origin = Origin.APP
    source: str | None = None


def arrive(relay: Relay) -> Arrival:
    """A request has come."""
    stamp = relay.clock.stamp()
    return Arrival(uuid7(stamp // 1_000_000, os.urandom(10)), stamp // 1000, relay.loop.time())


async def accept(
    relay: Relay, live: Live, wire: EndpointWire, arrival: Arrival, scope: Mapping[str, Any], receive: Receive
) -> Accepted:
    """Reads a request of `wire`.

    Raises:
        Refused: the process takes no more calls, or the request cannot be read.
        ClientLeft: the client went away meanwhile.
    """
    relay.admit()
    server = live.settings.server
    headers = scope["headers"]
    body = await read_body(receive, headers, limit=server.max_request_bytes, pause_s=server.body_timeout_s)
    request = read_request(body, wire)
    origin, source = relay.callers.on_behalf(headers)
    told = read_told(headers, request.parsed)
    return Accepted(arrival, wire, headers, scope["query_string"], body, request, told, origin, source)
