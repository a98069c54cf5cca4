"""Real processes for tests: `tailrace serve` and `tailrace simulate` on free ports, and what they kept.

Everything here waits on what it waits for (a line, a row, a ledger entry) within a guard against hanging; nothing
sleeps for luck.
"""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

PATIENCE_S: Final = 30.0
_POLL_S: Final = 0.02

Found = TypeVar("Found")


@dataclass(slots=True)
class Proxy:
    """A running proxy: its supervisor and the folder it keeps its data in."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path
    stderr: Path
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def post(self, body: Any, **headers: str) -> httpx.Response:
        """A chat completion, whole."""
        return self._client.post("/v1/chat/completions", json=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def rows(self, count: int, where: str = "1") -> list[dict[str, Any]]:
        """The log's completions that match SQL `where`, as soon as there are at least `count`, in order of arrival."""
        query = f"SELECT *, lower(hex(id)) AS hex_id FROM completion WHERE {where} ORDER BY id"
        return until(lambda: found if len(found := self.select(query)) >= count else None, f"{count} rows")

    def select(self, query: str) -> list[dict[str, Any]]:
        """What the store answers to `query`; nothing while there is no store."""
        path = self.data_dir / "tailrace.db"
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]
        except sqlite3.OperationalError:
            return []  # the schema is being made
        finally:
            connection.close()

    def children(self, role: str) -> list[int]:
        """Process ids of the supervisor's children that run the module `tailrace.<role>`."""
        found = []
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in listed:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            except OSError:
                continue
            if f"tailrace.{role}" in command:
                found.append(int(pid))
        return found

    def kill(self, role: str) -> None:
        """kill -9 to every child of a role."""
        for pid in self.children(role):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self._client.close()
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


def until(ask: Callable[[], Found | None], what: str) -> Found:
    """The first answer of `ask` that is not None."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := ask()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S:g} s in vain for {what}")
        time.sleep(_POLL_S)
    return found


@contextmanager
def process(
    *words: str, stderr: Path, environment: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of Tailrace that prints a line with its address when it is ready; gives the process and the address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TAILRACE_", "OPENAI_"))}
    with stderr.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "tailrace", *words],
            stdout=subprocess.PIPE, stderr=log, env=env | (environment or {}), text=True,
        )  # fmt: skip
    try:
        assert child.stdout is not None
        ready = re.search(r"http://\S+?:\d+", child.stdout.readline())
        assert ready is not None, f"{' '.join(words)} did not start:\n{stderr.read_text()}"
        yield child, ready[0]
    finally:
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(PATIENCE_S)
        finally:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()


@contextmanager
def proxy(
    folder: Path, config: str = "", *, data_dir: Path | None = None, words: tuple[str, ...] = ()
) -> Iterator[Proxy]:
    """A running proxy with the TOML `config`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tailrace.toml"
    path.write_text(config)
    data = data_dir or folder / "data"
    stderr = folder / "serve.log"
    command = ("serve", "--config", str(path), "--port", "0", "--data-dir", str(data), *words)
    with process(*command, stderr=stderr) as (child, url):
        yield Proxy(url, child, data, stderr)


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """A simulated provider on a port of its own; gives its base URL without `/v1`."""
    folder.mkdir(parents=True, exist_ok=True)
    with process("simulate", "--port", "0", stderr=folder / "simulate.log") as (_, url):
        yield url
