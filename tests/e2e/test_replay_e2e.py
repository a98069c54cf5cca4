"""`tailrace replay`: logged requests answered by another model, linked to the originals, resumable after a kill."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.running import PATIENCE_S, Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("replay_e2e")

CONFIG = """
[log]
durability = "process"
[prices."sim/chunk-every-20"]
input_usd_per_mtok = 1000
output_usd_per_mtok = 1000
"""
CALLS = 40


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("proxy"), CONFIG) as started:
        for n in range(CALLS):
            body = {"model": "sim/echo", "messages": [{"role": "user", "content": f"say {n}"}], "stream": n % 2 == 0}
            assert started.post(body).status_code == 200
        started.rows(CALLS)
        yield started


def words(running: Proxy, *more: str) -> list[str]:
    config = running.stderr.parent / "tailrace.toml"
    return [
        sys.executable, "-m", "tailrace", "replay", "--config", str(config), "--data-dir", str(running.data_dir),
        "--url", running.url, "--json", *more,
    ]  # fmt: skip


def run(running: Proxy, *more: str) -> tuple[int, dict[str, Any] | None, str]:
    done = subprocess.run(
        words(running, *more),
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, orjson.loads(done.stdout) if done.stdout else None, done.stderr


def replays(running: Proxy) -> list[dict[str, Any]]:
    return running.select("SELECT * FROM completion WHERE origin = 'replay' AND status = 'ok'")


def test_each_original_is_answered_once_by_the_other_model(running: Proxy) -> None:
    code, said, _ = run(running, "--model", "sim/chunks-2", "--yes")
    assert (code, said and said["answered"]) == (0, CALLS)
    found = until(lambda: rows if len(rows := replays(running)) >= CALLS else None, "the replays")
    originals = {row["id"] for row in running.select("SELECT id FROM completion WHERE origin = 'app'")}
    assert {row["source"] for row in found} == originals
    assert {row["model"] for row in found} == {"sim/chunks-2"}
    code, said, _ = run(running, "--model", "sim/chunks-2", "--yes")
    assert (code, said and said["answered"], said and said["done_before"]) == (0, 0, CALLS)
    code, said, _ = run(running, "step = 1", "--model", "sim/echo", "--yes", "--limit", "5")
    assert (code, said and said["answered"]) == (0, 5)


def test_a_killed_replay_goes_on_where_it_was(running: Proxy) -> None:
    more = ["--model", "sim/chunk-every-20", "--yes", "--concurrency", "2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    killed = subprocess.Popen(words(running, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    until(lambda: True if len(replays(running)) >= 5 else None, "the first replays")
    killed.kill()
    killed.communicate()
    code, said, _ = run(running, *more)
    assert code == 0
    assert said is not None
    assert said["done_before"] >= 5

    def all_there() -> list[dict[str, Any]] | None:
        rows = replays(running)
        return rows if len({row["source"] for row in rows}) >= CALLS else None

    found = until(all_there, "all replays")
    assert said["answered"] + said["done_before"] == CALLS
    assert len(found) <= CALLS + 2, "at most those that were under way at the kill are asked twice"


def test_it_says_what_it_will_cost_and_stops_at_the_budget(running: Proxy) -> None:
    config = running.stderr.parent / "tailrace.toml"
    base = [sys.executable, "-m", "tailrace", "replay", "--config", str(config), "--data-dir", str(running.data_dir)]
    told = subprocess.run(
        [*base, "--model", "sim/chunk-every-20", "--dry-run"], capture_output=True, text=True, check=True
    )
    assert f"{CALLS} requests" in told.stderr
    assert "US dollars" in told.stderr
    code, said, _ = run(running, "--model", "sim/chunk-every-20", "--yes", "--budget", "0.05")
    assert code == 0
    assert said is not None
    assert 0 < said["answered"] < CALLS
    assert said["answered"] + said["left"] == CALLS
    assert said["cost_usd_estimated"] <= 0.05


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--model", "sim/echo"], "--yes"),
        (["statu = ok", "--model", "sim/echo", "--yes"], "did you mean status"),
    ],
)
def test_wrong_calls_are_told(running: Proxy, more: list[str], named: str) -> None:
    code, _, said = run(running, *more)
    assert code == 2
    assert named in said
    assert "Traceback" not in said


def test_without_a_proxy_it_fails_and_says_why(running: Proxy) -> None:
    code, said, told = run(running, "--model", "sim/echo", "--yes", "--url", "http://127.0.0.1:9", "--limit", "3")
    assert (code, said and said["failed"]) == (1, 3)
    assert "could not be reached" in told
    assert not replays(running)
