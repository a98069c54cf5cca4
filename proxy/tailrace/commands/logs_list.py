"""`tailrace logs [QUERY]`: the newest completions that a query means, and with `--follow` those to come."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands import logs_json, logs_labels, logs_table
from tailrace.commands.speech import dumped
from tailrace.commands.terminal import echo_json
from tailrace.records import Status
from tailrace.store import read
from tailrace.store.read import Filed, Order, Selection
from tailrace.store.rebuild import Rebuilder

POLL_S: Final = 0.25
"""How often `--follow` looks."""

Wait = Callable[[], Awaitable[bool]]
"""Waits until it is time to look again; False when the user has had enough."""


class Sink(Protocol):
    """Where rows go, oldest first."""

    async def show(self, rows: Sequence[Filed]) -> None:
        """Print `rows`."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows as JSON lines."""

    connection: AsyncConnection

    async def show(self, rows: Sequence[Filed]) -> None:
        """A line a row."""
        parents = await read.names(self.connection, logs_json.parents_of(rows))
        beside = await logs_labels.load(self.connection, rows)
        for row in rows:
            echo_json(dumped({**logs_json.fields(row, parents), **beside.as_json(row.id)}))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as a table."""

    connection: AsyncConnection
    rebuilder: Rebuilder
    console: Console

    @property
    def _width(self) -> int | None:
        return self.console.width if self.console.is_terminal else None

    def head(self) -> None:
        """The names of the columns."""
        self.console.print(logs_table.header(self._width), soft_wrap=True)

    async def show(self, rows: Sequence[Filed]) -> None:
        """A line a row."""
        answers = await read.answers(self.connection, self.rebuilder, rows)
        others = [row for row in rows if row.seq not in answers or row.status != Status.OK]
        envelopes = await self.rebuilder.envelopes(others)
        rests = {row.seq: envelope for row, envelope in zip(others, envelopes, strict=True)}
        texts = {row.seq: logs_table.told(row, answers.get(row.seq), rests.get(row.seq)) for row in rows}
        for line in logs_table.lines(rows, texts, self._width):
            self.console.print(line, soft_wrap=True)


async def show_newest(connection: AsyncConnection, selection: Selection, sink: Sink) -> None:
    """Show the newest rows of `selection`, the newest last; without a limit all of them, as they are read."""
    if selection.limit is None:
        async for batch in read.rows(connection, selection):
            await sink.show(batch)
        return
    newest = [
        row async for batch in read.rows(connection, replace(selection, order=Order.NEWEST_FIRST)) for row in batch
    ]
    newest.reverse()
    for start in range(0, len(newest), read.BATCH_ROWS):
        await sink.show(newest[start : start + read.BATCH_ROWS])
    await connection.rollback()


async def follow(connection: AsyncConnection, selection: Selection, sink: Sink, wait: Wait) -> None:
    """Show the newest rows and then each new one as it is filed, until `wait` says that it is enough."""
    seen = await read.watermark(connection)
    await connection.rollback()
    await show_newest(connection, replace(selection, up_to_seq=seen), sink)
    while await wait():
        filed = await read.watermark(connection)
        await connection.rollback()  # a snapshot held while waiting would see nothing new, and hold up the checkpoint
        if filed > seen:
            new = replace(selection, after_seq=seen, up_to_seq=filed, limit=None)
            async for batch in read.rows(connection, new):
                await sink.show(batch)
            seen = filed


def until_interrupted(poll_s: float = POLL_S) -> Wait:
    """A wait that SIGINT or SIGTERM ends, now and from then on: the user's way out of `--follow` is no error."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def wait() -> bool:
        try:
            async with asyncio.timeout(poll_s):
                await stop.wait()
        except TimeoutError:
            return True
        return False

    return wait
