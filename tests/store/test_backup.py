"""A copy made while the writer runs: whole or not there, and of one moment."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tailrace.errors import UserError, WorkFailed
from tailrace.store import backup as backup_module
from tailrace.store.backup import backup
from tailrace.store.engine import copy_store, open_reader, store_file
from tests.bench.made import conversations
from tests.writer.filing import count, kept, store


async def test_a_copy_is_a_store_as_of_then(tmp_path: Path) -> None:
    first, second = conversations(3, 2)
    copy = tmp_path / "copies" / "tailrace.db"
    async with store(tmp_path / "data") as (connection, ingest):
        await ingest.file(first)
        await connection.execute(text("DELETE FROM completion"))  # not committed: not in the copy
        size = backup(tmp_path / "data", copy)
        await connection.rollback()
        await ingest.file(second)
        assert await count(connection, "completion") == 6
    assert copy.stat().st_size == size > 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in copy.parent.iterdir()] == ["tailrace.db"], "one file, nothing beside it"
    assert [row.id for row, _ in await kept(copy.parent)] == [one.id.bytes for one in first]
    async with open_reader(copy.parent) as connection:
        assert (await connection.execute(text("PRAGMA integrity_check"))).scalar() == "ok"


async def test_nothing_is_written_over(tmp_path: Path) -> None:
    async with store(tmp_path):
        pass
    target = tmp_path / "there"
    target.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        backup(tmp_path, target)
    assert target.read_text() == "mine"


async def test_nor_what_came_while_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store(tmp_path):
        pass
    target = tmp_path / "copies" / "there"

    def slow(source: Path, partial: Path) -> None:
        copy_store(source, partial)
        target.write_text("mine")

    monkeypatch.setattr(backup_module, "copy_store", slow)
    with pytest.raises(WorkFailed, match="the backup failed"):
        backup(tmp_path, target)
    assert target.read_text() == "mine"
    assert [path.name for path in target.parent.iterdir()] == ["there"]


def test_without_a_store_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no store there yet"):
        backup(tmp_path / "data", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_where_it_fails_nothing_is_left(tmp_path: Path) -> None:
    store_file(tmp_path).write_bytes(b"no database at all" * 1000)
    with pytest.raises(WorkFailed, match="not a database"):
        backup(tmp_path, tmp_path / "copies" / "x")
    assert list((tmp_path / "copies").iterdir()) == []


def test_where_no_file_can_be_made_that_is_said(tmp_path: Path) -> None:
    with closing(sqlite3.connect(store_file(tmp_path))) as connection:
        connection.execute("CREATE TABLE t (a)")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        backup(tmp_path, tmp_path / "file" / "x")
