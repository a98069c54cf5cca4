"""`make bench`: the numbers of BENCHMARKS.md, each beside a bare reverse proxy in the same run where that makes sense.

    python -m tests.bench [--seconds 5] [--only relay,streams,…] [--out bench-out]

Prints a table and writes `bench.json`. A benchmark, never a test: nothing here asserts a time.
"""

import argparse
import json
import platform
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import export_stages, exporters, relay, stage, storage, writer
from tests.bench.result import Result

PARTS: dict[str, Callable[[float], list[Result]]] = {
    "relay": relay.calls,
    "streams": relay.streams,
    "latency": relay.latency,
    "open": relay.open_streams,
    "stage": stage.stage,
    "idle": relay.idle,
    "writer": writer.replay,
    "storage": storage.chains,
    "exports": exporters.exports,
    "stages": export_stages.stages,
}


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    cpu = next((line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")), "unknown")
    return {
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "cpu": cpu,
    }


def cpu_lines() -> list[str]:
    """The lines of /proc/cpuinfo, none where there is none."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each measurement")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    arguments = parser.parse_args()
    console = Console(width=150)
    results: list[Result] = []
    for name in arguments.only.split(","):
        console.print(f"measuring: {name}", style="dim")
        results += PARTS[name](arguments.seconds)
    table = Table("what", "measured", "beside", "ratio", "hold")
    for result in results:
        table.add_row(*result.cells())
    console.print(table)
    arguments.out.mkdir(exist_ok=True)
    report = {"machine": machine(), "seconds": arguments.seconds, "results": [result.as_json() for result in results]}
    (arguments.out / "bench.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
