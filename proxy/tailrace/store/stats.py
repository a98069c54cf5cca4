"""How much is in the store: the counts behind `tailrace db stats`. Reads everything once; not for a page."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.store import migrations
from tailrace.store.query.fields import COMPLETION

TOP_MODELS: Final = 20
_TABLES: Final = SQLModel.metadata.tables


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of rows; sizes in bytes; times in microseconds since 1970, None in an empty store."""

    schema: int  # number of the newest migration
    completions: int
    first_us: int | None
    last_us: int | None
    by_status: dict[str, int]
    by_model: dict[str, int]  # as asked for; the `TOP_MODELS` most used
    attempts: int
    chains: int
    messages: int
    nodes: int
    shapes: int
    raws: int  # requests and answers whose bytes are kept beside the parts
    feedback: int
    labels: int
    label_sources: dict[str, int]
    actions: int
    classifiers: int  # versions of them
    dead_letters: int
    gaps: int
    gap_calls: int  # calls that were served and not logged
    file_bytes: int  # of the database, without the write-ahead log
    free_bytes: int  # of these, in pages that hold nothing


@dataclass(frozen=True, slots=True)
class Health:
    """What an operator wants to know at once. Cheap: it counts only what should not be there."""

    migration: int
    newest_us: int | None
    dead_letters: int
    gap_calls: int  # calls that were served and not logged


async def health(connection: AsyncConnection) -> Health:
    """As of now."""
    migration = await migrations.version(connection)  # first: it ends the transaction it reads in
    if migration == 0:
        return Health(0, None, 0, 0)
    newest = select(COMPLETION.c.started_us).order_by(COMPLETION.c.seq.desc()).limit(1)
    return Health(
        migration=migration,
        newest_us=(await connection.execute(newest)).scalar_one_or_none(),
        dead_letters=await _count(connection, "dead_letter"),
        gap_calls=await _gap_calls(connection),
    )


async def stats(connection: AsyncConnection) -> Stats:
    """Count. The whole of it is one snapshot, which ends with the connection's transaction."""
    schema = await migrations.version(connection)  # first: it ends the transaction it reads in
    c = COMPLETION.c
    first_us, last_us = (await connection.execute(select(func.min(c.started_us), func.max(c.started_us)))).one()
    by_status = await _counts(connection, select(c.status, func.count()).group_by(c.status))
    source = _TABLES["label"].c.source
    by_source = await _counts(connection, select(source, func.count()).group_by(source))
    page_bytes = await _pragma(connection, "page_size")
    return Stats(
        schema=schema,
        completions=sum(by_status.values()),
        first_us=first_us,
        last_us=last_us,
        by_status=by_status,
        by_model=await _counts(connection, select(c.model, func.count()).group_by(c.model), top=TOP_MODELS),
        attempts=await _count(connection, "attempt"),
        chains=await _count(connection, "chain"),
        messages=await _count(connection, "message"),
        nodes=await _count(connection, "node"),
        shapes=await _count(connection, "shape"),
        raws=await _count(connection, "raw"),
        feedback=await _count(connection, "feedback"),
        labels=sum(by_source.values()),
        label_sources=by_source,
        actions=await _count(connection, "action"),
        classifiers=await _count(connection, "classifier_version"),
        dead_letters=await _count(connection, "dead_letter"),
        gaps=await _count(connection, "gap"),
        gap_calls=await _gap_calls(connection),
        file_bytes=page_bytes * await _pragma(connection, "page_count"),
        free_bytes=page_bytes * await _pragma(connection, "freelist_count"),
    )


async def _number(connection: AsyncConnection, statement: Select[Any]) -> int:
    return int((await connection.execute(statement)).scalar_one())


async def _count(connection: AsyncConnection, table: str) -> int:
    return await _number(connection, select(func.count()).select_from(_TABLES[table]))


async def _gap_calls(connection: AsyncConnection) -> int:
    return await _number(connection, select(func.coalesce(func.sum(_TABLES["gap"].c.calls), 0)))


async def _counts(connection: AsyncConnection, statement: Select[Any], *, top: int | None = None) -> dict[str, int]:
    """Counts by word, the largest first; the word decides between equals."""
    key, count = statement.selected_columns
    ordered = statement.order_by(count.desc(), key).limit(top)
    return {word: number for word, number in await connection.execute(ordered)}  # noqa: C416 rows are no pairs to mypy


async def _pragma(connection: AsyncConnection, name: str) -> int:
    return await _number(connection, select(getattr(func, f"pragma_{name}")().table_valued(name).c[name]))
