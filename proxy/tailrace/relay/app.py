"""The relay's composition root: opens what a relay process needs, in order, serves, and closes it in reverse.

tasks ▸ journal ▸ provider pools ▸ Litestar ▸ uvicorn on the supervisor's socket
"""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
import uvicorn
import uvloop
from litestar import Litestar

from tailrace import collector, spawn
from tailrace.clock import Clock
from tailrace.errors import SettingsError
from tailrace.internal import CALLERS_FILE
from tailrace.journal.journal import Journal
from tailrace.limits.table import LimitTable
from tailrace.logging import configure
from tailrace.relay.api.catalog import ModelRoutes
from tailrace.relay.api.completions import completion_routes, other_routes
from tailrace.relay.api.feedback import feedback_route
from tailrace.relay.api.labels import label_routes
from tailrace.relay.api.ops import ops_routes
from tailrace.relay.callers import Callers
from tailrace.relay.completion import carry_out
from tailrace.relay.connections import open_live
from tailrace.relay.joined import JoinedProtocol
from tailrace.relay.keyring import open_keyring
from tailrace.relay.limiting import Limiter
from tailrace.relay.live import Relay
from tailrace.relay.own_calls import OwnCalls
from tailrace.settings import SIMULATED, Provider, Settings
from tailrace.settings_load import load
from tailrace.simulate.dialogues import load as load_dialogues
from tailrace.simulate.dialogues import packaged
from tailrace.simulate.labelling.gold import load as load_gold
from tailrace.simulate.simulator import Simulator
from tailrace.upstream.client import Upstream, open_upstream
from tailrace.upstream.simulated import SimulatedTransport

_SECRET_BYTES: Final = 32
_KEEP_ALIVE_S: Final = 75
_REPORT_S: Final = 1.0
_FLUSH_S: Final = 2.0
"""After the drain limit: how long cut calls have to write their END and say so to their clients."""

log = structlog.get_logger("tailrace.relay")


def build_app(relay: Relay) -> Litestar:
    """The HTTP application over one process's state."""
    models = ModelRoutes(relay)
    return Litestar(
        route_handlers=[
            *completion_routes(relay),
            models.list_route(),
            feedback_route(relay),
            *ops_routes(relay),
            *label_routes(relay),
            other_routes(relay, models),
        ],
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


@asynccontextmanager
async def open_relay(
    settings: Settings, *, owner: str, worker: int, anchor_ns: int, data_dir: Path
) -> AsyncIterator[Relay]:
    """The state of a relay process: its journal and its providers, closed again in reverse order."""
    clock = Clock(anchor_ns)
    kept = Journal(data_dir / "journal", owner, clock, settings.log, workers=settings.server.workers)
    with LimitTable(data_dir) as table:
        table.forget_worker(worker)
        async with asyncio.TaskGroup() as tasks, kept as journal:
            relay = Relay(
                live=open_live(settings, open_simulator),
                journal=journal,
                clock=clock,
                owner=owner,
                limiter=Limiter(table, worker, clock.now_us),
                callers=Callers(_callers_secret(data_dir), open_keyring(data_dir, settings.keys, time.time)),
                tasks=tasks,
            )
            relay.models = OwnCalls(relay, carry_out)
            reports = tasks.create_task(_report_regularly(relay))
            try:
                yield relay
            finally:
                reports.cancel()
                await relay.live.aclose()


async def _report_regularly(relay: Relay) -> None:
    """Gauges are files that whichever worker is scraped reads, so each worker brings its own up to date; and takes the
    keys that the writer has published, and the students that the labeller has put there or taken away."""
    while True:
        relay.report()
        relay.callers.keyring.refresh()
        for serving in relay.live.servings:
            await serving.refresh()
        await asyncio.sleep(_REPORT_S)


def open_simulator(settings: Settings) -> Upstream:
    """The simulated provider, in this process."""
    path = settings.simulator.dialogues
    gold = load_gold(settings.simulator.gold)
    simulator = Simulator(dialogues=load_dialogues(path) if path else packaged(), gold=gold)
    return open_upstream(SIMULATED, Provider(base_url="http://simulator.invalid/v1"), SimulatedTransport(simulator))


async def serve(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """Serves until the supervisor says stop, then drains."""
    settings = load(spec.config_path, os.environ)
    listening = socket.socket(fileno=spec.listen_fd)
    opened = open_relay(
        settings, owner=spec.owner, worker=spec.number, anchor_ns=spec.anchor_ns, data_dir=Path(spec.data_dir)
    )
    async with opened as relay:
        server = _Server(build_app(relay), parent, settings.server.trusted_proxies)
        stop = _Stop(relay, server)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.asked)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal's Ctrl-C: the supervisor tells us
        loop.add_signal_handler(signal.SIGHUP, lambda: _reload(relay, spec))
        parent.watch(loop, stop.at_once)
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers; says when it is ready."""

    def __init__(self, app: Litestar, parent: spawn.Parent, trusted: Sequence[str]) -> None:
        super().__init__(
            uvicorn.Config(
                app, loop="none", http=JoinedProtocol, ws="none", lifespan="off", log_config=None, access_log=False,
                proxy_headers=bool(trusted), forwarded_allow_ips=list(trusted), server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=int(_FLUSH_S),
            )
        )  # fmt: skip
        self._parent = parent

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        collector.spare()
        self._parent.report_ready()


class _Stop:
    """The way down: refuse new calls, let running ones end within the drain limit, cut the rest, stop the server."""

    def __init__(self, relay: Relay, server: uvicorn.Server) -> None:
        self._relay = relay
        self._server = server

    def asked(self) -> None:
        """SIGTERM: drain. A second one: now."""
        if self._relay.draining:
            self._relay.cut_all()
            return
        self._relay.draining = True
        self._relay.tasks.create_task(self._drain())

    def at_once(self) -> None:
        """The supervisor is gone: nobody will ask again."""
        self.asked()
        self._relay.cut_all()

    async def _drain(self) -> None:
        relay = self._relay
        log.info("draining", in_flight=relay.in_flight)
        if relay.in_flight > relay.classifying:
            await _wait(relay.idle, relay.live.settings.server.drain_s)
        if relay.in_flight:
            if relay.in_flight > relay.classifying:
                log.warning("drain limit over, cutting running calls", in_flight=relay.in_flight)
            relay.cut_all()
            await _wait(relay.empty, _FLUSH_S)
        self._server.should_exit = True


async def _wait(event: asyncio.Event, limit_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()


def _reload(relay: Relay, spec: spawn.Spec) -> None:
    """SIGHUP: new calls get the new settings; running calls keep theirs. A bad file changes nothing."""
    try:
        live = open_live(load(spec.config_path, os.environ), open_simulator)
    except SettingsError as error:
        log.error("reload refused, the old settings stay", reason=str(error))  # noqa: TRY400 - the line says it all
        return
    relay.reload(live)
    relay.callers.keyring.adopt(live.settings.keys)
    log.info("reloaded", config=relay.live.config_hash)


def _callers_secret(data_dir: Path) -> bytes:
    """The secret that names callers; made once per data folder, shared by its workers."""
    path = data_dir / CALLERS_FILE
    if not path.exists():
        made = data_dir / f"{CALLERS_FILE}.{os.getpid()}"
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        with suppress(FileExistsError):  # another worker was first: its secret is the folder's
            path.hardlink_to(made)
        made.unlink()
    return path.read_bytes()


def main(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """The body of a relay process."""
    configure(load(spec.config_path, os.environ).log.level, process=spec.name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(spec, parent))


if __name__ == "__main__":
    sys.exit(spawn.run(main))
