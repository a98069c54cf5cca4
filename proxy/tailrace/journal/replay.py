"""The writer's side of the journal: what the relays wrote, whole completions at a time, until it is filed.

    poll ─▶ Batch (closed, gaps, poisons) ─▶ the writer files it and commits ─▶ done: segments nobody needs are deleted

Keeps where a running completion's records lie, not their bytes. A segment is deleted when it was read to its end, will
not grow, and every completion with a record in it was `done`. After a restart all that is still on disk is given again.
"""

import fcntl
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from tailrace.journal import entries, frames
from tailrace.journal.frames import Cut, Frame, Kind, Torn
from tailrace.journal.segment import Name
from tailrace.records import Closed, End, Gap, Poison, Retried

BLOCK_BYTES: Final = 2**20


@dataclass(slots=True)
class Batch:
    """What was found. `held` are the completions whose segments wait for `done`."""

    closed: list[Closed] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    poisons: list[Poison] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.closed or self.gaps or self.poisons)


@dataclass(slots=True)
class _File:
    """A segment being read."""

    name: Name
    path: Path
    fd: int
    salt: int
    offset: int = 0
    final: bool = False  # its owner will write nothing more
    finished: bool = False  # read to its end
    pins: set[bytes] = field(default_factory=set)  # completions that are not filed yet


@dataclass(slots=True)
class _Running:
    """A completion whose END has not come: where its records lie."""

    owner: str
    stamp: int
    at: list[tuple[_File, int, int]] = field(default_factory=list)  # file, offset, size


class Replay:
    """Reads a journal's folder. Not for use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[Name, _File] = {}
        self._running: dict[bytes, _Running] = {}
        self._given: set[bytes] = set()

    @property
    def backlog_bytes(self) -> int:
        """Bytes on disk that are not filed yet, as far as they are known."""
        total = 0
        for file in self._files.values():
            total += max(0, os.fstat(file.fd).st_size - (file.offset if not file.pins else 0)) if file.final else 0
        return total

    def poll(self, limit: int = 500) -> Batch:
        """What has come since the last call, about `limit` completions at most."""
        batch = Batch()
        self._open_new()
        for file in sorted(self._files.values(), key=lambda file: file.name):
            if not file.finished and len(batch.closed) < limit:
                self._read(file, batch, limit)
        self._interrupt(batch)
        batch.closed.sort(key=lambda closed: closed.stamp)
        if not batch:
            self._delete()
        return batch

    def done(self, batch: Batch) -> None:
        """The batch is committed: what nobody needs any more is deleted."""
        for id_ in batch.held:
            self._given.discard(id_)
            for file in self._files.values():
                file.pins.discard(id_)
        self._delete()

    def close(self) -> None:
        """Lets go of all files."""
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()

    # ---- files

    def _open_new(self) -> None:
        if not self._directory.exists():
            return
        for path in self._directory.iterdir():
            name = Name.parse(path.name)
            if name is None or name in self._files:
                continue
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._files[name] = _File(name, path, fd, frames.salt(path.name))

    def _delete(self) -> None:
        for name, file in list(self._files.items()):
            if file.finished and not file.pins:
                file.path.unlink(missing_ok=True)
                os.close(file.fd)
                del self._files[name]

    # ---- frames

    def _read(self, file: _File, batch: Batch, limit: int) -> None:
        """Reads on, to the end so far."""
        file.final = file.final or _is_unlocked(file.fd)  # asked before reading: what is written later is seen later
        block, start = b"", file.offset
        want = BLOCK_BYTES
        while len(batch.closed) < limit:
            if file.offset - start >= len(block):
                block, start = os.pread(file.fd, want, file.offset), file.offset
            try:
                frame = frames.decode(block, file.offset - start, file.salt)
            except Cut as cut:
                longer = os.pread(file.fd, max(cut.size, BLOCK_BYTES), file.offset)
                if len(longer) >= cut.size:
                    block, start = longer, file.offset
                    continue
                file.finished = file.final
                return
            except Torn as torn:
                if not file.final:
                    return  # a record that is being written just now
                if not self._skip(file, str(torn), batch):
                    file.finished = True
                    return
                block, start = b"", file.offset
                continue
            if frame is None:
                file.finished = file.final
                return
            self._take(file, frame, batch)
            file.offset += frame.size

    def _skip(self, file: _File, reason: str, batch: Batch) -> bool:
        """Sets damaged bytes aside up to the next valid frame; False where none follows: a tail torn by a crash."""
        rest = os.pread(file.fd, os.fstat(file.fd).st_size - file.offset, file.offset)
        at = rest.find(frames.MAGIC, 1)
        while at >= 0:
            try:
                if frames.decode(rest, at, file.salt) is not None:
                    break
            except Torn:
                pass
            at = rest.find(frames.MAGIC, at + 1)
        if at < 0:
            return False
        batch.poisons.append(Poison(0, f"{file.path.name}@{file.offset}", reason, rest[:at]))
        file.offset += at
        return True

    def _take(self, file: _File, frame: Frame, batch: Batch) -> None:
        if frame.kind is Kind.SEAL:
            return
        if frame.kind is Kind.GAP:
            try:
                batch.gaps.append(entries.decode_gap(frame.header))
            except entries.Unreadable as error:
                batch.poisons.append(Poison(0, f"{file.path.name}@{file.offset}", str(error), frame.header))
            return
        if frame.kind is Kind.START:
            if frame.id in self._given:
                return
            self._running[frame.id] = _Running(file.name.owner, frame.stamp)
        running = self._running.get(frame.id)
        if running is None:
            if Name(file.name.owner, frame.home) in self._files:
                where = f"{file.path.name}@{file.offset}"
                batch.poisons.append(Poison(0, where, "a record without its START", frame.header + frame.body))
            return  # its START's segment is gone: the completion was filed
        running.at.append((file, file.offset, frame.size))
        file.pins.add(frame.id)
        if frame.kind is Kind.END:
            self._finish(frame.id, frame.stamp, batch)

    def _finish(self, id_: bytes, end_stamp: int | None, batch: Batch) -> None:
        running = self._running.pop(id_)
        found = [
            frame
            for file, offset, size in running.at
            if (frame := frames.decode(os.pread(file.fd, size, offset), 0, file.salt)) is not None
        ]
        self._given.add(id_)
        batch.held.append(id_)
        try:
            batch.closed.append(_closed(UUID(bytes=id_), running, found, end_stamp))
        except entries.Unreadable as error:
            raw = b"\n".join(frame.header + frame.body for frame in found)
            batch.poisons.append(Poison(0, running.at[0][0].path.name, str(error), raw, UUID(bytes=id_)))

    def _interrupt(self, batch: Batch) -> None:
        """Gives back the running completions of owners that are dead."""
        files: dict[str, list[_File]] = defaultdict(list)
        for file in self._files.values():
            files[file.name.owner].append(file)
        dead = {owner for owner, theirs in files.items() if all(file.finished for file in theirs)}
        dead &= {running.owner for running in self._running.values()}
        if not dead:
            return
        # An owner holds its next segment before it lets go of one: a segment made since means that it lives.
        known = set(self._files)
        for path in self._directory.iterdir():
            name = Name.parse(path.name)
            if name is not None and name not in known:
                dead.discard(name.owner)
        for id_, running in list(self._running.items()):
            if running.owner in dead:
                self._finish(id_, None, batch)


def _closed(id_: UUID, running: _Running, found: list[Frame], end_stamp: int | None) -> Closed:
    start = entries.decode_start(found[0].header)
    retries: list[Retried] = []
    answer: list[bytes] = []
    end: End | None = None
    for frame in found[1:]:
        if frame.kind is Kind.ATTEMPT:
            retries.append(entries.decode_retried(frame.header))
        elif frame.kind is Kind.PART:
            answer.append(frame.body)
        elif frame.kind is Kind.END:
            end = entries.decode_end(frame.header)
            answer.append(frame.body)
    return Closed(
        id=id_,
        owner=running.owner,
        stamp=running.stamp,
        end_stamp=end_stamp,
        start=start,
        request=found[0].body,
        retries=tuple(retries),
        answer=b"".join(answer),
        end=end,
    )


def _is_unlocked(fd: int) -> bool:
    """Whether nobody holds the segment: its owner is through with it, or dead."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True


def last_stamp(directory: Path) -> int:
    """The greatest stamp in a journal's folder; 0 where there is none."""
    greatest = 0
    for path in directory.glob("*.seg"):
        data, offset, seed = path.read_bytes(), 0, frames.salt(path.name)
        try:
            while (frame := frames.decode(data, offset, seed)) is not None:
                greatest = max(greatest, frame.stamp)
                offset += frame.size
        except Torn:
            continue
    return greatest
