"""Opening a store: one writer, readers that cannot write and see one moment, one clear line where there is no store."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from tailrace.errors import UserError
from tailrace.store.engine import (
    checkpoint,
    is_passing,
    open_reader,
    open_writer,
    reader_engine,
    store_file,
    writing_lock,
)

PATIENCE_S = 30.0
INSERT = text("INSERT INTO t VALUES (1)")
COUNT = text("SELECT count(*) FROM t")


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def make(folder: Path) -> None:
    async with open_writer(folder) as connection:
        await connection.execute(text("CREATE TABLE t (a)"))
        await connection.commit()


async def test_the_writer_s_settings(tmp_path: Path) -> None:
    async with open_writer(tmp_path) as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "mmap_size", "wal_autocheckpoint", "page_size")
        }
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "mmap_size": 0, "wal_autocheckpoint": 0,
        "page_size": 4096,
    }  # fmt: skip


async def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    before = os.umask(0)
    try:
        await make(folder)
        async with open_writer(folder) as connection:
            await connection.execute(INSERT)
            await connection.commit()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    finally:
        os.umask(before)
    assert modes == {
        "data": 0o700, "tailrace.db": 0o600, "tailrace.db-wal": 0o600, "tailrace.db-shm": 0o600, "store.lock": 0o600
    }  # fmt: skip


async def test_one_writes_and_the_next_may_when_it_is_through(tmp_path: Path) -> None:
    await make(tmp_path)
    with writing_lock(tmp_path), pytest.raises(UserError, match="another process writes this store"):
        async with open_writer(tmp_path):
            pass
    async with open_writer(tmp_path) as connection:
        assert (await connection.execute(COUNT)).scalar() == 0


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    await make(tmp_path)
    async with open_reader(tmp_path) as connection:
        with pytest.raises(OperationalError, match="readonly"):
            await connection.execute(INSERT)


async def test_a_reader_sees_one_moment_until_it_ends_its_transaction(tmp_path: Path) -> None:
    await make(tmp_path)
    async with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        assert (await reader.execute(COUNT)).scalar() == 0
        await writer.execute(INSERT)
        await writer.commit()
        assert (await reader.execute(COUNT)).scalar() == 0
        await reader.rollback()
        assert (await reader.execute(COUNT)).scalar() == 1


async def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    await make(tmp_path)
    async with open_writer(tmp_path) as connection:
        await connection.execute(text("CREATE TABLE u (a)"))
        await connection.execute(INSERT)
    async with open_writer(tmp_path) as connection:
        assert (await connection.execute(COUNT)).scalar() == 0
        assert (await connection.execute(text("SELECT name FROM sqlite_master"))).scalars().all() == ["t"]


async def test_a_checkpoint_passes_no_reader_and_leaves_an_empty_wal(tmp_path: Path) -> None:
    await make(tmp_path)
    wal = tmp_path / "tailrace.db-wal"
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(open_writer(tmp_path))
        async with open_reader(tmp_path) as reader:
            await reader.execute(COUNT)
            await writer.execute(INSERT)
            await writer.commit()
            assert await checkpoint(writer) > 0, "the reader still needs the WAL"
        assert await checkpoint(writer) == 0
        assert wal.stat().st_size > 0
        await checkpoint(writer, truncate=True)
        assert wal.stat().st_size == 0
        assert (await writer.execute(COUNT)).scalar() == 1


def not_a_database(path: Path) -> None:
    path.write_bytes(b"hello, world\n" * 1000)


def folder(path: Path) -> None:
    path.mkdir()


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "x")


@pytest.mark.parametrize("make_it", [not_a_database, folder, dangling])
@pytest.mark.parametrize("opened", [open_writer, open_reader])
async def test_what_is_no_store_is_named(tmp_path: Path, make_it: Callable[[Path], None], opened: Any) -> None:
    make_it(store_file(tmp_path))
    with pytest.raises(UserError, match=r"tailrace\.db: .*data_dir") as caught:
        async with opened(tmp_path):
            pass
    assert "\n" not in str(caught.value)
    for thread in threading.enumerate():  # a connection's own ends with it, else the interpreter may end under it
        if "_connection_worker_thread" in thread.name:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


async def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(UserError, match=r"data: cannot be written .*data_dir"):
        async with open_writer(tmp_path / "data"):
            pass


def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no store there yet"):
        reader_engine(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a#b", "a?mode=rw", "a%20b", "ä b"])
async def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    await make(tmp_path / name)
    async with open_reader(tmp_path / name) as connection:
        assert (await connection.execute(COUNT)).scalar() == 0
    assert files(tmp_path) == [name]


@pytest.mark.parametrize(
    ("code", "passing"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_CORRUPT, False),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, False),
        (sqlite3.SQLITE_TOOBIG, False),
        (None, False),
    ],
)
def test_what_may_pass_is_tried_again(code: int | None, passing: bool) -> None:
    cause = sqlite3.OperationalError("x")
    if code is not None:
        cause.sqlite_errorcode = code
    assert is_passing(DBAPIError("x", {}, cause)) is passing
