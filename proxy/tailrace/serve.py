"""The supervisor behind `tailrace serve`: holds the data folder and the port, keeps the processes running, ends them.

    lock ─▶ socket ─▶ writer ready ─▶ relays ready ─▶ announce ─▶ (signals) ─▶ relays end ─▶ writer ends ─▶ exit 0
                                      labeller, where there are classifiers: begun after, ended with the relays

SIGTERM and SIGINT end in order: relays first, so that the writer files their last records. A second one hurries both.
SIGHUP loads the settings anew; a bad file leaves the old ones in force, also for a process that is restarted later: the
children read a copy, `run/settings.toml`, that is only ever replaced by settings found good. Serves no call itself.
"""

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from tailrace import datadir
from tailrace.children import Backoff, Child, Plan
from tailrace.errors import TailraceError, UserError
from tailrace.keys import SNAPSHOT, KeyKind, NoKey, read_snapshot
from tailrace.limits.table import LimitTable
from tailrace.listen import is_loopback, listen, url_of
from tailrace.logging import configure
from tailrace.settings import Settings
from tailrace.settings_load import config_hash, load_with_text
from tailrace.spawn import Role

MODULES: Final = {
    Role.WRITER: "tailrace.writer.process",
    Role.RELAY: "tailrace.relay.app",
    Role.LABELLER: "tailrace.labeller.process",
}
_DESCRIPTORS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the end of a process is waited for before it is killed, seconds."""

    relay_s: float = 5.0  # beyond `server.drain_s`
    relay_hurried_s: float = 3.0
    writer_s: float = 15.0
    writer_hurried_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What to serve: where the settings are, and what a test may swap."""

    config: Path | None
    environ: Mapping[str, str]
    anchor: Callable[[Path], int]  # data folder → `Spec.anchor_ns`
    announce: Callable[[str, Path], None]  # (URL, data folder), once, when all processes are ready
    modules: Mapping[Role, str] = field(default_factory=lambda: MODULES)
    patience: Patience = field(default_factory=Patience)
    backoff: Callable[[], Backoff] = Backoff


def serve(launch: Launch) -> None:
    """Serve until SIGTERM or SIGINT; returns when every process has ended.

    Raises:
        UserError: the settings, the data folder or the address; nothing was started.
        WorkFailed: a process said at its first start that it cannot work.
    """
    settings, text = load_with_text(launch.config, launch.environ)
    os.umask(0o077)
    configure(settings.log.level, process="supervisor")
    _raise_descriptor_limit()
    data_dir = settings.log.data_dir
    _must_be_guarded(settings)
    with ExitStack() as stack:
        lock_fd, listener = _hold_and_listen(stack, settings)
        with LimitTable(data_dir) as limits:
            limits.begin_anew()
        life_fd, life_end = os.pipe()
        stack.callback(os.close, life_fd)
        stack.callback(os.close, life_end)
        plan = Plan(
            modules=launch.modules,
            environ=_child_environ(launch.environ, data_dir, datadir.prepare_run(data_dir)),
            anchor_ns=launch.anchor(data_dir),
            config=str(datadir.put_settings(data_dir, text)),
            data_dir=str(data_dir),
            url=url_of(listener),
            lock_fd=lock_fd,
            life_fd=life_fd,
            listen_fd=listener.fileno(),
        )
        asyncio.run(Supervisor(launch, plan, settings, listener).run())


def _must_be_guarded(settings: Settings) -> None:
    """Raises UserError: others could reach the proxy, and nobody could let in or shut out any of them."""
    host, data_dir = settings.server.host, settings.log.data_dir
    if is_loopback(host) or settings.keys.admin is not None:
        return
    try:
        kept = read_snapshot((data_dir / SNAPSHOT).read_bytes())
    except (NoKey, OSError):
        kept = {}
    now_us = time.time_ns() // 1000
    if not any(key.kind is KeyKind.ADMIN and key.is_open(now_us) for key in kept.values()):
        raise UserError(
            f"server.host {host}: others can reach this address, and there is no admin key yet; "
            f"make one with `tailrace keys create NAME --admin --data-dir {data_dir}`, or set [keys] admin"
        )


def _hold_and_listen(stack: ExitStack, settings: Settings) -> tuple[int, socket.socket]:
    """The data folder, then the address: whoever holds the one has the other, and is the thing to tell of.

    A folder that is not there is held by nobody, and is not made for an address that cannot be had.
    """
    data_dir, server = settings.log.data_dir, settings.server
    first = None if os.path.lexists(data_dir) else stack.enter_context(listen(server.host, server.port))
    lock_fd = stack.enter_context(datadir.hold(data_dir))
    return lock_fd, first or stack.enter_context(listen(server.host, server.port))


def _raise_descriptor_limit() -> None:
    """Take as many file descriptors as this user may have: a call needs two, and shells give 1,024 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # the system may bound it lower than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _child_environ(environ: Mapping[str, str], data_dir: Path, metrics: Path) -> dict[str, str]:
    """The supervisor's environment, with the folder pinned: it is held, whatever a changed file says."""
    return {**environ, "TAILRACE_LOG__DATA_DIR": str(data_dir), "PROMETHEUS_MULTIPROC_DIR": str(metrics.absolute())}


class Supervisor:
    """Keeps one writer and the relay workers of one data folder running."""

    def __init__(self, launch: Launch, plan: Plan, settings: Settings, listener: socket.socket) -> None:
        self._launch = launch
        self._settings = self._begun_with = settings
        self._listener = listener
        self._writer = Child(Role.WRITER, 0, plan, launch.backoff())
        self._relays = [Child(Role.RELAY, n, plan, launch.backoff()) for n in range(settings.server.workers)]
        labels = any(classifier.mode != "off" for classifier in settings.classifiers.values())
        self._labellers = [Child(Role.LABELLER, 0, plan, launch.backoff())] if labels else []
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._log = structlog.get_logger("tailrace.serve")

    async def run(self) -> None:
        """From the first process's start to the last one's end.

        Raises:
            UserError, WorkFailed: a process said at its first start that it cannot work.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        failure: TailraceError | None = None
        async with asyncio.TaskGroup() as group:
            try:
                await self._start(group)
                await self._stopping.wait()
            except TailraceError as exc:
                failure = exc
            await self._end()
        if failure is not None:
            raise failure
        self._log.info("stopped")

    async def _start(self, group: asyncio.TaskGroup) -> None:
        for stage in ([self._writer], self._relays):
            for child in stage:
                group.create_task(child.keep(), name=child.name)
            for child in stage:
                await child.first_ready()
        if not self._stopping.is_set():
            url = url_of(self._listener)
            self._log.info("ready", url=url, config=config_hash(self._settings))
            self._launch.announce(url, self._settings.log.data_dir)
            for child in self._labellers:  # nobody waits for it
                group.create_task(child.keep(), name=child.name)

    async def _end(self) -> None:
        patience = self._launch.patience
        relay_s = self._settings.server.drain_s + patience.relay_s
        await self._end_stage([*self._labellers, *self._relays], relay_s, patience.relay_hurried_s)
        self._listener.close()  # until now calls were refused in words; a connection that nobody takes would hang
        await self._end_stage([self._writer], patience.writer_s, patience.writer_hurried_s)

    async def _end_stage(self, children: Sequence[Child], patience_s: float, hurried_s: float) -> None:
        """Ask `children` to end and wait; hurry them when asked to; kill those that have not ended in time."""
        for child in children:
            child.end()
        try:
            async with (
                asyncio.timeout(hurried_s if self._hurried.is_set() else patience_s) as deadline,
                asyncio.TaskGroup() as group,
            ):
                hurrying = group.create_task(self._hurry(children, deadline, hurried_s))
                for child in children:
                    await child.ended()
                hurrying.cancel()
        except TimeoutError:
            self._log.warning("child did not end in time and is killed", children=[child.name for child in children])
            for child in children:
                child.kill()
            for child in children:
                await child.ended()

    async def _hurry(self, children: Sequence[Child], deadline: asyncio.Timeout, hurried_s: float) -> None:
        if self._hurried.is_set():
            return  # they were just asked; the writer files what the relays left
        await self._hurried.wait()
        if not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time() + hurried_s)
        for child in children:
            child.hurry()

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._hurried.set()
            return
        self._log.info("stopping", drain_s=self._settings.server.drain_s)
        self._stopping.set()
        if not self._writer.was_ready:
            self._writer.end()
        for child in (*self._labellers, *self._relays):
            child.end()

    def _reload(self) -> None:
        data_dir = self._begun_with.log.data_dir
        try:
            settings, text = load_with_text(self._launch.config, self._launch.environ)
            datadir.put_settings(data_dir, text)
        except UserError as exc:
            self._log.warning("settings not reloaded, the old ones stay in force", why=str(exc))
            return
        self._settings = settings
        late = needs_restart(self._begun_with, settings)
        if late:
            self._log.warning("these settings change with a restart only", settings=late)
        self._log.info("settings reloaded", config=config_hash(settings))
        for child in (*self._relays, *self._labellers):
            child.reload()


def needs_restart(old: Settings, new: Settings) -> list[str]:
    """The settings that differ and that only a restart puts in force."""
    pairs = {
        "server.host": (old.server.host, new.server.host),
        "server.port": (old.server.port, new.server.port),
        "server.workers": (old.server.workers, new.server.workers),
        "log": (old.log, new.log),
        "store": (old.store, new.store),
        "chains": (old.chains, new.chains),
        "the first classifier": (bool(old.classifiers), bool(new.classifiers)),
    }
    return [name for name, (before, after) in pairs.items() if before != after]
