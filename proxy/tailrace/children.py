"""One child process, kept running: started, heard, restarted with growing pauses, signalled. The supervisor's hands.

start ─▶ "ready" ─▶ (works) ─▶ exits ─▶ pause 0.1 s doubling to 5 s ─▶ start …        until `end`
  └────▶ "failed CODE LINE" at the very first start: gives up, and `first_ready` raises it
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from tailrace.errors import TailraceError, UserError, WorkFailed
from tailrace.spawn import MAX_REPORT_BYTES, VARIABLE, Role, Spec, name_of

_STEADY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What every child of one supervisor has in common."""

    modules: Mapping[Role, str]  # what `python -m` runs
    environ: Mapping[str, str]
    anchor_ns: int
    config: str  # the settings in force
    data_dir: str
    url: str
    lock_fd: int
    life_fd: int
    listen_fd: int


class Backoff:
    """How long to wait after a crash. Pure: the time comes in."""

    def __init__(self, first_s: float = 0.1, longest_s: float = 5.0, *, many: int = 10, within_s: float = 60.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self._within_s = within_s
        self._crashes: deque[float] = deque(maxlen=many)

    def crashed(self, now_s: float, lived_s: float) -> float:
        """Seconds to wait before the next start of a process that crashed at `now_s` after `lived_s`."""
        self._crashes.append(now_s)
        if lived_s >= _STEADY_S:
            self._next_s = self._first_s
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return pause_s

    def is_looping(self) -> bool:
        """Whether the last `many` crashes came `within_s`."""
        crashes = self._crashes
        return len(crashes) == crashes.maxlen and crashes[-1] - crashes[0] <= self._within_s


class Child:
    """A process of `role` that is kept running until `end`."""

    def __init__(self, role: Role, number: int, plan: Plan, backoff: Backoff) -> None:
        self.name = name_of(role, number)
        self._role = role
        self._number = number
        self._plan = plan
        self._backoff = backoff
        self._process: asyncio.subprocess.Process | None = None
        self._ready = self._was_ready = False
        self._reload_due = False
        self._ending = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()
        self._settled = asyncio.Event()  # the first start: it was ready, said why it cannot be, or was called off
        self._failure: TailraceError | None = None
        self._log = structlog.get_logger("tailrace.serve").bind(child=self.name)

    async def first_ready(self) -> None:
        """Wait until the process was ready for the first time, or `end` was called.

        Raises:
            UserError, WorkFailed: it said why it cannot start.
        """
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def keep(self) -> None:
        """Start the process, and start it again whenever it crashes; returns when it has ended after `end`."""
        self._over.clear()
        while not self._ending.is_set():
            begun_s = time.monotonic()
            code = await self._run_once()
            if self._ending.is_set() or self._failure is not None:
                break
            now_s = time.monotonic()
            pause_s = self._backoff.crashed(now_s, now_s - begun_s)
            event = "child crashes again and again" if self._backoff.is_looping() else "child ended unasked"
            self._log.error(event, code=code, restart_in_s=pause_s)
            await self._pause(pause_s)
        self._over.set()

    async def ended(self) -> None:
        """Wait until `keep` is through; at once where it was never begun."""
        await self._over.wait()

    def end(self) -> None:
        """Ask the process to end (SIGTERM), once, and do not start it again."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._settled.set()
        self._send(signal.SIGTERM)

    def hurry(self) -> None:
        """Ask a process that was asked to end to do so at once (SIGTERM again)."""
        if self._ending.is_set():
            self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process now (SIGKILL)."""
        self._send(signal.SIGKILL)

    def reload(self) -> None:
        """Ask the process to load the settings anew; one that is still starting is asked when it is ready."""
        if self._ready:
            self._send(signal.SIGHUP)
        else:
            self._reload_due = True

    @property
    def was_ready(self) -> bool:
        """Whether the process was ready at any time."""
        return self._was_ready

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _run_once(self) -> int:
        read_fd, write_fd = os.pipe()
        try:
            process = self._process = await self._start(write_fd)
        finally:
            os.close(write_fd)
        if self._ending.is_set():
            process.send_signal(signal.SIGTERM)  # `end` came while it was being started
        try:
            self._heard(await _read_report(read_fd), process.pid)
            return await process.wait()
        finally:
            self._ready = False
            os.close(read_fd)

    async def _start(self, ready_fd: int) -> asyncio.subprocess.Process:
        plan = self._plan
        listen_fd = plan.listen_fd if self._role is Role.RELAY else None
        spec = Spec(
            role=self._role,
            number=self._number,
            owner=secrets.token_hex(8),
            anchor_ns=plan.anchor_ns,
            config=plan.config,
            data_dir=plan.data_dir,
            url=plan.url,
            listen_fd=listen_fd,
            ready_fd=ready_fd,
            life_fd=plan.life_fd,
        )
        shared = (plan.lock_fd, plan.life_fd, ready_fd)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            plan.modules[self._role],
            env={**plan.environ, VARIABLE: spec.to_json()},
            pass_fds=shared if listen_fd is None else (*shared, listen_fd),
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,  # Ctrl-C on a terminal is for the supervisor, which ends the others in order
        )

    def _heard(self, report: str, pid: int) -> None:
        if report == "ready":
            self._ready = self._was_ready = True
            self._log.info("child is ready", child_pid=pid)
            self._settled.set()
            if self._reload_due:
                self._reload_due = False
                self._send(signal.SIGHUP)
        elif report:
            error = _failure(report)
            self._log.error("child cannot start", why=str(error))
            if not self._settled.is_set():
                self._failure = error
                self._settled.set()


def _failure(report: str) -> TailraceError:
    _, code, line = report.split(" ", 2)
    return UserError(line) if code == "2" else WorkFailed(line)


async def _read_report(fd: int) -> str:
    """What the child wrote before it closed its end; empty where it died without a word."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, lambda: None if readable.done() else readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(fd)
    return os.read(fd, MAX_REPORT_BYTES).decode(errors="replace")
