"""What the tests of the journal have in common: calls to log, disks that fail, and the journal read back."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from tailrace.clock import Clock
from tailrace.journal.entry import Entry
from tailrace.journal.journal import Journal
from tailrace.journal.replay import Batch, Replay
from tailrace.journal.segment import Disk, PosixDisk
from tailrace.records import Attempt, Closed, End, Start
from tailrace.settings import Log

OWNER: Final = "00000000000000aa"
START: Final = Start(
    at_us=1, project="default", endpoint="chat.completions", provider="up", model="m", sent_model="m", stream=True,
    step=1,
)  # fmt: skip
LAST: Final = Attempt(n=1, at_us=1, provider="up", model="m", outcome="ok", http_status=200)
END: Final = End(at_us=2, status="ok", last=LAST, http_status=200)
GUARD_S: Final = 30
"""No test waits so long; it is there so that a hanging one ends."""


def log(**changes: Any) -> Log:
    """Settings with small segments, so that little work fills them."""
    return Log(**({"segment_bytes": 2**16, "part_bytes": 2**10, "durability": "process"} | changes))


def journal(
    directory: Path, *, owner: str = OWNER, workers: int = 1, disk: Disk | None = None, **changes: Any
) -> Journal:
    """A journal that tries again at once after a failure."""
    return Journal(directory, owner, Clock(0), log(**changes), workers=workers, disk=disk, retry_s=0)


def id_of(number: int) -> UUID:
    return UUID(int=number + 1)


def request(number: int, size: int = 200) -> bytes:
    return b'{"call": %d, "filler": "%s"}' % (number, b"q" * size)


def answer(number: int, size: int = 200) -> bytes:
    return b'{"answer": %d, "filler": "%s"}' % (number, b"a" * size)


async def begin(journal: Journal, number: int, size: int = 200) -> Entry:
    entry = journal.begin(id_of(number), replace(START, step=number + 1), request(number, size))
    await entry.written()
    return entry


async def call(journal: Journal, number: int, size: int = 200) -> None:
    """One call, to its durable end."""
    entry = await begin(journal, number, size)
    await entry.end(END, answer(number, size))


@dataclass
class Read:
    """All that a replay gave back."""

    batches: list[Batch] = field(default_factory=list)

    def all(self, kind: str) -> list[Any]:
        return [item for batch in self.batches for item in getattr(batch, kind)]

    @property
    def closed(self) -> dict[int, Closed]:
        """By call number; asserts that none came twice and that each has its own bytes."""
        found: dict[int, Closed] = {}
        for closed in self.all("closed"):
            number = closed.id.int - 1
            assert number not in found, f"call {number} came twice"
            found[number] = closed
        return found

    @property
    def ended(self) -> set[int]:
        return {number for number, closed in self.closed.items() if closed.end is not None}


def drain(replay: Replay, **limits: int) -> Read:
    """Polls until nothing comes, filing each batch."""
    read = Read()
    while batch := replay.poll(**limits):
        read.batches.append(batch)
        replay.done(batch)
    return read


def read_back(directory: Path) -> Read:
    replay = Replay(directory)
    read = drain(replay)
    replay.close()
    return read


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class FaultyDisk(PosixDisk):
    """The real disk, until it is told to fail: `fail["sync"] = n` lets n more syncs pass and fails those after."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        self.syncs = 0
        self.error = errno.EIO

    def heal(self) -> None:
        self.fail.clear()

    def allocate(self, fd: int, size: int) -> None:
        self._count("allocate")
        super().allocate(fd, size)

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        self._count("write")
        super().write(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        self._count("sync")
        super().sync(fd)

    def _count(self, what: str) -> None:
        if what in self.fail:
            self.fail[what] -= 1
            if self.fail[what] < 0:
                raise OSError(self.error, os.strerror(self.error))
