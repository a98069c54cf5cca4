"""Files what the journal gives back: a transaction a batch, each completion once, none lost for a neighbour's sake.

- A record that cannot be prepared, or that the store refuses, goes to `dead_letter` with its bytes; a refused batch is
  halved until the one is found.
- While the store is locked, full or out of reach the batch is tried again, as long as it takes: the journal holds it.
- A COMMIT whose outcome is unknown is a batch tried again: what is filed already is known by its id, and the counters
  are read anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar
from zlib import crc32

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.prices import Prices
from tailrace.records import Amended, Change, Closed, Feedback, Gap, Labelled, Poison
from tailrace.store.codec import Codec
from tailrace.store.engine import is_passing
from tailrace.writer import asking
from tailrace.writer.aside import Refused, amend, count_gaps, set_aside
from tailrace.writer.catalog import Catalog, read_last
from tailrace.writer.changes import file_changes, poison_of_change
from tailrace.writer.feedback import Waiter, Waiting, file_feedback, find_waiting, read_waiting
from tailrace.writer.filing import Filing
from tailrace.writer.labelled import file_labelled, poison_of
from tailrace.writer.prepare import prepare
from tailrace.writer.prepared import Prepared
from tailrace.writer.settling import Settle, settle_nothing

_PATIENCE_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses before the first further tries; the last one before all after them."""

T = TypeVar("T")

log = structlog.get_logger("tailrace.writer")


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of a batch: completions that are new in the store, and records set aside."""

    rows: int
    dead_letters: int


class Ingest:
    """Files batches through the store's one writing connection."""

    def __init__(
        self,
        connection: AsyncConnection,
        catalog: Catalog,
        *,
        idle_us: int,
        prices: Prices | None = None,
        settle: Settle = settle_nothing,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._idle_us = idle_us
        self._prices = prices
        self._settle = settle
        self._waiting = Waiting()
        self._codec = Codec()
        self._is_unsure = False  # after a failure: not even whether COMMIT was done is known

    @classmethod
    async def open(
        cls,
        connection: AsyncConnection,
        *,
        idle_s: float,
        prices: Prices | None = None,
        settle: Settle = settle_nothing,
    ) -> Self:
        """Over an upgraded store. `idle_s`: how long an answer may wait for its continuation (`chains.idle_s`);
        `settle` is told of completions when they are filed, each once."""
        await asking.create(connection)
        catalog = Catalog(await read_last(connection))
        ingest = cls(connection, catalog, idle_us=int(idle_s * 1_000_000), prices=prices, settle=settle)
        ingest._waiting = await ingest._read_waiting()
        return ingest

    async def file(
        self,
        closed: Sequence[Closed],
        gaps: Sequence[Gap] = (),
        poisons: Sequence[Poison] = (),
        amended: Sequence[Amended] = (),
        feedback: Sequence[Feedback] = (),
        labelled: Sequence[Labelled] = (),
        changes: Sequence[Change] = (),
    ) -> Filed:
        """Files all of it; returns when it is committed, however long the store keeps it waiting."""
        prepared: list[Prepared] = []
        refused: list[Refused] = []
        for one in sorted(closed, key=_stamp):
            try:
                prepared.append(prepare(one, self._prices))
            except Exception as exc:  # noqa: BLE001 - whatever a body did to our code, only this record is set aside
                refused.append(Refused(one, _reason(exc)))
        rows = await self._in_halves(
            prepared, self._transaction, lambda item, why: refused.append(Refused(item.closed, why))
        )
        odd = list(poisons)

        def refuse(record: Gap | Amended | Feedback, why: str) -> None:
            odd.append(_poison(record, why))

        await self._in_halves(gaps, self._gaps, refuse)
        await self._in_halves(amended, self._amend, refuse)
        await self._in_halves(feedback, self._feedback, refuse)
        await self._in_halves(labelled, self._labelled, lambda one, why: odd.append(poison_of(one, why)))
        await self._in_halves(changes, self._changes, lambda one, why: odd.append(poison_of_change(one, why)))
        if refused or odd:
            await self._try_until_taken(lambda: self._set_aside(refused, odd))
        if waiters := self._waiting.meant_by(prepared, self._catalog.last.started_us):
            await self._try_until_taken(lambda: self._find_waiting(waiters))
        if feedback:
            self._waiting = await self._try_until_taken(self._read_waiting)
        return Filed(rows, len(refused) + len(odd))

    async def _in_halves(
        self, some: Sequence[T], transaction: Callable[[Sequence[T]], Awaitable[int]], refuse: Callable[[T, str], None]
    ) -> int:
        """Files `some` together, or its halves where the store refuses it; `refuse` gets what is refused alone."""
        if not some:
            return 0
        try:
            return await self._try_until_taken(lambda: transaction(some))
        except Exception as exc:  # noqa: BLE001 - a record that breaks our code must not stop its neighbours
            if len(some) == 1:
                refuse(some[0], _reason(exc))
                return 0
        half = len(some) // 2
        first = await self._in_halves(some[:half], transaction, refuse)
        return first + await self._in_halves(some[half:], transaction, refuse)

    async def _transaction(self, batch: Sequence[Prepared]) -> int:
        if self._is_unsure:
            self._catalog.last = await read_last(self._connection)
            self._is_unsure = False
        filing = Filing(self._connection, self._catalog, self._codec, idle_us=self._idle_us)
        new = await filing.file(batch)
        await self._connection.commit()
        filing.remember()
        self._settle(new)
        return len(new)

    async def _gaps(self, gaps: Sequence[Gap]) -> int:
        await count_gaps(self._connection, gaps)
        await self._connection.commit()
        return len(gaps)

    async def _amend(self, amended: Sequence[Amended]) -> int:
        await amend(self._connection, amended)
        await self._connection.commit()
        return len(amended)

    async def _feedback(self, feedback: Sequence[Feedback]) -> int:
        await file_feedback(self._connection, feedback)
        await self._connection.commit()
        return len(feedback)

    async def _read_waiting(self) -> Waiting:
        return await read_waiting(self._connection, self._catalog.last.started_us)

    async def _find_waiting(self, waiters: Iterable[Waiter]) -> None:
        await find_waiting(self._connection, waiters)
        await self._connection.commit()

    async def _set_aside(self, refused: Sequence[Refused], poisons: Sequence[Poison]) -> None:
        """The last resort: what even this cannot keep is the store's fault, and stays in the journal."""
        await set_aside(self._connection, refused, poisons)
        await self._connection.commit()
        for one in refused:
            log.error("a completion was set aside", id=str(one.closed.id), reason=one.reason)
        for poison in poisons:
            log.error("a journal record was set aside", source=poison.where, reason=poison.reason)

    async def _labelled(self, some: Sequence[Labelled]) -> int:
        await file_labelled(self._connection, some)
        await self._connection.commit()
        return len(some)

    async def _changes(self, some: Sequence[Change]) -> int:
        await file_changes(self._connection, some)
        await self._connection.commit()
        return len(some)

    async def _try_until_taken(self, transaction: Callable[[], Awaitable[T]]) -> T:
        """Run a transaction, again while the store cannot take it now. What it raises besides has rolled it back."""
        tries = 0
        while True:
            try:
                return await transaction()
            except Exception as exc:
                await self._connection.rollback()
                self._is_unsure = True
                if not isinstance(exc, DBAPIError) or not is_passing(exc):
                    raise
                if tries == 0:
                    log.warning("the store does not take rows now, trying again", reason=str(exc.orig))
            await asyncio.sleep(_PATIENCE_S[min(tries, len(_PATIENCE_S) - 1)])
            tries += 1


def _stamp(closed: Closed) -> int:
    return closed.stamp


def _poison(record: Gap | Amended | Feedback, why: str) -> Poison:
    """A record that the store refused, as it reads."""
    raw = repr(record).encode("utf-8", "surrogatepass")
    where = f"{type(record).__name__.lower()} {crc32(raw):08x}"
    return Poison(0, where, why, raw, record.id if isinstance(record, Amended) else None)


def _reason(exc: Exception) -> str:
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return f"{type(cause).__name__}: {cause}"
