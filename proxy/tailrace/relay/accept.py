"""A completion's request, read whole and checked: from here on it has a place in the log, and an answer owed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailrace.records import Endpoint, Origin
from tailrace.relay.asked import Arrival, Prepared
from tailrace.relay.body import read_body
from tailrace.relay.guard import Receive
from tailrace.relay.live import Connection, Live, Relay
from tailrace.relay.outbound import Header
from tailrace.relay.outgoing import prepare
from tailrace.relay.routing import Plan, plan, sticky_key
from tailrace.settings import Settings
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.request import Request, read_request
from tailrace.wire.told import Told, read_told


@dataclass(frozen=True, slots=True)
class Accepted:
    """As `Asked`, of a parsed endpoint."""

    arrival: Arrival
    wire: EndpointWire
    headers: list[Header]
    query: bytes
    body: bytes
    request: Request
    told: Told
    origin: Origin = Origin.APP
    source: str | None = None
    fixed: Plan | None = None  # where it goes, whatever its model leads to
    repeatable: bool = True
    idempotent: bool = False

    @property
    def endpoint(self) -> Endpoint:
        return self.wire.endpoint

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def stream(self) -> bool:
        return self.request.stream

    @property
    def step(self) -> int:
        return self.told.step or self.request.step

    @property
    def logged(self) -> bytes:
        return b"" if self.told.omits_request else self.body

    def plan(self, settings: Settings, caller: str | None) -> Plan:
        if self.fixed is not None:
            return self.fixed
        sticky = sticky_key(self.told.session, caller, self.told.user, self.request.first_user)
        return plan(settings, self.request.model, sticky)

    def prepare(self, connection: Connection, model: str) -> Prepared:
        return prepare(self, connection, model)


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
