"""`tailrace serve`: its options are settings, what is in its way is told in one line, it ends when it is asked to."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from tests.running import PATIENCE_S, Proxy, proxy, until
from tests.typed import Run

pytestmark = pytest.mark.xdist_group("serve_command")

HELLO = {"model": "sim/echo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy whose file says something else than its options."""
    config = '[server]\nport = 1\nhost = "203.0.113.1"\nworkers = 1\n[log]\ndata_dir = "/nowhere"\nlevel = "error"\n'
    with proxy(tmp_path_factory.mktemp("serve"), config, words=("--host", "127.0.0.1", "--workers", "2")) as started:
        yield started


def serve(*words: str | Path) -> tuple[int, str, list[str]]:
    """`tailrace serve` that is expected to end by itself: code, output, lines of its errors that are no log lines."""
    command = [sys.executable, "-m", "tailrace", "serve", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if not line.startswith("{")]


def test_its_options_stand_over_its_file(running: Proxy) -> None:
    assert running.url.startswith("http://127.0.0.1:")
    assert len(running.children("relay.app")) == 2
    assert len(running.children("writer.process")) == 1
    assert running.post(HELLO).status_code == 200
    assert running.rows(1)
    assert "ready" not in running.stderr.read_text(), 'log.level = "error" is the file\'s own'


def test_a_second_one_in_its_folder_is_told_who_holds_it(running: Proxy) -> None:
    code, out, told = serve("--port", "0", "--data-dir", running.data_dir)
    assert (code, out) == (2, "")
    what = f"held by process {running.process.pid}; stop it, or choose another with --data-dir"
    assert told == [f"tailrace: data folder {running.data_dir}: {what}"]


def test_a_second_one_on_its_port_is_told_and_makes_nothing(running: Proxy, tmp_path: Path) -> None:
    port = str(urlsplit(running.url).port)
    code, out, told = serve("--port", port, "--data-dir", tmp_path / "new" / "data")
    assert (code, out) == (2, "")
    what = "something else listens there; stop it, or choose another with --port or server.port"
    assert told == [f"tailrace: 127.0.0.1:{port}: cannot listen (Address already in use): {what}"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("no.such.name.invalid", "'no.such.name.invalid' is no address or known name; correct server.host"),
        ("203.0.113.1", "cannot listen (Cannot assign requested address): this machine has no such address; choose"),
    ],
)
def test_an_address_that_cannot_be_had_is_told_and_makes_nothing(
    host: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_KEYS__ADMIN", "env:ADMIN")
    monkeypatch.setenv("ADMIN", "a" * 40)
    code, out, told = serve("--host", host, "--port", "0", "--data-dir", tmp_path / "data")
    assert (code, out, len(told)) == (2, "", 1)
    assert told[0].startswith(f"tailrace: {host}:0: {what}")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("store", "what"),
    [
        (
            b"no database, only words; enough of them for a header" * 9,
            "cannot be opened as a store (file is not a data",
        ),
        (None, "at migration 99, and this Tailrace knows only "),
    ],
    ids=["no store", "newer store"],
)
def test_a_store_that_is_not_its_own_is_told_and_left_alone(
    tailrace: Run, tmp_path: Path, store: bytes | None, what: str
) -> None:
    path = tmp_path / "data" / "tailrace.db"
    tailrace("db", "upgrade", "--data-dir", path.parent)
    if store is None:
        with closing(sqlite3.connect(path)) as newer, newer:
            newer.execute("INSERT INTO migration VALUES (99, 'future', 0)")
    else:
        path.write_bytes(store)
    size = path.stat().st_size
    code, out, told = serve("--port", "0", "--data-dir", path.parent)
    assert (code, out, len(told)) == (2, "", 1)
    assert told[0].startswith(f"tailrace: {path}: {what}")
    assert path.stat().st_size == size
    assert store is None or path.read_bytes() == store
    assert "no store there yet" not in tailrace("db", "stats", "--data-dir", path.parent).err


def test_the_other_commands_go_on_beside_it(running: Proxy, tailrace: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    running.post(HELLO)
    running.rows(1)
    data = running.data_dir
    listed = tailrace("logs", "--json", "--data-dir", data)
    assert {orjson.loads(line)["model"] for line in listed.out.splitlines()} == {"sim/echo"}
    assert tailrace("db", "backup", "copy.db", "--data-dir", data).code == 0
    upgrade = tailrace("db", "upgrade", "--data-dir", data)
    assert (upgrade.code, "another process writes this store; stop it" in upgrade.err) == (2, True)
    monkeypatch.setenv("TAILRACE_LOG__DATA_DIR", str(data))
    monkeypatch.setenv("TAILRACE_SERVER__PORT", str(urlsplit(running.url).port))
    report = tailrace("doctor")
    assert report.code == 0, report.out
    assert f"(in use; the Tailrace with pid {running.process.pid} runs)" in report.out
    assert f"held by            process {running.process.pid}" in report.out


def test_it_ends_when_it_is_asked_to_and_frees_its_folder(tmp_path: Path) -> None:
    with proxy(tmp_path) as started:
        assert started.stop() == 0
    assert started.data_dir.exists()
    with proxy(tmp_path) as again:
        until(lambda: again.get("/readyz").status_code == 200 or None, "the second start")
