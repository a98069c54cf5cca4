"""Segments made ahead of need, and who waits for one. Owns the byte cap and the retry after a failure.

The disk thread makes the next segment while the one in use still has room, so that no call waits for the disk to
reserve space. Where the need is sudden (many calls at once, a large body), a record takes a ticket and is placed when
the next segment is there. If none can be made, whoever has a ticket is refused, and so is who comes next and finds no
room, until one can be made again: that is tried every `retry_s`, so space that came free is taken up without a restart
and without a call.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tailrace.journal import frames
from tailrace.journal.segment import Disk, Name, Segment, bytes_on_disk
from tailrace.journal.space import Place, Space
from tailrace.journal.thread import DiskThread
from tailrace.settings import Log

HEADER_ROOM: Final = 8192
"""Of an END's header; with `part_bytes` what is reserved for it."""
SEAL_BYTES: Final = frames.size_of(b"", b"")
FULL: Final = "The log is full: what it holds has not been filed yet."
FAILING: Final = "The log's disk is full or failing."
CLOSED: Final = "The log is closed."


class _Full(Exception):
    """At the byte cap."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A record that waits for room."""

    size: int
    find: Callable[[int], Place[Segment] | None]
    grant: Callable[[Place[Segment]], None]
    refuse: Callable[[str], None]


class Supply:
    """The segments of one owner. All methods are for the loop's thread.

    `on_made` is called when there is a fresh segment, before anyone with a ticket is placed, `on_trouble` when none can
    be made. `workers` is how many owners share the byte cap.
    """

    def __init__(
        self,
        directory: Path,
        owner: str,
        log: Log,
        disk: Disk,
        *,
        loop: asyncio.AbstractEventLoop,
        thread: DiskThread,
        retry_s: float,
        workers: int,
        on_made: Callable[[], None],
        on_trouble: Callable[[], None],
    ) -> None:
        self.reserve_bytes: Final = log.part_bytes + HEADER_ROOM + frames.OVERHEAD_BYTES
        self.space: Space[Segment] = Space(self.reserve_bytes)
        self.trouble: str | None = None
        """Why a record that finds no room is refused; None where it may wait."""
        self._directory = directory
        self._owner = owner
        self._disk = disk
        self._loop = loop
        self._thread = thread
        self._retry_s = retry_s
        self._on_made = on_made
        self._on_trouble = on_trouble
        self._max_bytes = log.journal_max_bytes
        # Four for each owner fit under the cap. It is lifted by deleting sealed segments, and an idle owner holds on to
        # two that are not: the one in use and the next.
        share = log.journal_max_bytes // (4 * workers)
        self._length = max(min(log.segment_bytes, share), 2 * self.reserve_bytes + SEAL_BYTES)
        self._low_slots = max(1, self._length // self.reserve_bytes // 2)
        self._seq = 0
        self._making = False
        self._stopped = False
        self._retry: asyncio.TimerHandle | None = None
        self._tickets: deque[Ticket] = deque()

    @property
    def making(self) -> bool:
        """Whether the thread is at work for us."""
        return self._making

    @property
    def waiting(self) -> int:
        """Records that wait for room."""
        return len(self._tickets)

    def open(self) -> None:
        """Make the first segment; where that fails, go on without and try again later."""
        self._seq = 1
        try:
            made: Segment | None = self._make(Name(self._owner, 1), self._length)
            error: Exception | None = None
        except (OSError, _Full) as exc:
            made, error = None, exc
        self._made(made, error)

    def wait(self, ticket: Ticket) -> None:
        """Place the record when there is room, in order, or refuse it when none can be had."""
        if self.trouble is not None:
            ticket.refuse(self.trouble)
            return
        self._tickets.append(ticket)
        self.ensure()

    def ensure(self) -> None:
        """Have the next segment made if there is need and nothing against it."""
        if self.trouble is None and self._is_low():
            self._start_making()

    def abandon(self) -> list[Segment]:
        """Take all segments out of use after a failure: they are the caller's to close once there is a fresh one."""
        abandoned = [segment for segment, _ in self.space.drain()]
        self._in_trouble(FAILING)
        return abandoned

    def stop(self) -> list[tuple[Segment, int]]:
        """No more segments: the open ones, each with its length, are the caller's to seal."""
        self._in_trouble(CLOSED)
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
        return self.space.drain()

    def _is_low(self) -> bool:
        return bool(self._tickets) or self.space.free_slots < self._low_slots

    def _next_length(self) -> int:
        """As usual, or as much as the first in the queue needs where no open segment is large enough."""
        needed = self._tickets[0].size if self._tickets else 0
        if needed <= max(self.space.largest, self._length - self.reserve_bytes - SEAL_BYTES):
            return self._length
        return needed + self.reserve_bytes + SEAL_BYTES

    def _start_making(self) -> None:
        if not self._making:
            self._making = True
            self._seq += 1
            work = partial(self._make, Name(self._owner, self._seq), self._next_length())
            self._thread.submit(work, self._made)

    def _make(self, name: Name, length: int) -> Segment:
        """For the thread. The folder is counted here, where it grows: no call pays for it."""
        if bytes_on_disk(self._directory) + length > self._max_bytes:
            raise _Full
        return Segment.create(self._directory, name, length, self._disk)

    def _made(self, made: object, error: Exception | None) -> None:
        self._making = False
        if self._stopped:
            if isinstance(made, Segment):
                made.close(0)
            return
        if not isinstance(made, Segment):
            self._in_trouble(FULL if isinstance(error, _Full) else FAILING)
            return
        self.trouble = None
        self.space.add(made, made.size - SEAL_BYTES)
        self._on_made()
        while self._tickets and (place := self._tickets[0].find(self._tickets[0].size)) is not None:
            self._tickets.popleft().grant(place)
        self.ensure()

    def _in_trouble(self, reason: str) -> None:
        self.trouble = CLOSED if self._stopped else reason
        if self._retry is None and self.trouble != CLOSED:
            self._retry = self._loop.call_later(self._retry_s, self._again)
        while self._tickets:
            self._tickets.popleft().refuse(reason)
        self._on_trouble()

    def _again(self) -> None:
        self._retry = None
        if self._is_low():
            self._start_making()
        else:
            self.trouble = None
