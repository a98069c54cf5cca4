"""The data folder: made, guarded, and held by one Tailrace at a time. Knows no content but the lock and `run/`.

data/            0700
  lock           flock, held by the supervisor and inherited by its processes; its text is the supervisor's pid
  journal/       the relays' log until the writer has filed it
  tailrace.db    the store
  run/           sockets, the settings in force, and metrics/ with the counters of this start
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tailrace.errors import UserError

LOCK: Final = "lock"
RUN: Final = Path("run")
METRICS: Final = RUN / "metrics"
SETTINGS: Final = RUN / "settings.toml"
_PATIENCE_S: Final = 5.0
_POLL_S: Final = 0.02


@contextmanager
def hold(data_dir: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[int]:
    """Make `data_dir` (0700) when missing and hold it; yields the lock's descriptor, which children may inherit.

    Where the holder has died but processes of it are still flushing, waits for them, `patience_s` at most.

    Raises:
        UserError: the folder cannot be written, or another process holds it.
    """
    _make(data_dir)
    fd = _open_lock(data_dir)
    try:
        _take(fd, data_dir, time.monotonic() + patience_s)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)


def holder(data_dir: Path) -> int | None:
    """The pid that holds `data_dir`; None where nobody does."""
    try:
        fd = os.open(data_dir / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _try(fd) else _pid(fd)
    finally:
        os.close(fd)


def prepare_run(data_dir: Path) -> Path:
    """Make `run/` and an empty `run/metrics/`, and return the latter; only for the holder.

    Raises:
        UserError: the folder cannot be written.
    """
    metrics = data_dir / METRICS
    shutil.rmtree(metrics, ignore_errors=True)
    with _told(data_dir):
        metrics.mkdir(mode=0o700, parents=True)
        (data_dir / RUN).chmod(0o700)
    return metrics


def put_settings(data_dir: Path, text: str) -> Path:
    """Put `text` in place as the settings in force, at once or not at all, and return where; only for the holder.

    Raises:
        UserError: the folder cannot be written.
    """
    path = data_dir / SETTINGS
    made = path.with_suffix(".new")
    with _told(data_dir):
        made.write_text(text, "utf-8")
        made.chmod(0o600)
        return made.replace(path)


def _make(data_dir: Path) -> None:
    with _told(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that holds something may be a folder of the system that was named by mistake: /tmp must stay open to all.
        if data_dir.stat().st_uid == os.geteuid() and not any(data_dir.iterdir()):
            data_dir.chmod(0o700)


def _open_lock(data_dir: Path) -> int:
    with _told(data_dir):
        return os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


@contextmanager
def _told(data_dir: Path) -> Iterator[None]:
    """What fails inside is told as a folder that cannot be written."""
    try:
        yield
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        remedy = "make it writable for this user, or choose another with --data-dir or log.data_dir"
        raise UserError(f"data folder {data_dir}: cannot be written ({reason}); {remedy}") from exc


def _take(fd: int, data_dir: Path, deadline_s: float) -> None:
    while not _try(fd):
        pid = _pid(fd)
        if pid is not None and _is_alive(pid):
            raise UserError(
                f"data folder {data_dir}: held by process {pid}; stop it, or choose another with --data-dir"
            )
        if time.monotonic() > deadline_s:
            why = "held by processes that a killed Tailrace left behind"
            raise UserError(f"data folder {data_dir}: {why}; they end with their last answer: try again")
        time.sleep(_POLL_S)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def _pid(fd: int) -> int | None:
    with suppress(ValueError):
        return int(os.pread(fd, 32, 0))
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
