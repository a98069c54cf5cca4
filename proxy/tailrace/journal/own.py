"""A journal of its own for a process that is no relay worker: the labeller, or a command that a person runs.

    labeller ── own_journal ─▶ journal/<its owner>-….seg ─▶ the writer of `tailrace serve` files and deletes it

A writer takes up whatever segments it finds, whoever made them, and deletes them when they are filed and their owner
has closed them or is gone. Where no writer runs, what was written waits for the next one: that of `tailrace serve`, or
`writer.drain`, for a command that holds the data folder.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tailrace.clock import Clock
from tailrace.journal.journal import Journal
from tailrace.settings import Log

SEGMENT_BYTES: Final = 2**20
"""Labels are small: what a process holds reserved of the journal's cap stays so too."""


@asynccontextmanager
async def own_journal(data_dir: Path, log: Log, clock: Clock, *, owner: str | None = None) -> AsyncIterator[Journal]:
    """The journal in `data_dir` for writing, under a new owner's name. `clock`: the supervisor's, for its child.

    `owner`: 16 hex digits that no process has had, where others are to know the segments by them.

    Raises:
        WorkFailed: the folder cannot be made.
    """
    small = log.model_copy(update={"segment_bytes": min(log.segment_bytes, SEGMENT_BYTES)})
    async with Journal(data_dir / "journal", owner or secrets.token_hex(8), clock, small) as journal:
        yield journal
