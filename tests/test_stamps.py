"""The newest time that a folder keeps: in the journal or, once that is filed and gone, in the store."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tailrace.clock import steady_ns
from tailrace.ids import uuid7
from tailrace.journal import frames
from tailrace.journal.frames import Kind
from tailrace.journal.segment import Name
from tailrace.stamps import anchor, newest

FAR_US = 4_000_000_000_000_000  # in 2096: later than any clock here
NOISE = bytes(10)


def journal(data_dir: Path, stamp: int) -> None:
    name = Name("0" * 16, 1)
    (data_dir / "journal").mkdir(exist_ok=True)
    frame = frames.encode(Kind.START, UUID(int=0).bytes, stamp, b"{}", b"", home=1, seed=frames.salt(name.file))
    (data_dir / "journal" / name.file).write_bytes(b"".join(frame) + bytes(64))


def store(data_dir: Path, *rows: tuple[int, int | None]) -> None:
    with closing(sqlite3.connect(data_dir / "tailrace.db")) as connection, connection:
        connection.execute("CREATE TABLE completion (id BLOB, started_us INTEGER, duration_us INTEGER)")
        for started_us, duration_us in rows:
            id_ = uuid7(started_us // 1000, NOISE).bytes
            connection.execute("INSERT INTO completion VALUES (?, ?, ?)", (id_, started_us, duration_us))


def test_an_empty_folder_and_a_file_that_is_no_store_keep_nothing(tmp_path: Path) -> None:
    assert newest(tmp_path) == 0
    (tmp_path / "tailrace.db").write_text("no database, and longer than a header of one is" * 10)
    assert newest(tmp_path) == 0


def test_the_later_of_journal_and_store_counts(tmp_path: Path) -> None:
    store(tmp_path, (1_000_000, None), (2_000_000, 500), (1_500_000, 100))
    assert newest(tmp_path) == 2_000_500_000
    journal(tmp_path, 1_999_999_999)
    assert newest(tmp_path) == 2_000_500_000
    journal(tmp_path, 3_000_000_000)
    assert newest(tmp_path) == 3_000_000_000


def test_time_goes_on_after_what_is_kept_though_the_wall_clock_was_set_back(tmp_path: Path) -> None:
    assert abs(anchor(tmp_path) + steady_ns() - time.time_ns()) < 60 * 10**9
    store(tmp_path, (FAR_US, None))
    assert anchor(tmp_path) + steady_ns() > FAR_US * 1000
