"""Migration 3 makes the tables that `tables.py` describes, column by column and index by index, from an older store."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from tailrace.store import migrations
from tailrace.store.engine import open_writer, store_file

TABLES = ("label", "action", "classifier_version", "student")


def shape(path: Path, table: str) -> tuple[list[tuple[object, ...]], dict[str, str]]:
    """Columns (type, NOT NULL, place in the key), and indexes as they are written."""
    with closing(sqlite3.connect(path)) as store:
        columns = store.execute(f"SELECT name, type, [notnull], pk FROM pragma_table_info('{table}')").fetchall()
        indexes = store.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table,))
        return columns, {name: re.sub(r'["\s]', "", sql or "") for name, sql in indexes}


@pytest.mark.parametrize("table", TABLES)
async def test_the_migration_and_the_tables_agree(tmp_path: Path, table: str) -> None:
    async with open_writer(tmp_path) as connection:
        await migrations.upgrade(connection, tmp_path, now_us=0, steps=migrations.STEPS[:2])
        await migrations.upgrade(connection, tmp_path, now_us=1)
    described = tmp_path / "described.db"
    engine = create_engine(f"sqlite:///{described}")
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    assert shape(store_file(tmp_path), table) == shape(described, table)
    assert len(list((tmp_path / "backups").iterdir())) == 1, "a copy from before"
