"""Bytes on disk per step of 20-step chains, all indexes included, beside the compressed new text."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

import orjson

from tailrace.store.codec import Codec
from tailrace.store.engine import checkpoint, open_writer, store_file
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tests.bench.made import conversations
from tests.bench.result import Result
from tests.bench.writer import IDLE_S

CHAINS: Final = 250
STEPS: Final = 20


async def fill(data_dir: Path) -> tuple[int, int]:
    """The store's size and the size of what was new in each step, each message compressed by itself."""
    codec, text = Codec(), 0
    async with open_writer(data_dir) as connection:
        await upgrade(connection, data_dir, now_us=0)
        ingest = await Ingest.open(connection, idle_s=IDLE_S)
        for made in conversations(CHAINS, STEPS):
            await ingest.file(made)
            for closed in made:
                asked = orjson.loads(closed.request)["messages"][-1]
                answered = orjson.loads(closed.answer)["choices"][0]["message"]
                text += sum(len(codec.pack(orjson.dumps(message))) for message in (asked, answered))
        await checkpoint(connection, truncate=True)
    return store_file(data_dir).stat().st_size, text


def chains(_: float) -> list[Result]:
    """250 chains of 20 steps."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        stored, text = asyncio.run(fill(Path(name)))
    steps = CHAINS * STEPS
    return [
        Result("bytes stored per step (20-step chains)", stored / steps, "B", text / steps, "compressed new text"),
        Result("of that, beyond 1.2 × the new text", (stored - 1.2 * text) / steps, "B", hold="≤ 700 B (stretch 500)"),
    ]
