"""Labels after the fact: follows the log and labels what a classifier's version has not labelled yet, oldest first.

A version begins with what is filed after it was first met; the log before that is for `tailrace classify run`. For a
classifier that stands before the call there is a grace, in which its own late label may come; what is left without one
by then, because the relay died, is labelled here.
"""

from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.journal.journal import Journal
from tailrace.labeller.cursor import cursor
from tailrace.labeller.subjects import items
from tailrace.labeller.work import Work
from tailrace.store import labels, read
from tailrace.store.rebuild import Rebuilder

PAGE: Final = 100
"""Completions that are labelled between two durable steps."""
GRACE_US: Final = 60 * 10**6

log = structlog.get_logger("tailrace.labeller")


class Follower:
    """One version of one classifier on its way along the log."""

    def __init__(self, work: Work, data_dir: Path, *, grace_us: int = GRACE_US) -> None:
        self._work = work
        ready = work.cascade.ready
        self._cursor = cursor(data_dir, f"{ready.name}-{ready.version}")
        self._at: int | None = self._cursor.read()
        self._grace_us = grace_us + ready.settings.deadline_ms * 1000 if ready.settings.when == "before" else 0

    async def begin(self, connection: AsyncConnection) -> None:
        """A new version begins with what is filed from now on."""
        if self._at is None:
            self._move(await read.watermark(connection))

    async def step(self, connection: AsyncConnection, rebuilder: Rebuilder, journal: Journal) -> bool:
        """Labels a page; whether there is more to do now.

        Raises:
            LogUnavailable: the labels could not be kept; the page is done again.
        """
        await self.begin(connection)
        assert self._at is not None
        ready = self._work.cascade.ready
        page = await labels.unlabelled(connection, ready.name, ready.version, after_seq=self._at, limit=PAGE)
        rows, at = page.items, page.cursor
        if self._grace_us:
            before_us = self._work.clock.now_us() - self._grace_us
            young = next((i for i, row in enumerate(rows) if row.started_us > before_us), None)
            if young is not None:
                rows, at = rows[:young], rows[young].seq - 1
        wanted = await items(rebuilder, ready.settings, rows)
        await connection.rollback()  # no snapshot is held while a model is waited for
        if wanted:
            await journal.labels(await self._work.label(connection, wanted))
            log.info("labelled", classifier=ready.name, turns=len(wanted))
        moved = at > self._at
        if moved:
            self._move(at)
        return moved and not page.is_last

    def _move(self, at: int) -> None:
        self._at = at
        self._cursor.put(at)
