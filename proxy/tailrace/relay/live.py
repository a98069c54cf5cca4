"""What all calls of a relay process share. `Relay` lives as long as the process, `Live` as long as a configuration."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailrace import metrics
from tailrace.classify.cascade import Cascade
from tailrace.classify.complete import Complete
from tailrace.classify.last import LastLabels
from tailrace.classify.serving import Serving
from tailrace.clock import Clock
from tailrace.errors import Code, LogUnavailable, Refused
from tailrace.ids import uuid7
from tailrace.journal.journal import Journal
from tailrace.records import Gap, Origin
from tailrace.relay.cache import ResponseCache
from tailrace.relay.callers import Callers
from tailrace.relay.guard import Cause, Guard
from tailrace.relay.health import Health
from tailrace.relay.limiting import Limiter
from tailrace.relay.outbound import Header
from tailrace.relay.retry import RetryBudget
from tailrace.settings import Settings
from tailrace.templates.match import Templates
from tailrace.upstream.client import Upstream
from tailrace.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Connection:
    """A provider as the relay uses it. `prefix` and `query` belong to each call's path; `{model}` is filled in."""

    upstream: Upstream
    dialect: Dialect
    prefix: str
    query: bytes
    headers: tuple[Header, ...]
    credential: Header | None  # the settings' own
    name_credential: Callable[[bytes], Header]  # the header for a key that the caller brought
    takes_callers_key: bool
    stream_usage: bool
    max_answer_bytes: int


@dataclass(frozen=True, slots=True)
class Live:
    """A configuration in force. A reload makes a new one; a running call keeps the one it began with."""

    settings: Settings
    connections: Mapping[str, Connection]
    budgets: Mapping[str, RetryBudget]  # by provider
    caches: Mapping[str, ResponseCache]  # by alias, of those that have one
    config_hash: str
    templates: Mapping[Path, Templates] = field(default_factory=dict)  # by file, of the targets that have one
    cascades: tuple[Cascade, ...] = ()  # of the classifiers that stand before the call
    servings: tuple[Serving, ...] = ()  # their students
    last_labels: LastLabels = field(default_factory=LastLabels)

    async def aclose(self) -> None:
        """Closes the providers' pools. Calls still running on them end as truncated."""
        for connection in self.connections.values():
            await connection.upstream.aclose()


@dataclass(slots=True)
class Relay:
    """The state of one relay process."""

    live: Live
    journal: Journal
    clock: Clock
    owner: str
    callers: Callers
    limiter: Limiter
    tasks: asyncio.TaskGroup
    models: Complete | None = None  # by which classifiers ask
    health: Health = field(default_factory=Health)
    calls: dict[Guard, Live] = field(default_factory=dict)
    copies: int = 0  # running now
    in_flight: int = 0
    classifying: int = 0  # of them, those that a classifier makes: a shutdown waits for none
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # none but those
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _gaps: dict[str, int] = field(default_factory=dict)

    def admit(self) -> None:
        """Lets one more call in.

        Raises:
            Refused: 503, the process is draining, or has as many calls as it may.
        """
        if self.draining:
            raise Refused(Code.DRAINING, "The proxy is shutting down.", status=503, retry_after_s=5)
        if self.in_flight >= self.live.settings.server.max_in_flight:
            message = "Too many calls at once (server.max_in_flight)."
            raise Refused(Code.OVERLOADED, message, status=503, retry_after_s=1)

    def entered(self, origin: Origin) -> None:
        """A call is in flight; `ended` follows, whatever becomes of it."""
        self.in_flight += 1
        self.empty.clear()
        if origin is Origin.CLASSIFIER:
            self.classifying += 1
        else:
            self.idle.clear()

    def ended(self, origin: Origin) -> None:
        """It is over."""
        self.in_flight -= 1
        self.classifying -= origin is Origin.CLASSIFIER
        if self.in_flight == self.classifying:
            self.idle.set()
        if not self.in_flight:
            self.empty.set()

    def missed(self, reason: str) -> None:
        """A call went on without the log. The count reaches the journal as soon as it takes records again."""
        self._gaps[reason] = self._gaps.get(reason, 0) + 1
        metrics.unlogged()

    def settle_gaps(self) -> None:
        """Writes the missed calls down, where the journal lets us."""
        if not self._gaps or not self.journal.healthy:
            return
        for reason, calls in list(self._gaps.items()):
            try:
                self.journal.gap(Gap(at_us=self.clock.now_us(), owner=self.owner, calls=calls, reason=reason))
            except LogUnavailable:
                return
            del self._gaps[reason]

    def new_id(self) -> bytes:
        """An id for an answer that is no completion."""
        return str(uuid7(self.clock.stamp() // 1_000_000, os.urandom(10))).encode()

    def unready(self) -> list[str]:
        """Why new calls would be refused now; empty where they would be taken."""
        reasons = []
        if self.draining:
            reasons.append("draining: the process is shutting down")
        if not self.journal.healthy:
            reasons.append("journal: the disk refused a record; new calls are refused until it takes one again")
        return reasons

    def report(self) -> None:
        """Brings the gauges up to date."""
        metrics.in_flight(self.in_flight)
        metrics.journal(self.journal.stats.bytes, healthy=self.journal.healthy)

    def reload(self, live: Live) -> None:
        """New calls get `live`; the old configuration's pools are closed after its last call."""
        retired, self.live = self.live, live
        self._close_if_unused(retired)

    def left(self, guard: Guard) -> None:
        """A call's provider part is over."""
        live = self.calls.pop(guard)
        if live is not self.live:
            self._close_if_unused(live)

    def _close_if_unused(self, retired: Live) -> None:
        if not any(live is retired for live in self.calls.values()):
            self.tasks.create_task(retired.aclose())

    def cut_all(self) -> None:
        """Ends every running call now: the drain limit is over."""
        for guard in list(self.calls):
            guard.interrupt(Cause.SHUTDOWN)
