"""The newest time that a data folder has kept: a new start goes on after it even if the wall clock was set back.

Reads what a dead Tailrace left: the journal's newest segment of each owner, and the store's newest rows. The supervisor
calls it while it holds the folder and before it starts a process; it opens the store with the standard library, because
a supervisor that imported the store's engine would be three times its size.
"""

import mmap
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tailrace import clock
from tailrace.journal import frames
from tailrace.journal.segment import Name

_JOURNAL: Final = "journal"
_STORE: Final = "tailrace.db"
# The last to start are the last to end, or nearly so; a later end of an older call is at most seconds behind.
_NEWEST: Final = """
    SELECT max(started_us + coalesce(duration_us, 0))
    FROM (SELECT started_us, duration_us FROM completion ORDER BY id DESC LIMIT 1000)"""


def anchor(data_dir: Path) -> int:
    """`Spec.anchor_ns` for a start now."""
    return clock.choose_anchor(time.time_ns(), clock.steady_ns(), newest(data_dir))


def newest(data_dir: Path) -> int:
    """The greatest stamp that is kept in `data_dir`, nanoseconds since 1970; 0 where nothing is."""
    return max(_stored_ns(data_dir / _STORE), *_journalled(data_dir / _JOURNAL), 0)


def _journalled(directory: Path) -> Iterator[int]:
    latest: dict[str, Name] = {}
    for path in directory.glob("*.seg"):
        name = Name.parse(path.name)
        if name is not None and name.seq >= latest.get(name.owner, name).seq:
            latest[name.owner] = name
    for name in latest.values():
        yield _last_in(directory / name.file)
        if name.seq > 1:  # an owner opens the next segment ahead of need, so the latest may be empty
            yield _last_in(directory / Name(name.owner, name.seq - 1).file)


def _last_in(path: Path) -> int:
    """The last frame's stamp; what follows a torn frame is not looked at: the writer will tell what it was."""
    seed, last, offset = frames.salt(path.name), 0, 0
    try:
        with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            while (frame := frames.decode(data, offset, seed)) is not None:
                last, offset = max(last, frame.stamp), offset + frame.size
    except (OSError, ValueError, frames.Torn):
        return last
    return last


def _stored_ns(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            (newest_us,) = store.execute(_NEWEST).fetchone()
    except sqlite3.Error:
        return 0  # no store yet, or one that the writer will refuse by name
    return int(newest_us or 0) * 1000
