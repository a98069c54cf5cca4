"""Where an export's lines go: to a new folder, or nowhere. Each way counts bytes, lines and SHA-256 by file.

A folder appears whole or not at all: lines go to a hidden folder beside it, which is synced and then renamed. What a
killed run left there is taken over by the next one.
"""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from tailrace.errors import UserError, WorkFailed
from tailrace_exporters.sheets import SUFFIX, Sheet, SheetLines

_BUFFER_BYTES = 1 << 16


@dataclass(slots=True)
class Tally:
    """One file's facts, growing with it."""

    lines: int = 0
    size_bytes: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        """Count one more line."""
        self.lines += 1
        self.size_bytes += len(data)
        self.digest.update(data)


class Lines(Protocol):
    """What lines can be read from: a binary file, or one that holds them in another form."""

    def readline(self) -> bytes: ...
    def readlines(self, hint: int, /) -> list[bytes]: ...


class Files(Protocol):
    """Takes lines by file."""

    tallies: dict[str, Tally]

    def touch(self, path: str) -> None:
        """The file `path` is part of the export even if no line comes."""
        ...

    def write(self, path: str, data: bytes) -> int:
        """Append a line, its `\\n` included, to the file `path` (relative, with `/`); returns its number, from 1."""
        ...

    def finish(self, path: str) -> str:
        """No line comes any more; SHA-256 of the file as it stands on the disk, or of its lines where it does not."""
        ...

    def written(self) -> Iterator[tuple[str, Lines]]:
        """The lines of each file of the export, as they stand on the disk, where it does."""
        ...


class NoFiles:
    """Counts what would be written."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}

    def touch(self, path: str) -> None:
        """See `Files`."""
        self.tallies.setdefault(path, Tally())

    def write(self, path: str, data: bytes) -> int:
        """See `Files`."""
        tally = self.tallies.get(path)
        if tally is None:
            tally = self.tallies[path] = Tally()
        tally.add(data)
        return tally.lines

    def finish(self, path: str) -> str:
        """See `Files`."""
        return self.tallies[path].digest.hexdigest()

    def written(self) -> Iterator[tuple[str, Lines]]:
        """See `Files`."""
        yield from ()


class FolderFiles(NoFiles):
    """Writes below `folder`, which is ours alone."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__()
        self._folder = folder
        self._stack = stack
        self._open: dict[str, BinaryIO] = {}
        self._sheets: dict[str, Sheet] = {}

    def touch(self, path: str) -> None:
        """See `Files`."""
        super().touch(path)
        if path not in self._open:
            self._open[path] = self._stack.enter_context(self._create(path))
            if path.endswith(SUFFIX):
                self._sheets[path] = Sheet(self._open[path])

    def write(self, path: str, data: bytes) -> int:
        """See `Files`."""
        if path not in self._open:
            self.touch(path)
        sheet = self._sheets.get(path)
        if sheet is None:
            self._open[path].write(data)
        else:
            sheet.write(data)
        return super().write(path, data)

    def finish(self, path: str) -> str:
        """See `Files`."""
        sheet = self._sheets.pop(path, None)
        if sheet is not None:
            sheet.finish()
        self._open[path].flush()
        return sha256_of(self._folder / path)

    def written(self) -> Iterator[tuple[str, Lines]]:
        """See `Files`."""
        for path, file in sorted(self._open.items()):
            file.flush()
            with lines_of(self._folder / path) as readable:
                yield path, readable

    def sync(self) -> None:
        """Bring everything to the disk, folders included."""
        for path in list(self._sheets):
            self.finish(path)
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        for folder in {(self._folder / path).parent for path in self._open} | {self._folder}:
            sync_folder(folder)

    def _create(self, path: str) -> BinaryIO:
        target = self._folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        return os.fdopen(fd, "wb", buffering=_BUFFER_BYTES)


@contextmanager
def lines_of(path: Path) -> Iterator[Lines]:
    """The lines of a file: those of a Parquet file are its rows, as JSON."""
    if path.suffix == SUFFIX:
        yield SheetLines(path)
        return
    with path.open("rb") as file:
        yield file


def sha256_of(path: Path) -> str:
    """Of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def new_folder(out: Path) -> Iterator[FolderFiles]:
    """Files of a folder `out` that does not exist yet, and does once the block has ended well.

    Raises:
        UserError: it exists, cannot be made, or another export is writing it.
        WorkFailed: the disk failed or is full.
    """
    must_not_exist(out)
    staging = out.parent / f".{out.name}.tailrace-partial"
    try:
        with ExitStack() as stack:  # inside: a file that is closed writes what it still holds
            stack.enter_context(_owned(staging))
            files = FolderFiles(staging, stack)
            yield files
            files.sync()
            must_not_exist(out)
            staging.rename(out)
            sync_folder(out.parent)
    except OSError as exc:
        raise WorkFailed(f"{out}: cannot be written ({exc.strerror}); free space or choose another --out") from exc


def new_file(out: Path, data: bytes) -> None:
    """A file `out` that does not exist yet, whole or not at all.

    Raises:
        UserError: it exists, or its folder does not.
        WorkFailed: the disk failed or is full.
    """
    must_not_exist(out)
    staging = out.parent / f".{out.name}.{os.getpid()}.tailrace-partial"
    try:
        fd = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise UserError(f"{out}: cannot be made ({exc.strerror}); choose another --out") from exc
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        out.hardlink_to(staging)  # as a rename would, but that it replaces nothing
    except FileExistsError:
        must_not_exist(out)
    except OSError as exc:
        raise WorkFailed(f"{out}: cannot be written ({exc.strerror}); free space or choose another --out") from exc
    finally:
        staging.unlink()
    sync_folder(out.parent)


def must_not_exist(out: Path) -> None:
    """Raises:
    UserError: `out` exists, or has no name.
    """
    if not out.name:
        raise UserError(f"{out}: --out must name a new folder, or a new file")
    if os.path.lexists(out):
        raise UserError(f"{out}: exists already; choose another --out, or remove it first")


@contextmanager
def _owned(staging: Path) -> Iterator[None]:
    """The hidden folder, empty and locked; gone afterwards unless it was renamed."""
    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.mkdir(mode=0o700)
        except FileExistsError:
            info = staging.lstat()
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                raise UserError(f"{staging}: is in the way; remove it") from None
        lock = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise UserError(f"{staging}: cannot be made ({exc.strerror}); choose another --out") from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UserError(
                f"{staging}: another export is writing there; wait for it, or choose another --out"
            ) from exc
        _empty(staging)
        try:
            yield
        finally:
            if os.path.lexists(staging):
                shutil.rmtree(staging)
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
