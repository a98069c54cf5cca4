"""Where a command's labels go: into a journal of its own, durable before they count, and from there into the store.

    `tailrace serve` holds the folder ─▶ its writer files them, while the command goes on
    nobody does                       ─▶ the command holds the folder and files them itself, at its end

One command at a time writes labels of a classifier, under names of segments that say so. What a command left behind
that was killed is filed before the next one looks at what there is to do: nothing is done twice.
"""

import asyncio
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from tailrace import datadir, stamps
from tailrace.classify.kept import FOLDER
from tailrace.clock import Clock, choose_anchor, steady_ns
from tailrace.errors import UserError, WorkFailed
from tailrace.journal.journal import Journal
from tailrace.journal.own import own_journal
from tailrace.records import Labelled
from tailrace.settings import Settings
from tailrace.writer.drain import drain

_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.05


class Keeper:
    """Labels of one command. `clock` tells their time; `served`: `tailrace serve` runs."""

    def __init__(self, journal: Journal, clock: Clock, *, served: bool) -> None:
        self._journal = journal
        self.clock = clock
        self.served = served

    async def put(self, *said: Labelled) -> None:
        """Returns when all of it is durable. Raises LogUnavailable."""
        await self._journal.labels(said)


@asynccontextmanager
async def keeping(settings: Settings, data_dir: Path, classifier: str) -> AsyncIterator[Keeper]:
    """For the labels of one classifier. At its begin and, unless something was raised, at its end all are filed.

    Raises:
        UserError: another command writes labels of this classifier, or somebody else holds the folder.
        WorkFailed: the writer does not file what is there.
    """
    mark = blake2b(classifier.encode(), digest_size=4).hexdigest()
    with _alone(data_dir, classifier):
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


@contextmanager
def _alone(data_dir: Path, classifier: str) -> Iterator[None]:
    folder = data_dir / FOLDER
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / f"{classifier}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise UserError(
            f"data folder {data_dir}: cannot be written ({exc.strerror}); run it as the folder's user"
        ) from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UserError(f"another command writes labels of {classifier} now; wait for its end") from exc
        yield
    finally:
        os.close(fd)


async def _filed(data_dir: Path, owners: str) -> None:
    """Returns when the writer has filed all segments whose owner begins with `owners`."""
    deadline = time.monotonic() + _PATIENCE_S
    while any((data_dir / "journal").glob(f"{owners}*.seg")):
        if time.monotonic() > deadline:
            raise WorkFailed(
                f"{data_dir}: the writer of `tailrace serve` has not filed the labels that wait in the journal; "
                "they are safe, `tailrace doctor` tells how far behind it is"
            )
        await asyncio.sleep(_POLL_S)
