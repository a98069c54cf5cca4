"""A completion's request, read whole and checked: from here on it has a place in the log, and an answer owed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tailrace.errors import Refused
from tailrace.records import Endpoint, Origin
from tailrace.relay.asked import Arrival, Prepared
from tailrace.relay.body import read_body
from tailrace.relay.callers import NOBODY, Caller
from tailrace.relay.guard import Receive
from tailrace.relay.limiting import Lease
from tailrace.relay.live import Connection, Live, Relay
from tailrace.relay.outbound import Header
from tailrace.relay.outgoing import prepare
from tailrace.relay.pruning import shorten
from tailrace.relay.routing import Plan, Route, plan, sticky_key
from tailrace.settings import Settings
from tailrace.templates.match import Templates
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
    routed: str | None = None  # the model that an action gave the call to
    original: bytes | None = None  # the client's body, where an action added to it
    caller: Caller = NOBODY
    lease: Lease | None = None

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
        if self.told.omits_request:
            return b""
        return self.body if self.original is None else self.original

    @property
    def sticky(self) -> bytes:
        """By which a conversation stays with one target."""
        return sticky_key(self.told.session, self.caller.name, self.told.user, self.request.first_user)

    def plan(self, settings: Settings) -> Plan:
        if self.fixed is not None:
            return self.fixed
        return plan(settings, self.routed or self.request.model, self.sticky)

    def prepare(self, connection: Connection, model: str, templates: Templates | None) -> Prepared:
        if templates is None:
            return prepare(self, connection, model)
        short = shorten(self.endpoint, self.body, self.request.parsed, templates)
        said = self
        if short.template is not None:
            said = replace(self, body=short.body, request=replace(self.request, parsed=short.parsed))
        return replace(prepare(said, connection, model), pruning=short.outcome, template=short.template)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """As `Asked`, of a request that came whole and cannot be carried out: it goes nowhere, and is logged as refused."""

    arrival: Arrival
    endpoint: Endpoint
    headers: list[Header]
    body: bytes
    told: Told
    why: Refused
    caller: Caller
    model: str = field(default="", init=False)
    stream: bool = field(default=False, init=False)
    step: int = field(default=1, init=False)
    repeatable: bool = field(default=False, init=False)
    idempotent: bool = field(default=False, init=False)
    lease: Lease | None = field(default=None, init=False)

    @property
    def origin(self) -> Origin:
        return self.caller.origin

    @property
    def source(self) -> str | None:
        return self.caller.source

    @property
    def logged(self) -> bytes:
        return b"" if self.told.omits_request else self.body

    def plan(self, settings: Settings) -> Plan:  # noqa: ARG002 - the interface of what is asked
        raise self.why

    def prepare(self, connection: Connection, model: str, templates: Templates | None) -> Prepared:  # noqa: ARG002 - the interface of what is asked
        raise self.why


async def accept(
    relay: Relay, live: Live, wire: EndpointWire, arrival: Arrival, scope: Mapping[str, Any], receive: Receive
) -> Accepted | Unreadable:
    """Reads a request of `wire`.

    Raises:
        Refused: the process takes no more calls; the request did not come whole, or not from somebody who may make it;
            it would pass a limit of its key.
        ClientLeft: the client went away meanwhile.
    """
    relay.admit()
    server = live.settings.server
    headers = scope["headers"]
    caller = relay.callers.who(headers, arrival.at_us)
    body = await read_body(receive, headers, limit=server.max_request_bytes, pause_s=server.body_timeout_s)
    try:
        request = read_request(body, wire)
    except Refused as why:
        return Unreadable(arrival, wire.endpoint, headers, body, read_told(headers, {}), why, caller)
    caller.must_be_allowed(wire.endpoint, request.model)
    told = read_told(headers, request.parsed)
    accepted = Accepted(
        arrival, wire, headers, scope["query_string"], body, request, told, caller.origin, caller.source, caller=caller
    )
    first = partial(_first_target, accepted, live.settings)
    lease = relay.limiter.enter(caller, live.settings, request.parsed, first)
    return accepted if lease is None else replace(accepted, lease=lease)


def _first_target(accepted: Accepted, settings: Settings) -> Route:
    return accepted.plan(settings).targets[0]
