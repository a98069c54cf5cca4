"""What a call asks, whatever its endpoint: what is logged of it, where it may go, how it is said to a provider.

`accept.Accepted` is a completion of a parsed endpoint, `passthrough.Passed` any other call under `/v1/`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from tailrace.ids import uuid7
from tailrace.records import Endpoint, Origin
from tailrace.relay.callers import Caller
from tailrace.relay.limiting import Lease
from tailrace.relay.live import Connection, Relay
from tailrace.relay.outbound import Header
from tailrace.relay.pruning import Pruning
from tailrace.relay.routing import Plan
from tailrace.relay.tap import Tap
from tailrace.settings import Settings
from tailrace.templates.match import Templates
from tailrace.upstream.client import Outgoing
from tailrace.wire.dialect import Translation
from tailrace.wire.told import Told


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a request came, and what it is called from then on."""

    id: UUID
    at_us: int  # on the journal's clock
    begun: float  # on the event loop's


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call of a provider that can be sent, and how its answer is to be read.

    `stream_tap` makes the tap for an event stream, `body_tap` for any other body that is no error.
    """

    outgoing: Outgoing
    stream_tap: Callable[[], Tap]
    body_tap: Callable[[], Tap]
    translation: Translation | None = None
    pruning: Pruning | None = None  # None: the target has no templates
    template: str | None = None  # the id of the one whose static text was left out


class Asked(Protocol):
    """One call of a client."""

    @property
    def arrival(self) -> Arrival: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def headers(self) -> list[Header]: ...
    @property
    def model(self) -> str:
        """As the client asked for it."""

    @property
    def stream(self) -> bool: ...
    @property
    def step(self) -> int: ...
    @property
    def told(self) -> Told: ...
    @property
    def logged(self) -> bytes:
        """What START keeps as the request."""

    @property
    def origin(self) -> Origin: ...
    @property
    def source(self) -> str | None:
        """Id of the completion that this one copies."""

    @property
    def repeatable(self) -> bool:
        """It can be said twice: its body was read whole."""

    @property
    def idempotent(self) -> bool:
        """Acting on it twice is acting once."""

    @property
    def caller(self) -> Caller: ...
    @property
    def lease(self) -> Lease | None:
        """What its key's limits counted it with."""

    def plan(self, settings: Settings) -> Plan:
        """Where it goes. Raises Refused."""

    def prepare(self, connection: Connection, model: str, templates: Templates | None) -> Prepared:
        """The call of a provider, for its `model`; pruned by the target's `templates`. Raises Refused."""


def arrive(relay: Relay) -> Arrival:
    """A request has come."""
    stamp = relay.clock.stamp()
    return Arrival(uuid7(stamp // 1_000_000, os.urandom(10)), stamp // 1000, relay.loop.time())
