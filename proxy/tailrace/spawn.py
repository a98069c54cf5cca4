"""What the supervisor (`serve.py`) tells a process that it starts, and what it is told back.

    supervisor ── environment `_TAILRACE_SPEC`: Spec as JSON ──▶ child   no secret: a child loads the settings itself
    supervisor ◀── ready pipe: "ready", or "failed CODE LINE" ── child   once
    supervisor ── life pipe: never written, EOF when it dies ──▶ child   then it ends at once, flushing its log

A child's duties: `run` its body; `report_ready` when it serves; end with code 0 on SIGTERM after its work is done (a
relay: after `server.drain_s` at most), and at once, still flushing, on a second SIGTERM or when `watch` calls.
SIGHUP means: load the settings anew for what starts from now on. It inherits the folder's lock, so a folder is free
only when the last process of its supervisor is gone.
"""

import json
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tailrace.errors import TailraceError, UserError

VARIABLE: Final = "_TAILRACE_SPEC"
"""The environment variable that holds the spec. Not `TAILRACE_…`: those are settings."""
MAX_REPORT_BYTES: Final = 4096
"""Of a child's report; a pipe takes as much in one piece."""


class Role(StrEnum):
    """What a child is."""

    RELAY = "relay"
    WRITER = "writer"
    LABELLER = "labeller"


def name_of(role: Role, number: int) -> str:
    """What a process is called in logs."""
    return f"{role.value}-{number}" if role is Role.RELAY else role.value


@dataclass(frozen=True, slots=True)
class Spec:
    """All that a child is told beside its settings."""

    role: Role
    number: int  # of the relay worker, from 0; 0 for the others
    owner: str  # this incarnation: 16 hex digits, new at each start of a process
    anchor_ns: int  # Unix time minus monotonic time, nanoseconds; the same for all processes of a folder
    config: str | None  # for `settings_load.load`; the environment holds what the command line changed
    data_dir: str
    url: str  # where the relays listen
    listen_fd: int | None  # the bound, listening socket; only for a relay
    ready_fd: int
    life_fd: int

    @property
    def config_path(self) -> Path | None:
        """The settings file that was named on the command line."""
        return None if self.config is None else Path(self.config)

    @property
    def name(self) -> str:
        """What this process is called in logs: `writer`, `relay-0`, `labeller`."""
        return name_of(self.role, self.number)

    def to_json(self) -> str:
        """The text of `VARIABLE`."""
        return json.dumps(asdict(self))


def read_spec(environ: Mapping[str, str]) -> Spec:
    """The spec of this process.

    Raises:
        UserError: this process was not started by a supervisor.
    """
    text = environ.get(VARIABLE)
    if text is None:
        raise UserError("this process is started by `tailrace serve`; start that instead")
    values = json.loads(text)
    return Spec(**{**values, "role": Role(values["role"])})


class Parent:
    """The supervisor, seen from a child. Owns the two pipes."""

    def __init__(self, spec: Spec) -> None:
        self._ready_fd: int | None = spec.ready_fd
        self._life_fd = spec.life_fd
        for fd in (spec.listen_fd, spec.ready_fd, spec.life_fd):
            if fd is not None:
                os.set_inheritable(fd, False)

    def report_ready(self) -> None:
        """Say that this process does its work."""
        self._report("ready")

    def report_failed(self, error: TailraceError) -> None:
        """Say why this process cannot start: the supervisor gives up with this line instead of trying again.

        Once the process was ready this does nothing.
        """
        code = 2 if isinstance(error, UserError) else 1
        self._report(f"failed {code} {error}")

    def watch(self, loop: AbstractEventLoop, on_death: Callable[[], None]) -> None:
        """Call `on_death` once when the supervisor has died: end at once then, and still flush the log."""

        def gone() -> None:
            loop.remove_reader(self._life_fd)
            on_death()

        loop.add_reader(self._life_fd, gone)

    def _report(self, text: str) -> None:
        if self._ready_fd is None:
            return
        fd, self._ready_fd = self._ready_fd, None
        try:
            os.write(fd, text.encode(errors="backslashreplace")[:MAX_REPORT_BYTES])
        except BrokenPipeError:
            return  # the supervisor is gone; the life pipe says so too
        finally:
            os.close(fd)


def run(body: Callable[[Spec, Parent], None]) -> int:
    """The `__main__` of a child: read the spec, run `body`, turn an error of ours into a report and an exit code.

    `body` returns when the process has ended in order; an error it raises before `report_ready` reaches the user.
    """
    spec = read_spec(os.environ)
    parent = Parent(spec)
    try:
        body(spec, parent)
    except TailraceError as error:
        parent.report_failed(error)
        return 2 if isinstance(error, UserError) else 1
    return 0
