"""The relay's side of the journal: a completion's records in, and a word when they are kept.

    begin ─▶ START written ─▶ provider called ─▶ part, part, … ─▶ end ─▶ END durable ─▶ the answer's last byte released

What is promised, and what becomes of a record that cannot be kept:

- A START is taken only where its END will find room; else LogUnavailable.
- A PART that finds no room stays in memory and goes with the next part or with END; whoever logs more than one part's
  size of it waits (`Entry.room`) for the next segment. If none can be made, the answer is cut there. An END that finds
  no room is cut to what was reserved for it, says `tailrace_error`, and is not acknowledged.
- After a failed write or sync the segments in use are abandoned, never tried again. No call with a record in them is
  acknowledged any more, because a record that the kernel had taken may never have reached the medium. Whoever waits is
  told at once. When there is a fresh segment, an AMEND there says how each of these calls ended.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from tailrace.clock import Clock
from tailrace.errors import Code, WorkFailed
from tailrace.journal import entries, frames
from tailrace.journal.commits import Commits, Failure, Need, Waiter, refuse
from tailrace.journal.entry import Entry
from tailrace.journal.frames import NOBODY, Kind
from tailrace.journal.segment import Disk, PosixDisk, Segment, bytes_on_disk, make_directory
from tailrace.journal.space import Place
from tailrace.journal.supply import SEAL_BYTES, Supply, Ticket
from tailrace.journal.thread import DiskThread
from tailrace.records import Change, End, Feedback, Gap, Labelled, Retried, Start, Status
from tailrace.settings import Log

RETRY_S: Final = 1.0
"""How long after a failure, or at the cap, a fresh segment is tried again."""


@dataclass(frozen=True, slots=True)
class JournalStats:
    """The journal now."""

    bytes: int  # of all owners' segments
    waiting: int  # records and callers that wait for the disk or for room
    groups: int  # group commits so far
    failures: int  # failed writes and syncs so far


class Journal:
    """One relay process's journal. An async context manager; all methods are for its event loop's thread.

    `workers` is how many relay processes share the folder and its byte cap.
    """

    def __init__(
        self,
        directory: Path,
        owner: str,
        clock: Clock,
        log: Log,
        *,
        workers: int = 1,
        disk: Disk | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self._directory = directory
        self._owner = owner
        self._clock = clock
        self._log = log
        self._disk = disk or PosixDisk()
        self._workers = workers
        self._retry_s = retry_s
        self._generation = 0  # grows with each failure
        self._abandoned: list[Segment] = []
        self._owed: dict[bytes, tuple[int, End]] = {}  # by id: START's segment, and how the call ended
        self._for_room: list[Waiter] = []
        self.part_bytes = log.part_bytes
        self._closed = True

    async def __aenter__(self) -> Self:
        """Raises WorkFailed where the folder cannot be made; a full or failing disk only makes it start unhealthy."""
        try:
            make_directory(self._directory)
        except OSError as exc:
            raise WorkFailed(f"{self._directory}: the journal's folder cannot be made: {exc.strerror}") from exc
        loop = asyncio.get_running_loop()
        self.new_waiter = loop.create_future
        self._thread = DiskThread(loop)
        power = self._log.durability == "power"
        self._commits = Commits(self._thread, power=power, read_ns=self._clock.read, on_failure=self._failed)
        self._supply = Supply(
            self._directory, self._owner, self._log, self._disk,
            loop=loop, thread=self._thread, retry_s=self._retry_s, workers=self._workers,
            on_made=self._settle,
            on_trouble=self._tell_room,
        )  # fmt: skip
        self._closed = False
        self._supply.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._closed = True
        try:
            for segment, used in self._supply.stop():
                self._seal(segment, used)
            while self._commits.busy or self._supply.making:
                await self._thread.idle()
        finally:
            self._close_abandoned()
            self._thread.stop()

    @property
    def healthy(self) -> bool:
        """False at the byte cap, on a full disk, and after a failure until it is over.

        At the cap and on a full disk calls are taken while there is room in what is reserved already.
        """
        return not self._closed and self._supply.trouble is None

    @property
    def stats(self) -> JournalStats:
        """The journal now. Looks into the folder."""
        waiting = self._commits.waiting + self._supply.waiting
        return JournalStats(bytes_on_disk(self._directory), waiting, self._commits.groups, self._generation)

    def begin(self, id_: UUID, start: Start, body: bytes) -> Entry:
        """Take a call in: its START is on the way to the kernel, and its END will find room.

        Raises:
            LogUnavailable: the log is full, failing or closed.
        """
        header = entries.encode_start(start)
        size = frames.size_of(header, body)
        entry = Entry(self, id_.bytes, self._generation, self.new_waiter())
        place = None if self._supply.waiting else self._supply.space.hold(size)
        if place is not None:
            self._put_start(entry, header, body, place)
        else:
            granted = partial(self._put_start, entry, header, body)
            refused = partial(self._refuse_start, entry)
            self._supply.wait(Ticket(size, self._supply.space.hold, granted, refused))
        if entry.started.done():
            entry.started.result()
        return entry

    def gap(self, gap: Gap) -> None:
        """Write down calls that passed without being logged. Raises LogUnavailable."""
        self._note(Kind.GAP, entries.encode_gap(gap))

    async def feedback(self, feedback: Feedback) -> None:
        """Returns when it is durable. Raises LogUnavailable."""
        await self._note(Kind.FEEDBACK, entries.encode_feedback(feedback))

    def label(self, said: Labelled) -> Waiter:
        """Write down what a classifier said or did. The future resolves when it is durable; nobody need wait for it.

        Raises:
            LogUnavailable: the log is full, failing or closed; one that is found to be so later fails the future.
        """
        return self._note(*entries.encode_labelled(said))

    async def labels(self, said: Iterable[Labelled]) -> None:
        """Returns when all of it is durable. Raises LogUnavailable, and then some of it may be in the log."""
        for waiter in [self.label(one) for one in said]:
            await waiter

    async def change(self, change: Change) -> None:
        """Returns when it is durable. Raises LogUnavailable."""
        await self._note(Kind.CHANGE, entries.encode_change(change))

    def _note(self, kind: Kind, header: bytes) -> Waiter:
        """A record that belongs to no running completion; the waiter resolves when it is durable."""
        waiter = self.new_waiter()
        size = frames.size_of(header, b"")
        space = self._supply.space
        granted = partial(self._put, kind=kind, entry=None, header=header, body=b"", need=Need.DURABLE, waiter=waiter)
        place = None if self._supply.waiting else space.take(size)
        if place is not None:
            granted(place)
        else:
            self._supply.wait(Ticket(size, space.take, granted, partial(refuse, waiter)))
        if waiter.done():
            waiter.result()
        return waiter

    # ---- for entries

    def attempt(self, entry: Entry, retried: Retried) -> Waiter:
        """As `Entry.attempt`."""
        waiter = self.new_waiter()
        header = entries.encode_retried(retried)
        place = None
        if entry.home and entry.generation == self._generation:
            place = self._supply.space.take(frames.size_of(header, b""))
        if place is None:
            refuse(waiter)
        else:
            self._put(place, Kind.ATTEMPT, entry, header, b"", need=Need.WRITTEN, waiter=waiter)
        return waiter

    def part(self, entry: Entry, body: bytes) -> None:
        """As `Entry.part`."""
        entry.cut |= entry.generation != self._generation
        if entry.cut:
            return
        body = entry.held + body if entry.held else body
        place = self._supply.space.take(frames.size_of(b"", body)) if entry.home else None
        if place is not None:
            entry.held = b""
            self._put(place, Kind.PART, entry, b"", body)
            return
        entry.held = body
        if len(body) > self.part_bytes and self._supply.trouble is not None:
            entry.cut = True
            entry.held = body[: self.part_bytes]

    def next_room(self) -> Waiter:
        """Resolves when there is a fresh segment, or trouble."""
        waiter = self.new_waiter()
        if self._supply.trouble is not None:
            waiter.set_result(None)
        else:
            self._for_room.append(waiter)
            self._supply.ensure()
        return waiter

    def end(self, entry: Entry, end: End, body: bytes, waiter: Waiter) -> None:
        """As `Entry.end`; `body` with what was held."""
        if not entry.home:
            self._end_early(entry, end, body, waiter)
            return
        if entry.generation != self._generation:
            self._owe(entry, end)
            refuse(waiter)
            return
        if entry.cut:
            self._end_cut(entry, end, body, waiter, "The log had no room for the answer.")
            return
        header = entries.encode_end(end)
        size = frames.size_of(header, body)
        granted = partial(self._put_end, entry, end, header, body, waiter)
        place = self._supply.space.redeem(size)
        if place is not None:
            granted(place)
            return
        refused = partial(self._end_cut, entry, end, body, waiter)
        self._supply.wait(Ticket(size, self._supply.space.redeem, granted, refused))

    def amend(self, entry: Entry, end: End) -> None:
        """As `Entry.amend`."""
        if entry.home:
            self._owed[entry.id] = (entry.home, end)
            self._pay()

    # ---- records

    def _put_start(self, entry: Entry, header: bytes, body: bytes, place: Place[Segment]) -> None:
        entry.home = place.segment.name.seq
        entry.generation = self._generation
        self._put(place, Kind.START, entry, header, body, need=Need.WRITTEN, waiter=entry.started)
        if entry.late is not None and entry.ended is not None:
            self.end(entry, *entry.late, entry.ended)

    def _refuse_start(self, entry: Entry, reason: str) -> None:
        refuse(entry.started, reason)
        if entry.ended is not None:
            refuse(entry.ended, reason)

    def _end_early(self, entry: Entry, end: End, body: bytes, waiter: Waiter) -> None:
        """END of a call whose START waits for room (its client left meanwhile), or was refused it."""
        was_refused = entry.started.done() and not entry.started.cancelled()
        if was_refused or self._closed:
            refuse(waiter)
        else:
            entry.late = (end, body)

    def _put_end(
        self, entry: Entry, end: End, header: bytes, body: bytes, waiter: Waiter, place: Place[Segment]
    ) -> None:
        self._put(place, Kind.END, entry, header, body, need=Need.DURABLE, waiter=waiter, note=(entry, end))

    def _end_cut(self, entry: Entry, end: End, body: bytes, waiter: Waiter, reason: str) -> None:
        """END with as much of the body as was reserved, for a row that says so; the waiter is refused."""
        refuse(waiter, reason)
        if entry.generation != self._generation or self._closed:
            self._owe(entry, end)
            return
        end = _unkept(end)
        header = entries.encode_end(end)
        body = body[: max(0, self._supply.reserve_bytes - frames.size_of(header, b""))]
        place = self._supply.space.redeem(frames.size_of(header, body))
        if place is None:  # its header alone is larger than what was reserved
            self._supply.space.release()
            self._owe(entry, end)
        else:
            self._put_end(entry, end, header, body, self.new_waiter(), place)

    def _put(
        self,
        place: Place[Segment],
        kind: Kind,
        entry: Entry | None,
        header: bytes,
        body: bytes,
        *,
        need: Need = Need.NOTHING,
        waiter: Waiter | None = None,
        note: tuple[Entry, End] | None = None,
    ) -> None:
        generation = self._generation
        for left, used in place.left:
            self._seal(left, used)
        if generation != self._generation:  # sealing failed: the place is abandoned with all others
            if waiter is not None:
                refuse(waiter)
            return
        id_, home = (NOBODY, 0) if entry is None else (entry.id, entry.home)
        segment = place.segment
        buffers = frames.encode(kind, id_, self._clock.stamp(), header, body, home=home, seed=segment.salt)
        self._commits.write(segment, place.offset, buffers, need, waiter, note)
        self._supply.ensure()

    def _seal(self, segment: Segment, used: int) -> None:
        """The segment takes no more records: say so in it, and close it once all in it is durable."""
        buffers = frames.encode(Kind.SEAL, NOBODY, self._clock.stamp(), b"", b"", home=0, seed=segment.salt)
        self._commits.write(segment, used, buffers)
        self._commits.retire(segment, used + SEAL_BYTES)

    # ---- failure and recovery

    def _failed(self, failure: Failure) -> None:
        """Nothing in the segments in use can be trusted to become durable.

        They stay open, and with that locked, until there is a fresh one: else the writer would take the owner for dead.
        """
        self._generation += 1
        self._abandoned += [*self._supply.abandon(), *failure.unclosed]
        for note in failure.lost:
            assert isinstance(note, tuple)
            self._owe(*note)

    def _owe(self, entry: Entry, end: End) -> None:
        """Say how the call ended as soon as there is room."""
        self._owed[entry.id] = (entry.home, _unkept(end))
        self._pay()

    def _settle(self) -> None:
        """There is a fresh segment."""
        self._close_abandoned()
        self._pay()
        self._tell_room()

    def _tell_room(self) -> None:
        waiters, self._for_room = self._for_room, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _pay(self) -> None:
        """Write down how calls ended whose END could not be written, as far as there is room."""
        while self._owed and not self._closed:
            id_, (home, end) = next(iter(self._owed.items()))
            header = entries.encode_end(end)
            place = self._supply.space.take(frames.size_of(header, b""))
            if place is None:
                return
            del self._owed[id_]
            entry = Entry(self, id_, self._generation, self.new_waiter())
            entry.home = home
            self._put(
                place, Kind.AMEND, entry, header, b"", need=Need.DURABLE, waiter=self.new_waiter(), note=(entry, end)
            )

    def _close_abandoned(self) -> None:
        abandoned, self._abandoned = self._abandoned, []
        for segment in abandoned:
            if not segment.closed:
                with suppress(OSError):  # an earlier failed write, reported once more
                    segment.close()


def _unkept(end: End) -> End:
    """An End of a call whose answer was not shown to its end because the log did not keep it."""
    if end.status != Status.OK:
        return end
    return replace(end, status=Status.TAILRACE_ERROR, error=Code.LOG_UNAVAILABLE)
