"""The newest time that a data folder keeps, so that a start goes on after it even if the wall clock was set back.

The journal alone does not tell: what was filed is deleted from it. The store is opened with the standard library here,
because a supervisor that imported the store's engine would be twice its size.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tailrace import clock
from tailrace.journal.replay import last_stamp

# The last to start are the last to end, or nearly so.
_NEWEST: Final = """
    SELECT max(started_us + coalesce(duration_us, 0))
    FROM (SELECT started_us, duration_us FROM completion ORDER BY id DESC LIMIT 1000)"""


def anchor(data_dir: Path) -> int:
    """`Spec.anchor_ns` for a start now; only for the folder's holder, before it starts a process."""
    return clock.choose_anchor(time.time_ns(), clock.steady_ns(), newest(data_dir))


def newest(data_dir: Path) -> int:
    """The greatest time that is kept in `data_dir`, nanoseconds since 1970; 0 where nothing is."""
    return max(last_stamp(data_dir / "journal"), _stored(data_dir / "tailrace.db"))


def _stored(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            (newest_us,) = store.execute(_NEWEST).fetchone()
    except sqlite3.Error:
        return 0  # no table yet, or a file that the writer will refuse by name
    return int(newest_us or 0) * 1000
