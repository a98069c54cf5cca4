"""The writer: CPU per completion and completions a second, replaying a prepared journal."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from tailrace import collector
from tailrace.clock import Clock
from tailrace.journal.journal import Journal
from tailrace.journal.replay import Replay
from tailrace.settings import Log
from tailrace.store.engine import open_writer
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tests.bench.made import conversations
from tests.bench.result import Result

COMPLETIONS: Final = 10_000
STEPS: Final = 4  # so that a request and its answer are about 2 KB together
IDLE_S: Final = 7 * 86400.0


async def write_journal(folder: Path) -> None:
    """A journal as a relay that has ended would leave it."""
    log = Log(durability="process")
    async with Journal(folder, "0123456789abcdef", Clock(0), log) as journal:
        for made in conversations(COMPLETIONS // STEPS, STEPS):
            ends = []
            for closed in made:
                assert closed.end is not None
                ends.append(journal.begin(closed.id, closed.start, closed.request).end(closed.end, closed.answer))
            await asyncio.gather(*ends)


async def file_journal(data_dir: Path) -> tuple[int, float, float]:
    """Rows filed, CPU seconds and wall seconds of this process for it."""
    async with open_writer(data_dir) as connection:
        await upgrade(connection, data_dir, now_us=0)
        ingest = await Ingest.open(connection, idle_s=IDLE_S)
        replay = Replay(data_dir / "journal")
        rows = 0
        cpu, wall = time.process_time(), time.monotonic()
        while batch := replay.poll(500):
            rows += (await ingest.file(batch.closed, batch.gaps, batch.poisons)).rows
            replay.done(batch)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        replay.close()
    return rows, cpu, wall


def replay(_: float) -> list[Result]:
    """Files a prepared journal of 10,000 completions."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        data_dir = Path(name)
        asyncio.run(write_journal(data_dir / "journal"))
        collector.spare()  # as the writer process does
        rows, cpu, wall = asyncio.run(file_journal(data_dir))
    return [
        Result("writer CPU per completion", cpu / rows * 1e6, "µs", hold="≤ 250 µs"),
        Result("completions filed per second", rows / wall, "/s", hold="≥ 3,000"),
        Result(f"of {COMPLETIONS:,} completions, filed", rows, "rows", hold=f"{COMPLETIONS:,}"),
    ]
