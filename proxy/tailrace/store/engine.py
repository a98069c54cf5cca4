"""Opening the store: one writing connection in one process, any number of reading ones. Owns the dialect.

The writer commits with `synchronous=FULL`: a commit is on the disk when it returns, because the journal's segments are
deleted on its word (with NORMAL, a power loss could take the last commits of a WAL whose segments are already gone).
It is the only connection that writes or checkpoints (two of them can corrupt a WAL before SQLite 3.51.3), and there is
no mmap. A reading connection is opened read-only; inside a transaction it sees one snapshot, so keep its transactions
short: a checkpoint cannot pass the oldest of them.
"""

import fcntl
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from tailrace.errors import UserError

FILE: Final = "tailrace.db"
LOCK: Final = "store.lock"
_DRIVER: Final = "sqlite+aiosqlite"
_PAGE_BYTES: Final = 4096
_CACHE_KIB: Final = 16 * 1024

_BOTH: Final = ("busy_timeout=5000", "foreign_keys=OFF", "mmap_size=0", "temp_store=MEMORY", "trusted_schema=OFF")
_WRITER: Final = (
    f"page_size={_PAGE_BYTES}",
    "auto_vacuum=INCREMENTAL",  # must stand before the first table: retention gives pages back without a full VACUUM
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=0",  # `checkpoint` below: a commit must not sometimes take a second longer
    f"journal_size_limit={64 * 2**20}",
    f"cache_size=-{_CACHE_KIB}",
    *(("fullfsync=ON", "checkpoint_fullfsync=ON") if sys.platform == "darwin" else ()),
)
_READER: Final = ("query_only=ON", f"cache_size=-{_CACHE_KIB}")


def store_file(data_dir: Path) -> Path:
    """Where the embedded store of a data folder is."""
    return data_dir / FILE


def existing_store(data_dir: Path) -> Path:
    """As `store_file`, once it is known that a file is there.

    Nothing is opened to find out: to close a file again takes from SQLite the locks that this process has on it.

    Raises:
        UserError: there is none, or this user may not look.
    """
    path = store_file(data_dir)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: no file, and so no store; choose another [log] data_dir")
    except OSError as exc:
        if isinstance(exc, FileNotFoundError | NotADirectoryError):
            reason = "no store there yet; `tailrace serve` makes it, or choose another [log] data_dir"
        else:
            reason = f"cannot be read ({exc.strerror}); run this as the user that `tailrace serve` runs as"
        raise UserError(f"{path}: {reason}") from exc
    return path


@contextmanager
def writing_lock(data_dir: Path) -> Iterator[None]:
    """Be the only writer of the store in `data_dir`, which is made when missing (mode 0700).

    Raises:
        UserError: another process is, or the folder cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise UserError(f"{data_dir}: cannot be written ({exc.strerror}); choose another [log] data_dir") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise UserError(
            f"{data_dir}: another process writes this store; stop it, or choose another [log] data_dir"
        ) from exc
    try:
        yield
    finally:
        os.close(lock)


@asynccontextmanager
async def open_writer(data_dir: Path) -> AsyncIterator[AsyncConnection]:
    """The one writing connection, under the lock. The caller begins and commits; the tables may be missing yet.

    Raises:
        UserError: another process writes this store, the folder cannot be written, or the file is no store.
    """
    with writing_lock(data_dir):
        with suppress(FileExistsError):  # the WAL takes its mode from this file
            os.close(os.open(store_file(data_dir), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        path = existing_store(data_dir)
        engine = create_async_engine(URL.create(_DRIVER, database=str(path)), poolclass=StaticPool)
        _on_connect(engine, (*_BOTH, *_WRITER), begin="BEGIN IMMEDIATE")
        try:
            async with _connected(engine, path) as connection:
                yield connection
        finally:
            await engine.dispose()


def reader_engine(data_dir: Path) -> AsyncEngine:
    """An engine whose connections cannot write; a new one each `connect()`, each transaction one snapshot.

    The caller disposes it.

    Raises:
        UserError: there is no store yet.
    """
    path = existing_store(data_dir)
    url = URL.create(_DRIVER, database=f"file:{_quoted(path)}", query={"mode": "ro", "uri": "true"})
    engine = create_async_engine(url, poolclass=NullPool)
    _on_connect(engine, (*_BOTH, *_READER), begin="BEGIN")
    return engine


@asynccontextmanager
async def open_reader(data_dir: Path) -> AsyncIterator[AsyncConnection]:
    """One reading connection of its own.

    Raises:
        UserError: there is no store yet, or the file is none.
    """
    engine = reader_engine(data_dir)
    try:
        async with _connected(engine, store_file(data_dir)) as connection:
            yield connection
    finally:
        await engine.dispose()


async def checkpoint(connection: AsyncConnection, *, truncate: bool = False) -> int:
    """Move what is committed from the WAL into the file, between two transactions; returns the pages left in the WAL.

    With `truncate` the WAL's file is emptied as well, which needs a moment without readers (it waits `busy_timeout`).
    """
    driver = (await connection.get_raw_connection()).driver_connection  # below SQLAlchemy, which would begin first
    assert isinstance(driver, aiosqlite.Connection)
    async with driver.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})") as cursor:
        row = await cursor.fetchone()
    return max(0, int(row[1]) - int(row[2])) if row is not None else 0


def copy_store(source: Path, target: Path) -> None:
    """Copy a store as of now, while its writer runs, into the empty file `target`.

    Raises:
        OSError: the copy could not be written.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)  # all pages in one read transaction: a copy in steps starts anew with each commit
            new.execute("PRAGMA journal_mode=DELETE")  # one file, no WAL beside it
    except sqlite3.Error as exc:
        raise OSError(f"{source}: cannot be copied to {target}: {exc}") from exc


def is_passing(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later: the store is locked, full, or its disk failed for the moment."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
    }


def _quoted(path: Path) -> str:
    """A path inside an SQLite URI."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _on_connect(engine: AsyncEngine, pragmas: tuple[str, ...], *, begin: str) -> None:
    """Set each new connection up, and begin transactions ourselves: the driver would not begin one before DDL."""

    def connected(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
        except Exception:
            connection.close()  # the pool lets go of a connection that fails here, and its thread would go on
            raise
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)


@asynccontextmanager
async def _connected(engine: AsyncEngine, path: Path) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except DBAPIError as exc:
        remedy = "restore a copy from its backups folder, or choose another [log] data_dir"
        raise UserError(f"{path}: cannot be opened as a store ({exc.orig}); {remedy}") from exc
    try:
        yield connection
    finally:
        await connection.close()
