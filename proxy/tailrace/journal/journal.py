"""The relay's side of the journal: a completion's records in, and a word when they are kept.

Owns admission: a START is taken only where its END will find room (`space`), below the byte cap, and while the disk
takes records. After a failed write or sync the segments in use are abandoned, never retried; everything that waited is
told, and new segments are tried again a second later. An END whose segments were abandoned goes into the new ones: the
writer joins an owner's records by id over all its segments.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from tailrace.clock import Clock
from tailrace.errors import LogUnavailable
from tailrace.journal import entries, frames
from tailrace.journal.commits import Commits, Need
from tailrace.journal.frames import Kind
from tailrace.journal.segment import Disk, Name, PosixDisk, Segment, bytes_on_disk, make_directory
from tailrace.journal.space import Place, Space
from tailrace.journal.thread import DiskThread
from tailrace.records import End, Gap, Retried, Start, Status
from tailrace.settings import Log

RETRY_NS: Final = 1_000_000_000
"""How long after a failure the disk is asked again."""
HEADER_ROOM: Final = 8192
"""Of an END's header; with `part_bytes` what is reserved for it."""

_NOBODY: Final = bytes(16)
_SEAL_BYTES: Final = frames.size_of(b"", b"")


@dataclass(frozen=True, slots=True)
class JournalStats:
    """The journal now."""

    bytes: int  # of all owners' segments
    waiting: int
    groups: int
    failures: int


class Journal:
    """One relay process's journal. An async context manager; all methods are for its event loop's thread."""

    def __init__(self, directory: Path, owner: str, clock: Clock, log: Log, *, disk: Disk | None = None) -> None:
        self._directory = directory
        self._owner = owner
        self._clock = clock
        self._log = log
        self._disk = disk or PosixDisk()
        self._space: Space[Segment] = Space(log.part_bytes + HEADER_ROOM + frames.OVERHEAD_BYTES)
        self._seq = 0
        self._retry_at = 0
        self._closed = False
        self.healthy = True
        self.failures = 0
        self.generation = 0
        """Grows with each failure: reservations made before it are gone."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            make_directory(self._directory)
        except OSError as exc:
            raise LogUnavailable(f"the journal's folder cannot be made: {exc.strerror}") from exc
        self._thread = DiskThread(loop)
        power = self._log.durability == "power"
        self._commits = Commits(loop, self._thread, power=power, read_ns=self._clock.read, on_failure=self._failed)
        self._extend(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._closed = True
        for segment, used in self._space.drain():
            self._seal(segment, used)
        self._commits.flush()
        while self._commits.busy:
            await self._thread.idle()
        self._thread.stop()

    @property
    def stats(self) -> JournalStats:
        """The journal now."""
        return JournalStats(bytes_on_disk(self._directory), self._commits.waiting, self._commits.groups, self.failures)

    def begin(self, id_: UUID, start: Start, body: bytes) -> "Entry":
        """Takes a START and reserves the room of its END. Raises LogUnavailable."""
        self._ready()
        header = entries.encode_start(start)
        size = frames.size_of(header, body)
        place = self._space.hold(size)
        if place is None:
            self._extend(size)
            place = self._space.hold(size)
        if place is None:
            raise LogUnavailable("The log has no room for this call.")
        entry = Entry(self, id_.bytes, place.segment.name.seq)
        entry.start = self.put(place, Kind.START, entry, header, body, Need.WRITTEN)
        return entry

    def gap(self, gap: Gap) -> None:
        """Writes down calls that passed without being logged. Raises LogUnavailable."""
        self._ready()
        header = entries.encode_gap(gap)
        place = self.place(frames.size_of(header, b""))
        if place is None:
            raise LogUnavailable("The log has no room for a gap record.")
        self.put(place, Kind.GAP, None, header, b"", Need.NOTHING)

    def place(self, size: int) -> Place[Segment] | None:
        """Room for a record beyond all reservations; None where there is none and no segment could be made."""
        place = self._space.take(size)
        if place is None:
            try:
                self._extend(size)
            except LogUnavailable:
                return None
            place = self._space.take(size)
        return place

    def redeem(self, size: int) -> Place[Segment] | None:
        """Room for an END in exchange for its reservation."""
        return self._space.redeem(size)

    def release(self) -> None:
        """A reservation is not needed."""
        self._space.release()

    def put(
        self, place: Place[Segment], kind: Kind, entry: "Entry | None", header: bytes, body: bytes, need: Need
    ) -> asyncio.Future[None]:
        """Writes a record at its place; the future resolves when what it needs is so."""
        for segment, used in place.left:
            self._seal(segment, used)
        segment = place.segment
        id_, home = (entry.id, entry.home) if entry is not None else (_NOBODY, segment.name.seq)
        buffers = frames.encode(kind, id_, self._clock.stamp(), header, body, home=home, seed=segment.salt)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits.write(segment, place.offset, buffers, need, waiter)
        return waiter

    def _ready(self) -> None:
        if self._closed:
            raise LogUnavailable("The log is closed.")
        if self.healthy:
            return
        if self._clock.read() < self._retry_at:
            raise LogUnavailable("The log's disk does not take records.")
        self._extend(0)
        self.healthy = True

    def _extend(self, size: int) -> None:
        """One more segment, large enough for a record of `size` and its END. Raises LogUnavailable."""
        needed = size + _SEAL_BYTES + self._log.part_bytes + HEADER_ROOM + frames.OVERHEAD_BYTES
        length = max(self._log.segment_bytes, needed)
        if bytes_on_disk(self._directory) + length > max(self._log.journal_max_bytes, length):
            raise LogUnavailable("The log is full: the writer has not filed what it holds (log.journal_max_bytes).")
        self._seq += 1
        try:
            segment = Segment.create(self._directory, Name(self._owner, self._seq), length, self._disk)
        except OSError as exc:
            self._retry_at = self._clock.read() + RETRY_NS
            raise LogUnavailable("The log's disk is full or failing.") from exc
        self._space.add(segment, length - _SEAL_BYTES)

    def _seal(self, segment: Segment, used: int) -> None:
        """The segment takes no more records: say so in it, and close it once that is durable."""
        buffers = frames.encode(
            Kind.SEAL, _NOBODY, self._clock.stamp(), b"", b"", home=segment.name.seq, seed=segment.salt
        )
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits.write(segment, used, buffers, Need.NOTHING, waiter)
        self._commits.retire(segment, used + _SEAL_BYTES)

    def _failed(self, error: Exception, lost: list[object]) -> None:  # noqa: ARG002 - the waiters have been told
        """A write or a sync failed: nothing of the segments in use can be trusted to become durable."""
        self.failures += 1
        self.generation += 1
        self.healthy = False
        self._retry_at = self._clock.read() + RETRY_NS
        for segment, _ in self._space.drain():
            segment.close()


class Entry:
    """One completion's records."""

    __slots__ = ("_cut", "_generation", "_journal", "home", "id", "start")

    def __init__(self, journal: Journal, id_: bytes, home: int) -> None:
        self._journal = journal
        self._generation = journal.generation
        self._cut = False
        self.id = id_
        self.home = home
        self.start: asyncio.Future[None] | None = None

    async def written(self) -> None:
        """START is with the kernel: it survives this process. Raises LogUnavailable."""
        if self.start is not None:
            await self.start

    def attempt(self, retried: Retried) -> asyncio.Future[None]:
        """A further provider call begins; the future resolves when that is with the kernel."""
        header = entries.encode_retried(retried)
        place = self._journal.place(frames.size_of(header, b""))
        if place is None:
            return _refused()
        return self._journal.put(place, Kind.ATTEMPT, self, header, b"", Need.WRITTEN)

    def part(self, body: bytes) -> None:
        """Some of the answer's bytes. A part that finds no room makes `end` say that the answer is not kept."""
        if self._cut:
            return
        place = self._journal.place(frames.size_of(b"", body))
        if place is None:
            self._cut = True
        else:
            self._journal.put(place, Kind.PART, self, b"", body, Need.NOTHING)

    def end(self, end: End, body: bytes) -> asyncio.Future[None]:
        """How it ended, and the rest of the bytes. Synchronous; the future resolves when END is durable.

        Where a part of the answer found no room, END says `tailrace_error` and the future is refused.
        """
        if self._cut:
            self._write_end(replace(end, status=Status.TAILRACE_ERROR, error="tailrace_log_unavailable"), b"")
            return _refused()
        return self._write_end(end, body) or _refused()

    def _write_end(self, end: End, body: bytes) -> asyncio.Future[None] | None:
        journal = self._journal
        header = entries.encode_end(end)
        size = frames.size_of(header, body)
        place = journal.redeem(size) if self._generation == journal.generation else None
        if place is None:
            place = journal.place(size)
            if place is not None and self._generation == journal.generation:
                journal.release()
        return None if place is None else journal.put(place, Kind.END, self, header, body, Need.DURABLE)


def _refused() -> asyncio.Future[None]:
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.set_exception(LogUnavailable("The log has no room for this answer."))
    refused.exception()  # seen: whoever waits gets it, and nobody may be waiting
    return refused
