"""The relay: CPU per call and per chunk, added latency, saturation, many open streams, start and idle memory."""

import asyncio
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from tests.bench import load
from tests.bench.load import Counted, percentile, request_bytes
from tests.bench.processes import Nginx, cpu_s, nginx, resident_mb
from tests.bench.result import Result
from tests.running import Proxy, proxy, simulator

CONFIG: Final = """
default_provider = "up"
[log]
durability = "{durability}"
level = "warning"
[providers.up]
base_url = "{url}/v1"
"""
BODY_BYTES: Final = 2048
WARM_S: Final = 1.0
CHUNKS: Final = 200


@dataclass(frozen=True, slots=True)
class Bench:
    """A provider, the proxy before it, and nginx before it where that is installed."""

    proxy: Proxy
    provider_port: int
    nginx: Nginx | None

    @property
    def port(self) -> int:
        return port_of(self.proxy.url)

    @property
    def relay(self) -> list[int]:
        return self.proxy.children("relay")


def port_of(url: str) -> int:
    """The port of a base URL."""
    return int(url.rpartition(":")[2])


@contextmanager
def bench(durability: str) -> Iterator[Bench]:
    """All that stands in a row, on loopback."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name, simulator(Path(name) / "provider") as url:
        config = CONFIG.format(durability=durability, url=url)
        with proxy(Path(name) / "proxy", config) as running, nginx(port_of(url)) as beside:
            yield Bench(running, port_of(url), beside)


def run(work: Coroutine[Any, Any, Counted]) -> Counted:
    """Runs a load; every answer must have been a 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counted = runner.run(work)
    if counted.failed:
        raise SystemExit(f"{counted.failed} of {counted.answers} answers were no 200")
    return counted


def saturated(port: int, request: bytes, pids: list[int], clients: int, seconds: float) -> tuple[Counted, float]:
    """What a closed loop saw, and the CPU seconds that `pids` used meanwhile; warmed up before."""
    run(load.saturate(port, request, clients=clients, seconds=WARM_S))
    before = cpu_s(pids)
    counted = run(load.saturate(port, request, clients=clients, seconds=seconds))
    return counted, cpu_s(pids) - before


def calls(seconds: float) -> list[Result]:
    """CPU per call and calls per second at saturation: 2 KB bodies, 32 clients."""
    request = request_bytes("echo", stream=False, body_bytes=BODY_BYTES)
    results = []
    for durability in ("process", "power"):
        with bench(durability) as row:
            ours, cpu = saturated(row.port, request, row.relay, 32, seconds)
            theirs_us = theirs_rate = None
            if row.nginx is not None:
                theirs, their_cpu = saturated(row.nginx.port, request, row.nginx.pids, 32, seconds)
                theirs_us, theirs_rate = their_cpu / theirs.answers * 1e6, theirs.answers / seconds
            hold = "≤ 200 µs and ≤ 8 × nginx" if durability == "process" else ""
            results += [
                Result(f"relay CPU per call ({durability})", cpu / ours.answers * 1e6, "µs", theirs_us, "nginx", hold),
                Result(f"calls/s at saturation ({durability})", ours.answers / seconds, "/s", theirs_rate, "nginx"),
            ]
    return results


def streams(seconds: float) -> list[Result]:
    """CPU per streamed chunk: 64 streams at a time."""
    request = request_bytes(f"chunks-{CHUNKS}", stream=True)
    with bench("process") as row:
        ours, cpu = saturated(row.port, request, row.relay, 64, seconds)
        theirs_us = None
        if row.nginx is not None:
            theirs, their_cpu = saturated(row.nginx.port, request, row.nginx.pids, 64, seconds)
            theirs_us = their_cpu / theirs.events * 1e6
        return [
            Result(
                "relay CPU per streamed chunk (64 streams)",
                cpu / ours.events * 1e6,
                "µs",
                theirs_us,
                "nginx",
                "≤ 65 µs",
            ),
            Result("streamed chunks/s at saturation", ours.events / seconds, "/s"),
        ]


def latency(seconds: float) -> list[Result]:
    """Latency at 200 calls/s, with the proxy and without it."""
    request = request_bytes("echo", stream=False, body_bytes=BODY_BYTES)
    results = []
    for durability in ("process", "power"):
        with bench(durability) as row:
            run(load.at_rate(row.port, request, per_second=200, seconds=WARM_S))
            direct = run(load.at_rate(row.provider_port, request, per_second=200, seconds=seconds)).latencies
            through = run(load.at_rate(row.port, request, per_second=200, seconds=seconds)).latencies
        for share, hold in ((0.5, "≤ 1 ms"), (0.99, "≤ 5 ms")):
            added = (percentile(through, share) - percentile(direct, share)) * 1e3
            what = f"added latency at 200 calls/s, p{share * 100:.0f} ({durability})"
            results.append(
                Result(
                    what,
                    added,
                    "ms",
                    percentile(direct, share) * 1e3,
                    "without proxy",
                    hold + " + one sync" * (durability == "power"),
                )
            )
    return results


def open_streams(_: float) -> list[Result]:
    """1,000 streams open at once through one worker."""
    request = request_bytes("chunk-every-1500", stream=True)
    with bench("process") as row:
        memory: list[float] = []
        counted = run(
            load.hold_open(row.port, request, streams=1000, while_open=lambda: memory.append(resident_mb(row.relay)))
        )
        return [
            Result("memory with 1,000 open streams, one worker", memory[0], "MB", hold="≤ 120 MB"),
            Result("of 1,000 open streams, ended whole", counted.answers, "streams", hold="1,000"),
        ]


def idle(_: float) -> list[Result]:
    """Start-up and memory without traffic."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        begun = time.monotonic()
        with proxy(Path(name)) as running:
            ready = time.monotonic() - begun
            row = running.post({"model": "sim/echo", "messages": [{"role": "user", "content": "x"}]})
            assert row.status_code == 200
            running.rows(1)
            both = resident_mb(running.children("relay") + running.children("writer"))
            supervisor = resident_mb([running.process.pid])
    return [
        Result("ready after start", ready, "s", hold="≤ 2 s"),
        Result("idle memory, relay + writer", both, "MB", hold="≤ 140 MB"),
        Result("idle memory, supervisor", supervisor, "MB"),
    ]
