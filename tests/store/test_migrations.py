"""A store gets the tables that the code expects, step by step; a copy is kept first, and a newer store is refused."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from tailrace.errors import UserError, WorkFailed
from tailrace.store.engine import open_reader, open_writer, store_file
from tailrace.store.migrations import STEPS, Step, check, upgrade, version
from tailrace.store.tables import TABLES

MORE = Step(STEPS[-1].number + 1, "more", {"sqlite": ("CREATE TABLE more (a)", "INSERT INTO more VALUES (7)")})
BAD = Step(MORE.number + 1, "bad", {"sqlite": ("CREATE TABLE half (a)", "INSERT INTO nowhere VALUES (1)")})


def read(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def upgraded(folder: Path, steps: tuple[Step, ...] = STEPS, now_us: int = 5) -> tuple[Step, ...]:
    async with open_writer(folder) as connection:
        return await upgrade(connection, folder, now_us=now_us, steps=steps)


def backups(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "backups").iterdir()) if (folder / "backups").exists() else []


async def test_a_new_store_gets_every_step_and_keeps_no_copy(tmp_path: Path) -> None:
    assert await upgraded(tmp_path) == STEPS
    assert await upgraded(tmp_path, now_us=6) == ()
    assert backups(tmp_path) == []
    found = read(store_file(tmp_path), "SELECT number, name, applied_us FROM migration ORDER BY number")
    assert found == [(step.number, step.name, 5) for step in STEPS]


async def test_numbers_are_those_of_the_files_in_order() -> None:
    assert [step.number for step in STEPS] == list(range(1, len(STEPS) + 1))


def columns(table: Table) -> list[tuple[str, str, bool, bool]]:
    return [
        (column.name, column.type.compile(sqlite.dialect()), not column.nullable, column.primary_key)
        for column in table.columns
    ]


async def test_the_steps_make_the_tables_of_the_code(tmp_path: Path) -> None:
    """`tables.py` is what statements are built from, the steps are what is there."""
    await upgraded(tmp_path)
    path = store_file(tmp_path)
    there = {name for (name,) in read(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert there == set(TABLES)
    for name, table in TABLES.items():
        found = [
            (column, kind, bool(required) or bool(key), bool(key))
            for _, column, kind, required, _, key in read(path, f'PRAGMA table_info("{name}")')
        ]
        assert found == columns(table), name
        assert unordered(read(path, f"SELECT sql FROM sqlite_master WHERE tbl_name = '{name}' AND type = 'index'")) == {
            spelled(str(CreateIndex(index).compile(dialect=sqlite.dialect()))) for index in table.indexes
        }, name


def unordered(rows: Iterable[tuple[str | None]]) -> set[str]:
    return {spelled(sql) for (sql,) in rows if sql is not None}


def spelled(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


async def test_a_store_with_rows_is_copied_before_its_next_step(tmp_path: Path) -> None:
    await upgraded(tmp_path, STEPS[:1])
    with closing(sqlite3.connect(store_file(tmp_path))) as connection, connection:
        connection.execute("INSERT INTO gap VALUES (1, 2, 'o', 3, 'full')")
    assert await upgraded(tmp_path, (*STEPS, MORE), now_us=9) == (*STEPS[1:], MORE)
    (copy,) = backups(tmp_path)
    assert copy == "tailrace-0001-9.db"
    assert read(tmp_path / "backups" / copy, "SELECT max(number) FROM migration") == [(1,)]
    assert read(tmp_path / "backups" / copy, "SELECT calls FROM gap") == [(3,)]
    assert read(store_file(tmp_path), "SELECT calls FROM gap") == [(3,)]
    assert read(store_file(tmp_path), "SELECT a FROM more") == [(7,)]


async def test_without_its_copy_there_is_no_upgrade(tmp_path: Path) -> None:
    await upgraded(tmp_path)
    (tmp_path / "backups").write_text("in the way")
    with pytest.raises((UserError, WorkFailed), match="backups"):
        await upgraded(tmp_path, (*STEPS, MORE))
    assert read(store_file(tmp_path), "SELECT max(number) FROM migration") == [(STEPS[-1].number,)]


async def test_a_step_that_fails_leaves_the_store_at_the_step_before(tmp_path: Path) -> None:
    await upgraded(tmp_path)
    with pytest.raises(WorkFailed, match=rf"migration {BAD.number} \(bad\) failed: .*backups/tailrace-") as caught:
        await upgraded(tmp_path, (*STEPS, MORE, BAD))
    assert "\n" not in str(caught.value)
    assert read(store_file(tmp_path), "SELECT max(number) FROM migration") == [(MORE.number,)]
    assert read(store_file(tmp_path), "SELECT name FROM sqlite_master WHERE name IN ('half', 'more')") == [("more",)]
    good = Step(BAD.number, "good", {"sqlite": ("CREATE TABLE half (a)",)})
    assert await upgraded(tmp_path, (*STEPS, MORE, good), now_us=6) == (good,)


async def test_a_newer_store_is_refused_by_writer_and_reader_and_left_alone(tmp_path: Path) -> None:
    await upgraded(tmp_path, (*STEPS, MORE))
    schema = "SELECT sql FROM sqlite_master UNION ALL SELECT number FROM migration"
    before = read(store_file(tmp_path), schema)
    with pytest.raises(UserError, match=rf"at migration {MORE.number}, .*knows only {STEPS[-1].number}"):
        await upgraded(tmp_path)
    async with open_reader(tmp_path) as connection:
        with pytest.raises(UserError, match="run the newer Tailrace"):
            await check(connection)
    assert backups(tmp_path) == []
    assert read(store_file(tmp_path), schema) == before


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(store_file(tmp_path))) as connection:
        connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(UserError, match="another program"):
        await upgraded(tmp_path)
    assert read(store_file(tmp_path), "SELECT name FROM sqlite_master") == [("mine",)]


async def test_asking_for_the_version_ends_its_transaction(tmp_path: Path) -> None:
    await upgraded(tmp_path)
    async with open_reader(tmp_path) as connection:
        assert await version(connection) == await check(connection) == STEPS[-1].number
        assert not connection.in_transaction()
