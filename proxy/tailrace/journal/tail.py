"""One segment as its reader sees it: frames in order, while its owner may still be writing it.

Owns what a place that holds no valid frame means. While the owner holds the segment's lock: not written yet. Once the
lock is free nothing more will be written, and it is one of

- the end: zeros, or nothing, to the end of the file;
- a hole: zeros before a valid frame. The machine lost power before these bytes were synced; nobody was told they were;
- a frame cut short at the end of what was written: its owner was killed in the middle of a write; the same;
- damage, which is given back for a person to look at, up to the next valid frame.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailrace.journal import frames
from tailrace.journal.frames import HEAD_BYTES, MAGIC, OVERHEAD_BYTES, Cut, Frame, Kind, Strange, Torn
from tailrace.journal.segment import Name

_FIRST_BLOCK: Final = 2**16
_LARGEST_BLOCK: Final = 2**20
_SECTOR: Final = 512
"""A write that was cut short ends at a multiple of this: the kernel copies pages, a disk writes sectors."""
_FIELD: Final = 8
"""The longest run of zeros at the end of what was written that may be part of a frame: a binary field."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame known here, at `offset`."""

    offset: int
    reason: str
    raw: bytes


class Tail:
    """Reads a segment from its start, as far as it is written."""

    __slots__ = ("_block", "_fd", "_final", "_salt", "_start", "_want", "finished", "name", "offset", "path", "pins")

    def __init__(self, directory: Path, name: Name) -> None:
        self.name = name
        self.path = directory / name.file
        self.offset = 0
        self.finished = False
        """Read to its end, and its owner is through with it."""
        self.pins = 0
        """Why it must not be deleted yet: records in it that are not filed."""
        self._salt = frames.salt(name.file)
        self._fd: int | None = None
        self._final = False
        self._block = b""
        self._start = 0
        self._want = _FIRST_BLOCK

    @property
    def unread(self) -> int:
        """Bytes not read yet, reserved ones that hold nothing included. Raises OSError."""
        return 0 if self.finished else max(0, self.path.stat().st_size - self.offset)

    def next(self) -> Frame | Damage | None:
        """The next record, `offset` being behind it then; None where there is none, for now or (`finished`) for ever.

        Raises:
            OSError: the file cannot be read.
        """
        while not self.finished:
            found = self._decode()
            if isinstance(found, str):
                if not self._final:
                    if not self._is_final():
                        return None
                elif (damage := self._skip(found)) is not None:
                    return damage
            elif found is not None:
                return found
        return None

    def read(self, offset: int, size: int) -> Frame:
        """The frame that stood at `offset`. Raises OSError or Torn."""
        is_open = self._fd is not None
        try:
            frame = frames.decode(os.pread(self._open(), size, offset), 0, self._salt)
        finally:
            if not is_open:
                self.close()
        if frame is None:
            raise Torn("zeros")
        return frame

    def close(self) -> None:
        """Let go of the file; reading on opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _decode(self) -> Frame | Damage | str | None:
        """The record at `offset`, or why there is none; None says: look again."""
        try:
            frame = frames.decode(self._block, self.offset - self._start, self._salt)
        except Cut as cut:
            return None if self._load(cut.size) else str(cut)
        except Strange as strange:
            return self._damaged(strange.size, str(strange))
        except Torn as torn:
            return str(torn)
        if frame is None:
            at_end_of_block = self.offset - self._start >= len(self._block)
            return None if at_end_of_block and self._load(1) else "zeros"
        if frame.kind is Kind.SEAL:
            self._finish()
            return None
        self.offset += frame.size
        return frame

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def _load(self, size: int) -> bool:
        """Read a block from `offset` on, larger each time; whether it holds `size` bytes."""
        fd = self._open()
        left = os.fstat(fd).st_size - self.offset
        if size > left:  # nor is memory taken for what a damaged length claims
            return False
        self._block = os.pread(fd, min(max(size, self._want), left), self.offset)
        self._start = self.offset
        self._want = min(2 * self._want, _LARGEST_BLOCK)
        return len(self._block) >= size

    def _is_final(self) -> bool:
        """Whether the owner is through; drops the block either way, as more may have been written since it was read."""
        self._block = b""
        self._start = self.offset
        self._want = _FIRST_BLOCK
        try:
            fcntl.flock(self._open(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._open(), fcntl.LOCK_UN)
        self._final = True
        return True

    def _skip(self, reason: str) -> Damage | None:
        """Go on to the next valid frame, or to the end; what lies between where that is damage."""
        rest = self._rest()
        at = _next_frame(rest, self._salt)
        skipped = (rest if at is None else rest[:at]).rstrip(b"\0")
        if not skipped or (at is None and _is_cut(rest, self.offset)):
            damage = None
        else:
            damage = Damage(self.offset, reason, skipped)
        if at is None:
            self._finish()
        else:
            self.offset += at
        return damage

    def _damaged(self, size: int, reason: str) -> Damage:
        first = self.offset - self._start
        damage = Damage(self.offset, reason, self._block[first : first + size])
        self.offset += size
        return damage

    def _rest(self) -> bytes:
        fd = self._open()
        return os.pread(fd, os.fstat(fd).st_size - self.offset, self.offset)

    def _finish(self) -> None:
        self.finished = True
        self._block = b""
        self.close()


def _next_frame(data: bytes, seed: int) -> int | None:
    """Where the next valid frame begins, after the first byte."""
    at = data.find(MAGIC, 1)
    while at >= 0:
        try:
            frames.decode(data, at, seed)
        except Strange:
            return at
        except Torn:
            at = data.find(MAGIC, at + 1)
        else:
            return at
    return None


def _is_cut(rest: bytes, offset: int) -> bool:
    """Whether `rest`, from `offset` to the end of the file, is the beginning of a frame, and ends as a cut write does.

    A damaged last frame is told from one cut short by where its bytes end: at the edge of a sector or of the file, and
    before the end that its head claims. That is wrong for 1 of 64 ways to damage the length of a segment's last frame.
    """
    written = len(rest.rstrip(b"\0"))
    edge = min(-(-(offset + written) // _SECTOR) * _SECTOR - offset, len(rest))
    claimed = HEAD_BYTES + int.from_bytes(rest[4:8], "little") if written >= HEAD_BYTES else len(rest) + 1
    ends_at_edge = written < OVERHEAD_BYTES or edge - written < _FIELD
    return rest[: len(MAGIC)].rstrip(b"\0") == MAGIC[:written] and ends_at_edge and edge < claimed
