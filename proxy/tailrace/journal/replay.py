"""The writer's side of the journal: what the relays wrote, whole completions at a time, until it is filed.

    poll ─▶ Batch (closed, amended, gaps, …) ─▶ the writer files it and commits ─▶ done: segments are deleted

Keeps where a running completion's records lie, not their bytes. A segment is deleted when it was read to its end, its
owner is through with it, and every completion with a record in it was `done`. After a restart all that is still on disk
is given again, and what was filed before may then come with less than it had: the store keeps the first.

The records of all owners come in the order of their stamps, as far as they are written.
"""

import fcntl
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from tailrace.journal import entries
from tailrace.journal.entries import LABELLED, Unreadable
from tailrace.journal.frames import NOBODY, Frame, Kind, Torn
from tailrace.journal.segment import SUFFIX_NEW, Name
from tailrace.journal.tail import Damage, Tail
from tailrace.records import Amended, Change, Closed, End, Feedback, Gap, Labelled, Poison, Retried

BATCH_BYTES: Final = 64 * 2**20
"""Of request and answer bodies in a batch; one completion more may exceed it."""


@dataclass(slots=True)
class Batch:
    """What was found. `held` are the segments it comes from, once for each reason not to delete them."""

    closed: list[Closed] = field(default_factory=list)
    amended: list[Amended] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    labelled: list[Labelled] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    poisons: list[Poison] = field(default_factory=list)
    held: list[Tail] = field(default_factory=list)
    size_bytes: int = 0

    def __bool__(self) -> bool:
        return len(self) > 0

    def __len__(self) -> int:
        beside = len(self.gaps) + len(self.feedback) + len(self.labelled) + len(self.changes) + len(self.poisons)
        return len(self.closed) + len(self.amended) + beside


@dataclass(slots=True)
class _Running:
    """A completion that has not ended yet: where its records lie."""

    owner: str
    stamp: int
    start: tuple[Tail, int, int]  # segment, offset, size
    parts: list[tuple[Tail, int, int]] = field(default_factory=list)
    retries: list[Retried] = field(default_factory=list)
    tails: list[Tail] = field(default_factory=list)  # each once


@dataclass(slots=True)
class _Owner:
    """The segments of one relay process, read one after the other, and the record that comes next."""

    name: str
    tails: dict[int, Tail] = field(default_factory=dict)
    current: Tail | None = None
    head: Frame | Damage | None = None
    stamp: int = 0  # of the last frame

    def advance(self) -> bool:
        """Read the next record into `head`; whether there is one."""
        self.head = None
        while True:
            if self.current is None or self.current.finished:
                after = self.current.name.seq if self.current is not None else 0
                following = [seq for seq in self.tails if seq > after]
                if not following:
                    return False
                self.current = self.tails[min(following)]
            self.head = self.current.next()
            if self.head is not None:
                if isinstance(self.head, Frame):
                    self.stamp = self.head.stamp
                return True
            if not self.current.finished:
                return False

    @property
    def is_through(self) -> bool:
        """All known segments are read to their ends, and none will grow."""
        return self.head is None and all(tail.finished for tail in self.tails.values())


class Replay:
    """Reads a journal's folder, which need not exist yet. Not for use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._owners: dict[str, _Owner] = {}
        self._running: dict[bytes, _Running] = {}
        _sweep(directory)

    @property
    def backlog_bytes(self) -> int:
        """Bytes in the folder that were not read yet, at most: space reserved in the newest segments counts."""
        unread = 0
        for owner in self._owners.values():
            for tail in owner.tails.values():
                if tail is not owner.current or owner.head is not None:
                    unread += tail.unread
        return unread

    @property
    def oldest_stamp(self) -> int | None:
        """Stamp of the oldest record that was seen and not yet given back in a batch; None where all was."""
        return min((owner.stamp for owner in self._owners.values() if owner.head is not None), default=None)

    @property
    def running(self) -> int:
        """Completions that have begun and not ended."""
        return len(self._running)

    def poll(self, limit: int = 500, max_bytes: int = BATCH_BYTES) -> Batch:
        """What has come since the last call: up to `limit` records, and about `max_bytes` of bodies.

        Several batches may be under way. Raises OSError where the folder cannot be read.
        """
        batch = Batch()
        self._look()
        owners = self._owners.values()
        ready = [(owner.stamp, owner.name) for owner in owners if owner.head is not None or owner.advance()]
        heapq.heapify(ready)
        while ready and len(batch) < limit and batch.size_bytes < max_bytes:
            owner = self._owners[ready[0][1]]
            self._take(owner, batch)
            if owner.advance():
                heapq.heapreplace(ready, (owner.stamp, owner.name))
            else:
                heapq.heappop(ready)
        if not ready:
            self._interrupt(batch, limit, max_bytes)
        self._delete()
        return batch

    def done(self, batch: Batch) -> None:
        """The batch is committed: delete the segments that nobody needs any more."""
        for tail in batch.held:
            tail.pins -= 1
        batch.held.clear()
        self._delete()

    def close(self) -> None:
        """Let go of all files."""
        for owner in self._owners.values():
            for tail in owner.tails.values():
                tail.close()
        self._owners.clear()
        self._running.clear()

    # ---- files

    def _look(self) -> set[str]:
        """Notice new segments; the owners of those."""
        found = set()
        for name in segments(self._directory):
            owner = self._owners.setdefault(name.owner, _Owner(name.owner))
            read_to = owner.current.name.seq if owner.current is not None else 0
            if name.seq not in owner.tails and name.seq > read_to:
                owner.tails[name.seq] = Tail(self._directory, name)
                found.add(name.owner)
        return found

    def _delete(self) -> None:
        """Delete what is read, final and filed; forget owners of whom nothing is left."""
        for owner in list(self._owners.values()):
            for seq, tail in list(owner.tails.items()):
                is_read = tail.finished and (tail is not owner.current or owner.head is None)
                if is_read and not tail.pins:
                    tail.path.unlink(missing_ok=True)
                    del owner.tails[seq]

    def _interrupt(self, batch: Batch, limit: int, max_bytes: int) -> None:
        """Give back the running completions of dead owners.

        An owner holds its next segment before it lets go of one. So if all its segments are free, and a look into the
        folder after that shows no other, it is dead.
        """
        through = {owner.name for owner in self._owners.values() if owner.is_through}
        if not through:
            return
        dead = through - self._look()
        for id_ in [id_ for id_, running in self._running.items() if running.owner in dead]:
            if len(batch) >= limit or batch.size_bytes >= max_bytes:
                return
            self._close(id_, None, batch)
        for name in dead:
            if not self._owners[name].tails:
                del self._owners[name]
                _sweep(self._directory)

    # ---- records

    def _take(self, owner: _Owner, batch: Batch) -> None:
        """File the owner's `head` under what it belongs to."""
        item, tail = owner.head, owner.current
        assert item is not None
        assert tail is not None
        if isinstance(item, Damage):
            _poison(batch, tail, item.offset, item.reason, item.raw, owner.stamp)
            return
        try:
            self._take_frame(owner, tail, item, batch)
        except Unreadable as error:
            id_ = None if item.id == NOBODY else item.id
            at = tail.offset - item.size
            _poison(batch, tail, at, str(error), item.header + b"\n" + item.body, item.stamp, id_)

    def _take_frame(self, owner: _Owner, tail: Tail, frame: Frame, batch: Batch) -> None:
        """Raises Unreadable."""
        if frame.kind is Kind.GAP:
            batch.gaps.append(entries.decode_gap(frame.header))
            _hold(batch, tail)
        elif frame.kind is Kind.FEEDBACK:
            batch.feedback.append(entries.decode_feedback(frame.header))
            _hold(batch, tail)
        elif frame.kind is Kind.CHANGE:
            batch.changes.append(entries.decode_change(frame.header))
            _hold(batch, tail)
        elif frame.kind in LABELLED:
            batch.labelled.append(entries.decode_labelled(frame.kind, frame.header))
            _hold(batch, tail)
        elif frame.kind is Kind.START:
            self._start(owner, tail, frame, batch)
        elif frame.id not in self._running:
            self._late(owner, tail, frame, batch)
        else:
            self._go_on(tail, frame, batch)

    def _start(self, owner: _Owner, tail: Tail, frame: Frame, batch: Batch) -> None:
        at = tail.offset - frame.size
        if frame.id in self._running:
            _poison(batch, tail, at, "a second START", frame.header + b"\n" + frame.body, frame.stamp, frame.id)
            return
        tail.pins += 1
        self._running[frame.id] = _Running(owner.name, frame.stamp, (tail, at, frame.size), tails=[tail])

    def _go_on(self, tail: Tail, frame: Frame, batch: Batch) -> None:
        running = self._running[frame.id]
        if tail not in running.tails:
            tail.pins += 1
            running.tails.append(tail)
        if frame.kind is Kind.PART:
            running.parts.append((tail, tail.offset - frame.size, frame.size))
        elif frame.kind is Kind.ATTEMPT:
            running.retries.append(entries.decode_retried(frame.header))
        else:
            self._close(frame.id, frame, batch)

    def _late(self, owner: _Owner, tail: Tail, frame: Frame, batch: Batch) -> None:
        """A record of a completion that is not running."""
        if frame.kind is Kind.AMEND:
            batch.amended.append(Amended(UUID(bytes=frame.id), frame.stamp, entries.decode_end(frame.header)))
            _hold(batch, tail)
        elif frame.home in owner.tails:
            at, raw = tail.offset - frame.size, frame.header + b"\n" + frame.body
            _poison(batch, tail, at, f"{frame.kind.name} without its START", raw, frame.stamp, frame.id)
        # Else the segment with its START is deleted: it was filed before this process began.

    def _close(self, id_: bytes, last: Frame | None, batch: Batch) -> None:
        """A completion is over, by END or AMEND, or because its owner is dead."""
        running = self._running.pop(id_)
        batch.held += running.tails
        try:
            end = None if last is None else entries.decode_end(last.header)
            closed = _closed(UUID(bytes=id_), running, last, end)
        except (Torn, Unreadable) as error:
            tail, at, _ = running.start
            _poison(batch, tail, at, str(error), _raw(running, last), running.stamp, id_)
            return
        batch.closed.append(closed)
        batch.size_bytes += len(closed.request) + len(closed.answer)


def _closed(id_: UUID, running: _Running, last: Frame | None, end: End | None) -> Closed:
    """Raises Torn where a record that was whole before no longer is, and Unreadable."""
    tail, offset, size = running.start
    start = tail.read(offset, size)
    answer = [tail.read(offset, size).body for tail, offset, size in running.parts]
    if last is not None:
        answer.append(last.body)
    return Closed(
        id=id_,
        owner=running.owner,
        stamp=running.stamp,
        end_stamp=None if last is None else last.stamp,
        start=entries.decode_start(start.header),
        request=start.body,
        retries=tuple(running.retries),
        answer=answer[0] if len(answer) == 1 else b"".join(answer),
        end=end,
    )


def _raw(running: _Running, last: Frame | None) -> bytes:
    """All that can still be read of a completion that cannot be put together."""
    found = []
    for tail, offset, size in (running.start, *running.parts):
        try:
            frame = tail.read(offset, size)
        except Torn:
            continue
        found.append(frame.header + b"\n" + frame.body)
    if last is not None:
        found.append(last.header + b"\n" + last.body)
    return b"\n".join(found)


def _hold(batch: Batch, tail: Tail) -> None:
    tail.pins += 1
    batch.held.append(tail)


def _poison(
    batch: Batch, tail: Tail, offset: int, reason: str, raw: bytes, stamp: int, id_: bytes | None = None
) -> None:
    _hold(batch, tail)
    id_or_none = None if id_ is None else UUID(bytes=id_)
    batch.size_bytes += len(raw)
    batch.poisons.append(Poison(stamp // 1000, f"{tail.name.file}@{offset}", reason, raw, id_or_none))


def _sweep(directory: Path) -> None:
    """Delete what relays left that died while they made a segment."""
    for path in directory.glob(f"*{SUFFIX_NEW}"):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):
            continue


def segments(directory: Path) -> Iterator[Name]:
    """The segments in the folder, in no order; none where there is no folder."""
    if directory.is_dir():
        for path in directory.iterdir():
            name = Name.parse(path.name)
            if name is not None:
                yield name


def last_stamp(directory: Path) -> int:
    """The greatest stamp in a journal's folder, nanoseconds since 1970; 0 where there is none.

    Looks at each owner's newest segments only, from the last one back to one that has a record.
    """
    owners: dict[str, list[Name]] = {}
    for name in segments(directory):
        owners.setdefault(name.owner, []).append(name)
    return max((_last_of(directory, names) for names in owners.values()), default=0)


def _last_of(directory: Path, names: list[Name]) -> int:
    for name in sorted(names, reverse=True):
        tail, last = Tail(directory, name), 0
        while (item := tail.next()) is not None:
            if isinstance(item, Frame):
                last = item.stamp
        tail.close()
        if last:
            return last
    return 0
