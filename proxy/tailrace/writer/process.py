"""The writer's composition root: opens the store and the journal, files what comes, and ends when nothing is left."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog
import uvloop
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import collector, metrics, spawn
from tailrace.clock import Clock
from tailrace.journal.replay import Replay
from tailrace.limits.table import LimitTable
from tailrace.logging import configure
from tailrace.prices import Prices
from tailrace.settings import Settings
from tailrace.settings_load import load
from tailrace.store.engine import checkpoint, open_writer
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tailrace.writer.keyfile import KeyFile
from tailrace.writer.settling import settler

_CHECKPOINT_BATCHES: Final = 20

log = structlog.get_logger("tailrace.writer")


async def serve(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """Files what the relays write until it is told to stop and has filed what there was."""
    settings = load(spec.config_path, os.environ)
    data_dir = Path(spec.data_dir)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal's Ctrl-C: the supervisor tells us
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # what the writer reads holds until the next start
    parent.watch(loop, stopping.set)
    async with AsyncExitStack() as stack:
        limits = stack.enter_context(LimitTable(data_dir))
        connection = await stack.enter_async_context(open_writer(data_dir))
        clock = Clock(spec.anchor_ns)
        for step in await upgrade(connection, data_dir, now_us=clock.now_us()):
            log.info("migrated the store", number=step.number, name=step.name)
        keys = KeyFile(connection, data_dir, clock)
        await keys.publish()
        settle = settler(limits, clock)
        ingest = await Ingest.open(connection, idle_s=settings.chains.idle_s, prices=Prices(settings), settle=settle)
        replay = Replay(data_dir / "journal")
        collector.spare()
        parent.report_ready()
        try:
            await file_all(settings, connection, ingest, replay, keys, stopping)
        finally:
            replay.close()
        await checkpoint(connection, truncate=True)


async def file_all(
    settings: Settings,
    connection: AsyncConnection,
    ingest: Ingest,
    replay: Replay,
    keys: KeyFile,
    stopping: asyncio.Event,
) -> None:
    """File what comes; returns when `stopping` was set and what had come until then is filed."""
    batches = 0
    while True:
        is_last = stopping.is_set()  # asked before looking: what was written before the stop is seen
        batch = replay.poll(settings.store.batch_rows)
        if batch:
            filed = await ingest.file(
                batch.closed, batch.gaps, batch.poisons, batch.amended, batch.feedback, batch.labelled, batch.changes
            )
            if batch.changes:  # before the segments go: after a crash in between, all of it is done again
                await keys.publish()
            replay.done(batch)
            metrics.ingested(filed.rows, filed.dead_letters, replay.backlog_bytes)
            await keys.stand_behind()
            batches += 1
            if batches % _CHECKPOINT_BATCHES == 0:
                await checkpoint(connection)
            continue
        if is_last:
            return
        if batches % _CHECKPOINT_BATCHES:
            batches = 0
            await checkpoint(connection)
        await keys.stand_behind()
        await _pause(stopping, settings.store.ingest_interval_ms / 1000)


async def _pause(stopping: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await stopping.wait()
    except TimeoutError:
        return


def main(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """The body of the writer process."""
    configure(load(spec.config_path, os.environ).log.level, process=spec.name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(spec, parent))


if __name__ == "__main__":
    sys.exit(spawn.run(main))
