"""Where what a command says goes: into a journal of its own, durable before it counts, and from there into the store.

    `tailrace serve` holds the folder ─▶ its writer files it, while the command goes on
    nobody does                       ─▶ the command holds the folder and files it itself, at its end

What a command left behind that was killed is filed before the next one with its mark looks at what there is to do.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tailrace import datadir, stamps
from tailrace.clock import Clock, choose_anchor, steady_ns
from tailrace.errors import WorkFailed
from tailrace.journal.journal import Journal
from tailrace.journal.own import own_journal
from tailrace.records import Change, Labelled
from tailrace.settings import Settings
from tailrace.writer.drain import drain

_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.05


class Keeper:
    """What one command writes down. `clock` tells its time; `served`: `tailrace serve` runs."""

    def __init__(self, journal: Journal, clock: Clock, *, served: bool) -> None:
        self._journal = journal
        self.clock = clock
        self.served = served

    async def put(self, *said: Labelled) -> None:
        """Returns when all of it is durable. Raises LogUnavailable."""
        await self._journal.labels(said)

    async def change(self, change: Change) -> None:
        """Returns when it is durable. Raises LogUnavailable."""
        await self._journal.change(change)


@asynccontextmanager
async def keeping_under(settings: Settings, data_dir: Path, mark: str) -> AsyncIterator[Keeper]:
    """At its begin and, unless something was raised, at its end all is filed. `mark`: 8 hex digits, of such commands.

    Raises:
        UserError: somebody else holds the folder, or it cannot be written.
        WorkFailed: the writer does not file what is there.
    """
    owner = mark + secrets.token_hex(4)
    if datadir.holder(data_dir) is not None:
        await _filed(data_dir, mark)
        clock = Clock(choose_anchor(time.time_ns(), steady_ns(), 0))
        async with own_journal(data_dir, settings.log, clock, owner=owner) as journal:
            yield Keeper(journal, clock, served=True)
        await _filed(data_dir, owner)
        return
    with datadir.hold(data_dir):
        clock = Clock(stamps.anchor(data_dir))
        await drain(settings, data_dir, clock)
        try:
            async with own_journal(data_dir, settings.log, clock, owner=owner) as journal:
                yield Keeper(journal, clock, served=False)
        finally:
            await drain(settings, data_dir, clock)


async def _filed(data_dir: Path, owners: str) -> None:
    """Returns when the writer has filed all segments whose owner begins with `owners`."""
    deadline = time.monotonic() + _PATIENCE_S
    while any((data_dir / "journal").glob(f"{owners}*.seg")):
        if time.monotonic() > deadline:
            raise WorkFailed(
                f"{data_dir}: the writer of `tailrace serve` has not filed what waits in the journal; "
                "it is safe, `tailrace doctor` tells how far behind it is"
            )
        await asyncio.sleep(_POLL_S)
