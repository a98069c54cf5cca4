"""Files what waits in the journal of a data folder that no `tailrace serve` holds, and ends.

For a command that wrote labels through a journal of its own (`journal.own`) and wants to see them in the store: with
the folder's lock (`datadir.hold`) there is no other writer, and while somebody else has it, that one's writer files.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tailrace.clock import Clock
from tailrace.journal.replay import Replay
from tailrace.limits.table import LimitTable
from tailrace.prices import Prices
from tailrace.settings import Settings
from tailrace.store.engine import checkpoint, open_writer
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tailrace.writer.keyfile import KeyFile
from tailrace.writer.process import file_all
from tailrace.writer.settling import settler


async def drain(settings: Settings, data_dir: Path, clock: Clock) -> None:
    """Returns when all that the journal held is filed. Only for the holder of `data_dir`.

    Raises:
        UserError: another process writes the store, or it is of a newer version.
        WorkFailed: a migration failed.
    """
    ending = asyncio.Event()
    ending.set()
    async with AsyncExitStack() as stack:
        limits = stack.enter_context(LimitTable(data_dir))
        connection = await stack.enter_async_context(open_writer(data_dir))
        await upgrade(connection, data_dir, now_us=clock.now_us())
        settle = settler(limits, clock)
        ingest = await Ingest.open(connection, idle_s=settings.chains.idle_s, prices=Prices(settings), settle=settle)
        replay = Replay(data_dir / "journal")
        keys = KeyFile(connection, data_dir, clock)
        await keys.publish()
        try:
            await file_all(settings, connection, ingest, replay, keys, ending)
        finally:
            replay.close()
        await checkpoint(connection, truncate=True)
