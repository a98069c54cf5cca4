"""Exports: rows a second, memory as the log grows, near-duplicates, and the relay's p99 while one runs.

    python -m tests.bench.exporters [--completions 20000,200000] [--seconds 5] [--log DIR]

Each export is a process of its own, as `tailrace export` is one: its CPU and its peak memory are its own, and what an
export of no rows takes (to start, and to read no row) is subtracted. The log comes through the real writer; its words
were said by people (the folder in `TAILRACE_DATA`, else the packaged dialogues). `--log` keeps the logs in DIR, and
finds them there again (the calls of the relay are added to the first).
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from tailrace import collector
from tailrace.store.engine import checkpoint, open_writer
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tests.bench import load
from tests.bench.load import percentile, request_bytes
from tests.bench.made import BORN_US, STEP_US, conversations, sentences
from tests.bench.relay import BODY_BYTES, CONFIG, WARM_S, port_of, run
from tests.bench.result import Result
from tests.bench.writer import IDLE_S
from tests.labelled import loading
from tests.running import proxy, simulator

COMPLETIONS: Final = 20_000
STEPS: Final = 4  # so that a conversation is about 2 KB
AT_ONCE: Final = 1_000  # conversations that go on side by side: so far apart are a chain's steps in the log
SPLITS: Final = "[split]\ntrain = 0.9\nvalid = 0.05\ntest = 0.05\n"
RECIPES: Final = {
    "of a conversation": SPLITS,
    "of an answer": f"{SPLITS}[assemble]\nunit = 'step'\n",
    "of a conversation, near-duplicates looked for": f"{SPLITS}[dedupe]\nnear = {{jaccard = 0.85}}\n",
}
NOTHING: Final = "[select]\nwhere = 'seq < 1'\n"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote, and what it took."""

    rows: int
    size_bytes: int
    cpu_s: float
    peak_mb: float


def spoken() -> list[str]:
    """What people said, in the whole data where it is there."""
    root = loading.whole()
    if root is None:
        return sentences()
    sources = (loading.multidogo_airline, loading.star, loading.banking77)
    items = chain.from_iterable(source(root, "train") for source in sources)
    return sorted({item.text for item in items if len(item.text) >= 20})


async def fill(data_dir: Path, completions: int) -> None:
    """A store with so many completions, filed by the writer's own code."""
    said = spoken()
    collector.spare()  # as the writer process does
    begin_us = BORN_US
    async with open_writer(data_dir) as connection:
        await upgrade(connection, data_dir, now_us=0)
        ingest = await Ingest.open(connection, idle_s=IDLE_S)
        for wave in range(0, completions // STEPS, AT_ONCE):
            count = min(AT_ONCE, completions // STEPS - wave)
            for made in conversations(count, STEPS, seed=wave, said=said, begin_us=begin_us):
                await ingest.file(made)
            begin_us += (STEPS + 1) * count * STEP_US
            await checkpoint(connection)
        await checkpoint(connection, truncate=True)


@contextmanager
def log(completions: int, keep: Path | None = None) -> Iterator[Path]:
    """The data folder of a log of so many completions; one that is kept is made when it is not there."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        folder = Path(name) / "data" if keep is None else keep / str(completions)
        if not folder.exists():
            asyncio.run(fill(folder, completions))
        yield folder


def export(data_dir: Path, recipe: str) -> Exported:
    """One export, by the command, into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        path, out = Path(name) / "recipe.toml", Path(name) / "out"
        path.write_text(recipe)
        with subprocess.Popen(command(path, out, data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            assert child.stderr is not None
            told = child.stderr.read()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(told.decode())
        rows = orjson.loads((out / "manifest.json").read_bytes())["rows"]["count"]
        size_bytes = sum(each.stat().st_size for each in (out / "openai-chat").iterdir()) if rows else 0
    return Exported(rows, size_bytes, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def command(recipe: Path, out: Path, data_dir: Path) -> list[str]:
    """`tailrace export`."""
    words = ("export", str(recipe), "--out", str(out), "--data-dir", str(data_dir))
    return [sys.executable, "-m", "tailrace", *words]


def speed(data_dir: Path, completions: int) -> list[Result]:
    """Rows a second of one core, and peak memory, by recipe."""
    start = export(data_dir, NOTHING)
    results = []
    for what, recipe in RECIPES.items():
        made = export(data_dir, recipe)
        cpu_s = made.cpu_s - start.cpu_s
        kb = made.size_bytes / made.rows / 1000
        near = "near" in recipe
        results += [
            Result(
                f"{completions:,} completions: rows {what} a second ({kb:.1f} KB each)", made.rows / cpu_s, "rows/s",
                completions / cpu_s, "completions/s", "≥ 3,000" if near else "≥ 10,000",
            ),
            Result("its peak memory", made.peak_mb, "MB", start.peak_mb, "no rows", "" if near else "≤ 250 MB"),
        ]  # fmt: skip
    return results


def beside_a_relay(data_dir: Path, seconds: float) -> list[Result]:
    """The relay's p99 at 200 calls/s, its own log being exported again and again, and without."""
    request = request_bytes("echo", stream=False, body_bytes=BODY_BYTES)
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name, simulator(Path(name) / "provider") as url:
        config = CONFIG.format(durability="process", url=url)
        with proxy(Path(name) / "proxy", config, data_dir=data_dir) as running:
            port = port_of(running.url)
            run(load.at_rate(port, request, per_second=200, seconds=WARM_S))
            alone = run(load.at_rate(port, request, per_second=200, seconds=seconds)).latencies
            with exporting(Path(name), data_dir):
                beside = run(load.at_rate(port, request, per_second=200, seconds=seconds)).latencies
    return [
        Result(
            f"latency at 200 calls/s while an export runs, p{share * 100:.0f}", percentile(beside, share) * 1e3, "ms",
            percentile(alone, share) * 1e3, "no export", "≤ 1.5 ×" if share == 0.99 else "",
        )
        for share in (0.5, 0.99)
    ]  # fmt: skip


@contextmanager
def exporting(folder: Path, data_dir: Path) -> Iterator[None]:
    """An export runs all the time, one after the other."""
    path = folder / "recipe.toml"
    path.write_text(RECIPES["of an answer"])
    words = " ".join(command(path, Path("$0/$n"), data_dir)).replace(str(folder), "$0")
    script = f'n=0; while n=$((n+1)); do {words} >/dev/null 2>&1 || exit; rm -r "$0/$n"; done'
    with subprocess.Popen(["sh", "-c", script, str(folder)], start_new_session=True) as loop:
        try:
            yield
            if loop.poll() is not None:
                raise SystemExit("an export failed beside the relay")
        finally:
            os.killpg(loop.pid, 9)


def exports(seconds: float) -> list[Result]:
    """A log of 20,000 completions."""
    with log(COMPLETIONS) as data_dir:
        return [*speed(data_dir, COMPLETIONS), *beside_a_relay(data_dir, seconds)]


def main() -> None:
    """Measures logs of several sizes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exporters")
    parser.add_argument("--completions", default="20000,200000")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load on the relay")
    parser.add_argument("--log", type=Path, help="where the logs are kept")
    parser.add_argument("--no-relay", action="store_true", help="speed and memory only")
    arguments = parser.parse_args()
    out = Console(width=150)
    sizes = [int(size) for size in arguments.completions.split(",")]
    for size in sizes:
        with log(size, arguments.log) as data_dir:
            results = speed(data_dir, size)
            if size == sizes[0] and not arguments.no_relay:
                results += beside_a_relay(data_dir, arguments.seconds)
        for result in results:
            out.print("  ".join(cell for cell in result.cells() if cell))


if __name__ == "__main__":
    main()
