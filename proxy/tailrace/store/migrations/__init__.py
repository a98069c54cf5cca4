"""How a store gets the tables this code expects: numbered steps, applied in order, each in one transaction.

A step is SQL frozen at its number: it never reads `tables.py`, which goes on changing. A step that has landed is never
edited. An existing store is copied to `backups/` before its first new step; a store newer than this code is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.errors import UserError, WorkFailed
from tailrace.store.backup import backup
from tailrace.store.migrations import m0001_spine, m0002_clients, m0003_labels, m0004_keys


@dataclass(frozen=True, slots=True)
class Step:
    """One migration: its statements for each dialect, run in order in one transaction."""

    number: int
    name: str
    statements: Mapping[str, tuple[str, ...]]


STEPS: Final = (
    Step(1, "spine", {"sqlite": m0001_spine.SQLITE}),
    Step(2, "clients", {"sqlite": m0002_clients.SQLITE}),
    Step(3, "labels", {"sqlite": m0003_labels.SQLITE}),
    Step(4, "keys", {"sqlite": m0004_keys.SQLITE}),
)

_LEDGER: Final = """
    CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL, name VARCHAR NOT NULL, applied_us BIGINT NOT NULL,
    PRIMARY KEY (number))"""


async def version(connection: AsyncConnection) -> int:
    """The number of the last migration a store has; 0 for an empty one. Ends the transaction it reads in.

    Raises:
        UserError: there are tables, but not of a store.
    """
    try:
        names = (
            (await connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        )
        if not names:
            return 0
        if "migration" not in names:
            place = await _place(connection)
            raise UserError(f"{place}: the database of another program; choose another [log] data_dir")
        last = (await connection.exec_driver_sql("SELECT max(number) FROM migration")).scalar()
        return int(last or 0)
    except DBAPIError as exc:
        place = await _place(connection)
        raise UserError(f"{place}: cannot be read ({exc.orig}); restore a copy from its backups folder") from exc
    finally:
        await connection.rollback()


async def check(connection: AsyncConnection, steps: tuple[Step, ...] = STEPS) -> int:
    """The store's version, once it is known that this code can read it.

    Raises:
        UserError: the store is newer than this code.
    """
    have = await version(connection)
    if have > steps[-1].number:
        raise UserError(
            f"{await _place(connection)}: at migration {have}, and this Tailrace knows only {steps[-1].number}; "
            "run the newer Tailrace, or restore the backup made before its upgrade"
        )
    return have


async def upgrade(
    connection: AsyncConnection, data_dir: Path, *, now_us: int, steps: tuple[Step, ...] = STEPS
) -> tuple[Step, ...]:
    """Bring the store behind the writing `connection` up to this code; returns the steps that were applied.

    A crash at any moment leaves the store at one of the steps, and a further call goes on from there.

    Raises:
        UserError: the store is newer than this code, or no store.
        WorkFailed: a step failed; the store stands at the step before, the copy made beforehand is named.
    """
    have = await check(connection, steps)
    todo = tuple(step for step in steps if step.number > have)
    kept = None
    if todo and have:
        kept = data_dir / "backups" / f"tailrace-{have:04d}-{now_us}.db"
        backup(data_dir, kept)
    for step in todo:
        try:
            await _apply(connection, step, now_us)
        except DBAPIError as exc:
            await connection.rollback()
            where = f"; a copy from before is {kept}" if kept else ""
            raise WorkFailed(f"migration {step.number} ({step.name}) failed: {exc.orig}{where}") from exc
    return todo


async def _place(connection: AsyncConnection) -> str:
    """The store's file."""
    (path,) = (await connection.exec_driver_sql("SELECT file FROM pragma_database_list WHERE name = 'main'")).scalars()
    await connection.rollback()
    return str(path)


async def _apply(connection: AsyncConnection, step: Step, now_us: int) -> None:
    await connection.exec_driver_sql(_LEDGER)
    for statement in step.statements[connection.dialect.name]:
        await connection.exec_driver_sql(statement)
    await connection.exec_driver_sql("INSERT INTO migration VALUES (?, ?, ?)", (step.number, step.name, now_us))
    await connection.commit()
