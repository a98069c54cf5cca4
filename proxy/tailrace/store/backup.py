"""Copies of the store, made while its writer runs. Owns the file around the copy: its name, mode and durability."""

import os
from pathlib import Path

from tailrace.errors import UserError, WorkFailed
from tailrace.store.engine import copy_store, existing_store


def backup(data_dir: Path, target: Path) -> int:
    """Copy the store of `data_dir`, as it is now, to the new file `target` (mode 0600); returns its size in bytes.

    The copy is written under a temporary name, synced and renamed: `target` is whole or not there. It blocks; run it
    in a thread where an event loop must go on.

    Raises:
        UserError: there is no store, or `target` exists or cannot be made.
        WorkFailed: the copy could not be written.
    """
    source = existing_store(data_dir)
    if os.path.lexists(target):
        raise UserError(f"{target}: exists already; name a new file")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise UserError(f"{target}: cannot be made ({exc.strerror}); name a file where this user can write") from exc
    try:
        copy_store(source, partial)
        size = _sync(partial)
        os.link(partial, target)  # as a rename, but never over a file that came meanwhile
        _sync(target.parent)
    except OSError as exc:
        raise WorkFailed(f"{target}: the backup failed ({exc.strerror or exc})") from exc
    finally:
        partial.unlink(missing_ok=True)
    return size


def _sync(path: Path) -> int:
    """Wait until a file or folder is on the disk; returns its size."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)
