"""Segment files as their owner writes them. Owns names, locks and how bytes get to the disk; knows nothing of records.

    journal/<owner>-<seq>.seg     owner: 16 hex digits, one incarnation of one relay worker; seq: 8 digits, from 1
    journal/<owner>-<seq>.new     the same while it is being made

A segment is made whole before it gets its name: locked, its space reserved, synced. The lock (flock) is held until the
owner is through with the file and the kernel frees it when the owner dies, so whoever can lock a segment knows that
nothing will be written to it any more. An owner always holds the next segment before it lets go of one.
"""

import errno
import fcntl
import os
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tailrace.journal import frames

_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9]{8})\.seg")
MAX_SEQ: Final = 10**8 - 1
SUFFIX_NEW: Final = ".new"
# <sys/fcntl.h> of macOS; Python's fcntl does not name them.
_F_PREALLOCATE: Final = 42
_F_ALLOCATEALL: Final = 4
_F_PEOFPOSMODE: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """Whose segment it is, and its number among that owner's."""

    owner: str
    seq: int

    @property
    def file(self) -> str:
        """The file's name in the journal's folder."""
        return f"{self.owner}-{self.seq:08d}.seg"

    @classmethod
    def parse(cls, file: str) -> "Name | None":
        """The name in `file`, or None where it is no segment's."""
        match = _NAME.fullmatch(file)
        return None if match is None else cls(match[1], int(match[2]))


class Disk(Protocol):
    """What the journal asks of the operating system, so that a test can fail it. All raise OSError."""

    def allocate(self, fd: int, size: int) -> None:
        """Reserve `size` bytes of zeros from the file's start, so that writing them cannot run out of space."""

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        """Write all of the buffers, one after the other, from `offset`. Returns when the kernel has them."""

    def sync(self, fd: int) -> None:
        """Return when all that was written to the file is on the medium."""


class PosixDisk:
    """The real disk."""

    def allocate(self, fd: int, size: int) -> None:
        """As `Disk.allocate`. On file systems that write anew (ZFS, btrfs snapshots) the kernel cannot promise it."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, _F_PREALLOCATE, struct.pack("IIqqq", _F_ALLOCATEALL, _F_PEOFPOSMODE, 0, size, 0))
            os.ftruncate(fd, size)
            return
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as exc:
            if exc.errno != errno.EOPNOTSUPP:
                raise
            os.ftruncate(fd, size)  # musl on a file system that cannot: glibc would write the blocks one by one

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        """As `Disk.write`."""
        for first in range(0, len(buffers), _IOV_MAX):
            offset += _write_some(fd, buffers[first : first + _IOV_MAX], offset)

    def sync(self, fd: int) -> None:
        """As `Disk.sync`. On macOS fsync leaves the bytes in the drive's cache: only F_FULLFSYNC reaches the medium."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)


_IOV_MAX: Final = 1024  # the smallest limit of Linux and macOS


def _write_some(fd: int, buffers: Sequence[bytes], offset: int) -> int:
    """Write up to `_IOV_MAX` buffers whole; how many bytes that were."""
    size = sum(map(len, buffers))
    done = os.pwritev(fd, buffers, offset)
    if done < size:  # a signal or a limit cut it short: the rest, flat
        rest = memoryview(b"".join(buffers))
        while done < size:
            done += os.pwrite(fd, rest[done:], offset + done)
    return size


class Segment:
    """A segment open for writing. It holds the lock until `close`."""

    __slots__ = ("_disk", "_fd", "closed", "name", "salt", "size")

    def __init__(self, name: Name, size: int, fd: int, disk: Disk) -> None:
        self.name = name
        self.size = size
        self.salt = frames.salt(name.file)
        self.closed = False
        self._fd = fd
        self._disk = disk

    @classmethod
    def create(cls, directory: Path, name: Name, size: int, disk: Disk) -> "Segment":
        """A new, empty, locked segment of `size` bytes, durable as such. Raises OSError, and then leaves no file."""
        path = directory / name.file
        making = path.with_suffix(SUFFIX_NEW)
        fd = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            disk.allocate(fd, size)
            os.fsync(fd)
            making.rename(path)
            sync_directory(directory)
        except OSError:
            os.close(fd)
            making.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        return cls(name, size, fd, disk)

    def write(self, buffers: Sequence[bytes], offset: int) -> None:
        """As `Disk.write`."""
        self._disk.write(self._fd, buffers, offset)

    def sync(self) -> None:
        """As `Disk.sync`. Once it failed, never write or sync this file again: the kernel has forgotten the bytes."""
        self._disk.sync(self._fd)

    def close(self, size: int | None = None) -> None:
        """Close and unlock; with `size`, give back the space behind it first. Raises OSError."""
        self.closed = True
        try:
            if size is not None:
                os.ftruncate(self._fd, size)
        finally:
            os.close(self._fd)


def make_directory(directory: Path) -> None:
    """The journal's folder, for its owner only. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def sync_directory(directory: Path) -> None:
    """Make the folder's entries durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def bytes_on_disk(directory: Path) -> int:
    """Size of all segments in the folder, of all owners, those being made included."""
    total = 0
    with os.scandir(directory) as found:
        for item in found:
            if item.name.endswith((".seg", SUFFIX_NEW)):
                try:
                    total += item.stat().st_size
                except FileNotFoundError:  # the writer has just deleted it
                    continue
    return total
