"""The supervisor with tiny processes in place of the writer and the relays: they tell what happens to them."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tailrace import datadir
from tailrace.children import Backoff
from tailrace.errors import UserError
from tailrace.keys import SNAPSHOT, Key, KeyKind, snapshot
from tailrace.serve import needs_restart
from tailrace.settings import Chains, Server, Settings

GUARD_S: Final = 30.0
QUICK: Final = "[server]\nport = 0\ndrain_s = 0\n"

CHILD: Final = """
import asyncio, os, signal, socket, sys
from pathlib import Path
from tailrace import spawn
from tailrace.errors import UserError, WorkFailed

def say(spec, event):
    try:
        fd = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # nobody listens any more: the test is over, and so is this process soon
    os.write(fd, f"{spec.role} {event} {os.getpid()} {spec.owner} {spec.number}\\n".encode())
    os.close(fd)

def crashes_left():
    path = Path(os.environ["CRASHES"])
    left = int(path.read_text()) if path.exists() else 0
    path.write_text(str(left - 1))
    return left > 0

async def serve(spec, parent):
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    asked = []
    def term():
        asked.append(1)
        say(spec, "term")
        patience = {"drains": 2, "deaf": 99}.get(os.environ.get(f"{spec.role}_IS".upper()), 1)
        if len(asked) >= patience:
            over.set()
    def orphan():
        say(spec, "orphan")
        if os.environ.get(f"{spec.role}_IS".upper()) != "deaf":
            over.set()
    loop.add_signal_handler(signal.SIGTERM, term)
    loop.add_signal_handler(signal.SIGHUP, lambda: say(spec, "hup-" + Path(spec.config).read_text().strip()))
    parent.watch(loop, orphan)
    if spec.listen_fd is not None:
        async def greet(reader, writer):
            writer.write(f"{spec.anchor_ns} {os.environ['TAILRACE_LOG__DATA_DIR']}".encode())
            writer.close()
        await asyncio.start_server(greet, sock=socket.socket(fileno=spec.listen_fd))
    parent.report_ready()
    say(spec, "ready")
    await over.wait()

def body(spec, parent):
    say(spec, "start")
    is_ = os.environ.get(f"{spec.role}_IS".upper())
    if is_ == "wrong":
        raise UserError("the store is newer than this code")
    if is_ == "failing":
        raise WorkFailed("migration 2 failed")
    if is_ == "crashing" and crashes_left():
        os._exit(9)
    asyncio.run(serve(spec, parent))
    say(spec, "end")

sys.exit(spawn.run(body))
"""

DRIVER: Final = """
import os, sys
from pathlib import Path
from tailrace.children import Backoff
from tailrace.errors import TailraceError, UserError
from tailrace.serve import Launch, Patience, serve
from tailrace.spawn import Role

launch = Launch(
    config=Path("t.toml"),
    environ=os.environ,
    anchor=lambda data_dir: 77,
    announce=lambda url, data_dir: print(url, data_dir, flush=True),
    modules={Role.WRITER: "fake_child", Role.RELAY: "fake_child"},
    patience=Patience(relay_s=float(os.environ.get("RELAY_S", "20"))),
    backoff=lambda: Backoff(first_s=0.001, longest_s=0.004),
)
try:
    serve(launch)
except TailraceError as error:
    print(error, file=sys.stderr)
    sys.exit(2 if isinstance(error, UserError) else 1)
"""


class Lines:
    """Lines that other processes write into a named pipe."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, self.fd)
        self._rest = b""

    def next(self) -> str:
        """The next line, as soon as it is there."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.fd], [], [], GUARD_S)
            assert ready, f"no line came for {GUARD_S} s"
            self._rest += os.read(self.fd, 65_536)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def all(self) -> list[str]:
        """What is there now."""
        with suppress(BlockingIOError):
            self._rest += os.read(self.fd, 2**20)
        lines, self._rest = self._rest.decode().splitlines(), b""
        return lines


class Stage:
    """A folder with a supervisor to start in it, and what its processes say."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._stack = stack
        self._events = Lines(folder / "events", stack)
        self.errors = Lines(folder / "stderr", stack)
        (folder / "fake_child.py").write_text(CHILD)
        self.configure(QUICK)

    def configure(self, text: str) -> None:
        (self.folder / "t.toml").write_text(text)

    def start(self, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder),
                "EVENTS": str(self._events.path),
                "CRASHES": str(self.folder / "crashes"),
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=self.errors.fd,
            start_new_session=True,  # a process group to send Ctrl-C to
            text=True,
        )
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def next(self) -> list[str]:
        """The next thing that a process said: role, event, pid, owner, number."""
        return self._events.next().split()

    def until(self, role: str, event: str) -> list[list[str]]:
        """All that is said up to and with this."""
        said = [self.next()]
        while said[-1][:2] != [role, event]:
            said.append(self.next())
        return said

    def up(self, process: subprocess.Popen[str]) -> str:
        """Wait for the ready line; the URL in it."""
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.errors.all()
        return line.split()[0]

    def log(self) -> list[dict[str, object]]:
        """The supervisor's log until now, each line of it JSON."""
        return [json.loads(line) for line in self.errors.all()]

    def logged(self, event: str) -> dict[str, object]:
        """The next line of the log that says `event`."""
        while (line := json.loads(self.errors.next()))["event"] != event:
            pass
        assert isinstance(line, dict)
        return line


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


def greeting(url: str) -> str:
    with closing(socket.create_connection(address(url), timeout=GUARD_S)) as client:
        return client.makefile().read()


def test_the_writer_is_ready_before_a_relay_starts_and_ends_after_all_relays(stage: Stage) -> None:
    process = stage.start(TAILRACE_SERVER__WORKERS="2")
    url = stage.up(process)
    assert greeting(url) == "77 data"
    started = [stage.next()[:2] for _ in range(6)]
    assert started[:2] == [["writer", "start"], ["writer", "ready"]]
    assert sorted(started[2:]) == [["relay", "ready"]] * 2 + [["relay", "start"]] * 2
    process.terminate()
    assert process.wait(GUARD_S) == 0
    ended = [line[:2] for line in stage.until("writer", "end")]
    assert ended[-2:] == [["writer", "term"], ["writer", "end"]]
    assert ended.count(["relay", "end"]) == 2
    assert {"ready", "stopping", "stopped"} <= {line["event"] for line in stage.log()}


@pytest.mark.parametrize("role", ["relay", "writer"])
def test_a_killed_process_is_started_again_as_another(stage: Stage, role: str) -> None:
    process = stage.start()
    url = stage.up(process)
    said = stage.until("relay", "ready")
    old = next(line for line in said if line[:2] == [role, "ready"])
    os.kill(int(old[2]), signal.SIGKILL)
    new = stage.until(role, "ready")[-1]
    assert new[2] != old[2]
    assert new[3] != old[3], "an incarnation has an owner id of its own"
    assert greeting(url)
    process.send_signal(signal.SIGINT)
    assert process.wait(GUARD_S) == 0
    assert stage.logged("child ended unasked")["code"] == -signal.SIGKILL


def test_when_the_supervisor_is_killed_its_processes_end_and_the_folder_becomes_free(stage: Stage) -> None:
    process = stage.start()
    stage.up(process)
    stage.until("relay", "ready")
    process.kill()
    process.wait(GUARD_S)
    said: set[tuple[str, ...]] = set()
    while not {("relay", "end"), ("writer", "end")} <= said:
        said.add(tuple(stage.next()[:2]))
    assert {("relay", "orphan"), ("writer", "orphan")} <= said
    with datadir.hold(stage.data, patience_s=GUARD_S):
        pass
    stage.up(stage.start())  # and a new one starts in the same folder


def test_while_a_process_of_a_killed_supervisor_lives_the_folder_is_not_free(stage: Stage) -> None:
    process = stage.start(RELAY_IS="deaf")
    stage.up(process)
    said = stage.until("relay", "ready")
    process.kill()
    process.wait(GUARD_S)
    with pytest.raises(UserError, match="left behind"), datadir.hold(stage.data, patience_s=0):
        pass
    os.kill(int(said[-1][2]), signal.SIGKILL)
    with datadir.hold(stage.data, patience_s=GUARD_S):
        pass


def test_ctrl_c_on_a_terminal_reaches_only_the_supervisor(stage: Stage) -> None:
    process = stage.start()
    stage.up(process)
    stage.until("relay", "ready")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(GUARD_S) == 0
    assert [line[1] for line in stage.until("writer", "end")] == ["term", "end", "term", "end"]


def test_a_start_right_after_a_kill_waits_for_what_the_old_one_left(stage: Stage) -> None:
    process = stage.start()
    stage.up(process)
    process.kill()
    process.wait(GUARD_S)
    stage.up(stage.start())


def test_a_second_signal_hurries(stage: Stage) -> None:
    process = stage.start(RELAY_IS="drains")
    stage.up(process)
    stage.until("relay", "ready")
    process.terminate()
    stage.until("relay", "term")
    process.terminate()
    assert [line[:2] for line in stage.until("writer", "end")] == [
        ["relay", "term"],
        ["relay", "end"],
        ["writer", "term"],
        ["writer", "end"],
    ]
    assert process.wait(GUARD_S) == 0


def test_a_relay_that_does_not_end_is_killed_and_the_writer_still_ends_in_order(stage: Stage) -> None:
    process = stage.start(RELAY_IS="deaf", RELAY_S="0.05")
    stage.up(process)
    process.terminate()
    assert process.wait(GUARD_S) == 0
    assert ["relay", "end"] not in [line[:2] for line in stage.until("writer", "end")]
    assert "child did not end in time and is killed" in {line["event"] for line in stage.log()}


@pytest.mark.parametrize(
    ("role", "is_", "code", "says"),
    [
        ("WRITER", "wrong", 2, "the store is newer than this code"),
        ("WRITER", "failing", 1, "migration 2 failed"),
        ("RELAY", "wrong", 2, "the store is newer than this code"),
    ],
)
def test_a_process_that_says_why_it_cannot_start_ends_the_start(
    stage: Stage, role: str, is_: str, code: int, says: str
) -> None:
    process = stage.start(**{f"{role}_IS": is_})
    assert process.wait(GUARD_S) == code
    assert stage.errors.all()[-1] == says
    assert process.stdout is not None
    assert process.stdout.read() == ""


def test_a_process_that_crashes_at_its_start_is_tried_again(stage: Stage) -> None:
    (stage.folder / "crashes").write_text("12")
    stage.up(stage.start(WRITER_IS="crashing"))
    events = [line["event"] for line in stage.log()]
    assert events.count("child ended unasked") == 9
    assert events.count("child crashes again and again") == 3


def test_a_signal_during_the_start_ends_it(stage: Stage) -> None:
    (stage.folder / "crashes").write_text("1000000")
    process = stage.start(WRITER_IS="crashing")
    stage.until("writer", "start")
    process.terminate()
    assert process.wait(GUARD_S) == 0


def test_hup_reaches_the_relays_with_good_settings_and_not_with_bad_ones(stage: Stage) -> None:
    process = stage.start()
    stage.up(process)
    stage.until("relay", "ready")
    stage.configure("[server]\nprot = 1\n")
    process.send_signal(signal.SIGHUP)
    in_force = stage.data / datadir.SETTINGS
    refusal = stage.logged("settings not reloaded, the old ones stay in force")
    assert str(refusal["why"]).startswith("t.toml:2: server.prot: unknown key")
    assert in_force.read_text() == QUICK
    stage.configure("#new")
    process.send_signal(signal.SIGHUP)
    assert stage.next()[:2] == ["relay", "hup-#new"]
    assert in_force.read_text() == "#new"
    assert stage.logged("these settings change with a restart only")["settings"] == ["server.port"]


def test_the_port_is_taken(stage: Stage) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        assert stage.start(TAILRACE_SERVER__PORT=str(port)).wait(GUARD_S) == 2
    assert f"127.0.0.1:{port}: cannot listen (Address already in use): something else" in stage.errors.next()
    assert not stage.data.exists()


def test_the_folder_is_held(stage: Stage) -> None:
    with datadir.hold(stage.data):
        assert stage.start().wait(GUARD_S) == 2
    assert stage.errors.next().startswith(f"data folder data: held by process {os.getpid()}; stop it, or")


def test_the_folder_cannot_be_made(stage: Stage) -> None:
    (stage.folder / "file").write_text("")
    assert stage.start(TAILRACE_LOG__DATA_DIR="file/data").wait(GUARD_S) == 2
    assert stage.errors.next().startswith("data folder file/data: cannot be written (Not a directory); make it")


def test_an_empty_folder_becomes_private_and_the_counters_are_of_this_start(stage: Stage) -> None:
    stage.data.mkdir()
    stage.data.chmod(0o755)
    process = stage.start()
    stage.up(process)
    process.terminate()
    assert process.wait(GUARD_S) == 0
    stale = stage.data / datadir.METRICS / "counter_1.db"
    stale.write_text("old")
    stage.up(stage.start())
    assert not stale.exists()
    for path in (stage.data, *stage.data.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_folder_that_held_something_keeps_its_mode(stage: Stage) -> None:
    (stage.data / "of others").mkdir(parents=True)
    stage.data.chmod(0o755)
    stage.up(stage.start())
    assert stat.S_IMODE(stage.data.stat().st_mode) == 0o755, "else `--data-dir /tmp` would lock everyone out of it"
    for name in (datadir.LOCK, datadir.RUN):
        assert stat.S_IMODE((stage.data / name).stat().st_mode) & 0o077 == 0, name


def test_an_address_that_others_can_reach_needs_an_admin_key(stage: Stage) -> None:
    assert stage.start(TAILRACE_SERVER__HOST="0.0.0.0").wait(GUARD_S) == 2
    assert "server.host 0.0.0.0: others can reach this address, and there is no admin key yet" in stage.errors.next()
    key = Key(id="key_1", hash=bytes(32), kind=KeyKind.ADMIN, name="ada", created_us=1)
    for kept in (replace(key, revoked_us=5), replace(key, expires_us=5), replace(key, kind=KeyKind.READ)):
        stage.data.mkdir(exist_ok=True)
        (stage.data / SNAPSHOT).write_bytes(snapshot([kept], 1))
        assert stage.start(TAILRACE_SERVER__HOST="0.0.0.0").wait(GUARD_S) == 2, kept
    (stage.data / SNAPSHOT).write_bytes(snapshot([key], 1))
    stage.up(stage.start(TAILRACE_SERVER__HOST="0.0.0.0"))


def test_an_admin_key_in_the_settings_will_do(stage: Stage) -> None:
    stage.up(stage.start(TAILRACE_SERVER__HOST="0.0.0.0", TAILRACE_KEYS__ADMIN="env:ADMIN", ADMIN="a" * 40))


def test_pauses_between_crashes_double_and_begin_anew_after_a_steady_time() -> None:
    backoff = Backoff()
    pauses = [backoff.crashed(float(n), 0.0) for n in range(8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.crashed(100.0, 60.0) == 0.1


def test_ten_crashes_within_a_minute_are_a_loop() -> None:
    backoff = Backoff()
    for n in range(9):
        backoff.crashed(float(n), 0.0)
    assert not backoff.is_looping()
    backoff.crashed(59.0, 0.0)
    assert backoff.is_looping()
    backoff.crashed(500.0, 0.0)
    assert not backoff.is_looping()


def test_which_settings_need_a_restart() -> None:
    assert needs_restart(Settings(), Settings()) == []
    assert needs_restart(Settings(), Settings(server=Server(drain_s=1))) == []
    changed = Settings(server=Server(workers=2), chains=Chains(idle_s=1))
    assert needs_restart(Settings(), changed) == ["server.workers", "chains"]
