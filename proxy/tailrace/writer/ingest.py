"""Files what the journal gives back: a transaction a batch, each completion once, none lost for a neighbour's sake.

    prepare each (pure) ─▶ skip what is filed ─▶ place parts ─▶ link ─▶ insert ─▶ adopt ─▶ COMMIT ─▶ remember

- A record that cannot be prepared, or that the store refuses, goes to `dead_letter` with its bytes; a refused batch is
  halved until the one is found.
- While the store is locked, full or out of reach the batch is tried again, as long as it takes: the journal holds it.
- A COMMIT whose outcome is unknown is a batch tried again: what is filed already is known by its id.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.records import Closed, Gap, Poison
from tailrace.store.codec import Codec
from tailrace.store.engine import is_passing
from tailrace.writer import asking
from tailrace.writer.adopt import adopt
from tailrace.writer.asking import Row, chunks, insert_rows
from tailrace.writer.candidates import Question
from tailrace.writer.catalog import Catalog, read_last
from tailrace.writer.identities import Identities, Placed
from tailrace.writer.link import Linked, Linker, Numbered
from tailrace.writer.prepare import prepare
from tailrace.writer.prepared import Prepared
from tailrace.writer.rows import attempt_rows, choice_rows, completion_row, raw_rows

_TABLES: Final = SQLModel.metadata.tables
_COMPLETION: Final = _TABLES["completion"]
_CHAIN: Final = _TABLES["chain"]
_IDS: Final[BindParameter[list[bytes]]] = bindparam("ids", expanding=True)
_FILED: Final = select(_COMPLETION.c.id).where(_COMPLETION.c.id.in_(_IDS))
_MORE_CHILDREN: Final = (
    update(_COMPLETION)
    .where(_COMPLETION.c.seq == bindparam("parent_seq"))
    .values(children=_COMPLETION.c.children + bindparam("more"))
)
_LONGER_CHAIN: Final = (
    update(_CHAIN)
    .where(_CHAIN.c.id == bindparam("chain_id"))
    .values(
        completions=_CHAIN.c.completions + bindparam("more"),
        steps=func.max(_CHAIN.c.steps, bindparam("most_steps")),
        last_us=func.max(_CHAIN.c.last_us, bindparam("latest_us")),
    )
)
_PATIENCE_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)

log = structlog.get_logger("tailrace.writer")


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of a batch."""

    rows: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class _Failed:
    """A completion that cannot be filed, and why."""

    closed: Closed
    reason: str


class Ingest:
    """Files batches through the store's one writing connection."""

    def __init__(self, connection: AsyncConnection, catalog: Catalog, *, idle_us: int) -> None:
        self._connection = connection
        self._catalog = catalog
        self._idle_us = idle_us
        self._codec = Codec()

    @classmethod
    async def open(cls, connection: AsyncConnection, *, idle_s: float) -> Self:
        """Over an upgraded store. `idle_s`: how long an answer may wait for its continuation (`chains.idle_s`)."""
        await asking.create(connection)
        return cls(connection, Catalog(await read_last(connection)), idle_us=int(idle_s * 1_000_000))

    async def file(self, closed: Sequence[Closed], gaps: Sequence[Gap] = (), poisons: Sequence[Poison] = ()) -> Filed:
        """Files all of it; returns when it is committed, however long the store keeps it waiting."""
        prepared: list[Prepared] = []
        failed: list[_Failed] = []
        for one in sorted(closed, key=lambda one: one.stamp):
            try:
                prepared.append(prepare(one))
            except Exception as exc:  # noqa: BLE001 - whatever a body did to our code, only this record is set aside
                failed.append(_Failed(one, f"{type(exc).__name__}: {exc}"))
        rows = await self._file(prepared, failed)
        await self._set_aside(failed, gaps, poisons)
        return Filed(rows, len(failed) + len(poisons))

    async def _file(self, batch: Sequence[Prepared], failed: list[_Failed]) -> int:
        """Files a batch, or its halves where the store refuses it; what is refused alone joins `failed`."""
        if not batch:
            return 0
        tries = 0
        while True:
            try:
                return await self._transaction(batch)
            except DBAPIError as exc:
                await self._connection.rollback()
                if is_passing(exc):
                    await self._wait(tries, exc)
                    tries += 1
                    continue
                reason = f"{type(exc.orig).__name__}: {exc.orig}"
            except Exception as exc:  # noqa: BLE001 - a record that breaks our code must not stop its neighbours
                await self._connection.rollback()
                reason = f"{type(exc).__name__}: {exc}"
            if len(batch) == 1:
                failed.append(_Failed(batch[0].closed, reason))
                return 0
            half = len(batch) // 2
            return await self._file(batch[:half], failed) + await self._file(batch[half:], failed)

    async def _wait(self, tries: int, exc: DBAPIError) -> None:
        if tries == 0:
            log.warning("the store does not take rows now, trying again", reason=str(exc.orig))
        await asyncio.sleep(_PATIENCE_S[min(tries, len(_PATIENCE_S) - 1)])

    async def _transaction(self, batch: Sequence[Prepared]) -> int:
        connection = self._connection
        new = await self._unfiled(batch)
        if not new:
            await connection.rollback()
            return 0
        identities = Identities(connection, self._catalog, self._codec)
        before = self._catalog.last
        placed = await identities.place(new)
        first = before.completion + 1
        numbered = [
            Numbered(first + n, item, place.prompt_node, prompt_is_new=place.prompt_node > before.node)
            for n, (item, place) in enumerate(zip(new, placed, strict=True))
        ]
        linker = Linker(connection, idle_us=self._idle_us, last_chain=before.chain)
        linked = await linker.link(numbered)
        identities.last.completion += len(new)
        identities.last.chain = linker.last_chain
        children = linker.children()
        await self._insert(identities, numbered, placed, linked, children)
        await self._count(numbered, linked, children, before.completion, before.chain)
        await adopt(connection, *self._offers(numbered), self._idle_us)
        await connection.commit()
        identities.remember()
        return len(new)

    async def _unfiled(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Of `batch`, each completion that is not in the store, once."""
        filed: set[bytes] = set()
        for few in chunks([item.closed.id.bytes for item in batch]):
            filed.update((await self._connection.execute(_FILED, {"ids": few})).scalars())
        new = []
        for item in batch:
            if item.closed.id.bytes not in filed:
                filed.add(item.closed.id.bytes)
                new.append(item)
        return new

    async def _insert(
        self,
        identities: Identities,
        numbered: Sequence[Numbered],
        placed: Sequence[Placed],
        linked: Sequence[Linked],
        children: dict[int, int],
    ) -> None:
        completions: list[Row] = []
        choices: list[Row] = []
        attempts: list[Row] = []
        raws: list[Row] = []
        for one, place, link in zip(numbered, placed, linked, strict=True):
            count = children.get(one.seq, 0)
            completions.append(completion_row(one.seq, one.item, place, link, children=count, codec=self._codec))
            choices += choice_rows(one.seq, one.item, place)
            attempts += attempt_rows(one.seq, one.item)
            raws += raw_rows(one.seq, one.item, self._codec)
        for name, rows in (
            ("message", identities.messages),
            ("shape", identities.shapes),
            ("node", identities.nodes),
            ("completion", completions),
            ("choice", choices),
            ("attempt", attempts),
            ("raw", raws),
        ):
            await insert_rows(self._connection, _TABLES[name], rows)

    async def _count(
        self,
        numbered: Sequence[Numbered],
        linked: Sequence[Linked],
        children: dict[int, int],
        last_completion: int,
        last_chain: int,
    ) -> None:
        """New chains, longer chains, and the further continuations of what was filed before."""
        chains: dict[int, list[Any]] = {}
        for one, link in zip(numbered, linked, strict=True):
            start, ended_us = one.item.closed.start, one.item.ended_us
            row = chains.get(link.chain)
            if row is None:
                key = one.item.closed.id.bytes
                chains[link.chain] = [link.chain, key, start.project, start.at_us, ended_us, 1, start.step]
            else:
                row[4], row[5], row[6] = max(row[4], ended_us), row[5] + 1, max(row[6], start.step)
        await insert_rows(self._connection, _CHAIN, [tuple(row) for id_, row in chains.items() if id_ > last_chain])
        longer = [
            {"chain_id": id_, "latest_us": row[4], "more": row[5], "most_steps": row[6]}
            for id_, row in chains.items()
            if id_ <= last_chain
        ]
        if longer:
            await self._connection.execute(_LONGER_CHAIN, longer)
        more = [{"parent_seq": seq, "more": n} for seq, n in children.items() if seq <= last_completion and n]
        if more:
            await self._connection.execute(_MORE_CHILDREN, more)

    def _offers(self, numbered: Sequence[Numbered]) -> tuple[list[Question], list[int]]:
        """What the new answers can be to completions filed before them, and their `seq`s."""
        questions: list[Question] = []
        parents: list[int] = []
        for one in numbered:
            start = one.item.closed.start
            for choice in one.item.answer.choices:
                questions.append(
                    Question(
                        n=len(parents),
                        link=choice.links.answer,
                        project=start.project,
                        key=start.key,
                        earliest_us=one.item.ended_us,
                        latest_us=one.item.ended_us + self._idle_us,
                        session=None,
                        user=None,
                    )
                )
                parents.append(one.seq)
        return questions, parents

    async def _set_aside(self, failed: Sequence[_Failed], gaps: Sequence[Gap], poisons: Sequence[Poison]) -> None:
        """Gaps and dead letters; a gap counts calls, so it is filed once even where the batch was tried before."""
        letters: list[Row] = [
            (None, one.closed.start.at_us, one.closed.id.bytes, "completion", one.reason, _bytes_of(one.closed))
            for one in failed
        ]
        letters += [
            (None, poison.at_us, poison.id.bytes if poison.id else None, poison.where, poison.reason, poison.raw)
            for poison in poisons
        ]
        counted: list[Row] = [(None, gap.at_us, gap.owner, gap.calls, gap.reason) for gap in gaps]
        if not letters and not counted:
            return
        for letter in letters:
            log.error("a record was set aside in dead_letter", source=letter[3], reason=letter[4])
        tries = 0
        while True:
            try:
                await insert_rows(self._connection, _TABLES["dead_letter"], letters)
                await insert_rows(self._connection, _TABLES["gap"], counted)
                await self._connection.commit()
            except DBAPIError as exc:
                await self._connection.rollback()
                await self._wait(tries, exc)
                tries += 1
            else:
                return


def _bytes_of(closed: Closed) -> bytes:
    """A completion's bytes, request and answer, one after the other."""
    return closed.request + b"\n\n" + closed.answer
