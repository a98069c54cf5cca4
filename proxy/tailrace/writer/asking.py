"""A batch in few statements: temporary tables of what it asks for, and inserts of plain tuples.

A join with a table of what is asked looks each row up in an index. SQLite scans the whole table for a list of pairs in
`(…) IN (…)`, and a statement for each row costs more than its answer.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Column, Dialect, Integer, LargeBinary, MetaData, String, Table, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

Row = tuple[Any, ...]
T = TypeVar("T")

_FEW: Final = 1000

_METADATA: Final = MetaData()

STEP: Final = Table(
    "asked_step",
    _METADATA,
    Column("parent", Integer, nullable=False),
    Column("message", Integer, nullable=False),
    prefixes=["TEMPORARY"],
)
"""Steps of paths: which nodes are there already?"""

LINK: Final = Table(
    "asked_link",
    _METADATA,
    Column("n", Integer, nullable=False),  # which completion of the batch asks
    Column("link", LargeBinary, nullable=False),
    Column("project", String, nullable=False),
    Column("key", String, nullable=False),  # empty where there is none
    Column("earliest_us", BigInteger, nullable=False),
    Column("latest_us", BigInteger, nullable=False),
    Column("session", String),
    Column("user", String),
    prefixes=["TEMPORARY"],
)
"""Link hashes: which completions may be the parent?"""


async def create(connection: AsyncConnection) -> None:
    """Make the tables, once for a connection."""
    await connection.run_sync(_METADATA.create_all, checkfirst=False)
    await connection.commit()


async def ask(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Put `rows` in the place of what was asked before."""
    await connection.execute(_EMPTY[table.name])
    await insert_rows(connection, table, rows)


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert tuples, a value for each column, by the driver's own statement: a tenth of the cost of dictionaries."""
    if rows:
        await connection.exec_driver_sql(_insert_statement(table, connection.dialect), list(rows))


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """`items` in lists of as many as one statement takes: a database bounds its parameters."""
    rest = iter(items)
    while few := list(islice(rest, _FEW)):
        yield few


@lru_cache(maxsize=32)
def _insert_statement(table: Table, dialect: Dialect) -> str:
    return str(insert(table).compile(dialect=dialect))


_EMPTY: Final = {table.name: delete(table) for table in (STEP, LINK)}
