"""Brings the miner each chain whole, what was not selected too, with labels and feedback, as of the watermark."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar, cast

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.store import labels
from tailrace.store.query import Marks
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Filed
from tailrace.store.rebuild import Rebuilder
from tailrace_exporters.assemble import Conversation, conversation
from tailrace_exporters.mine import Member, Opinion, Said
from tailrace_exporters.split import Forest

_FEEDBACK: Final = SQLModel.metadata.tables["feedback"]
_CHAINS: Final = 50
_FEW: Final = 500
_BODIES: Final = 100
_LONGEST: Final = 2_000
"""Completions of one chain that are looked at: its newest."""
T = TypeVar("T")


class Chains:
    """Reads chains for the miner, each with bodies that live no longer than it does."""

    def __init__(
        self, connection: AsyncConnection, marks: Marks, forest: Forest, bodies: Rebuilder, classifier: str | None
    ) -> None:
        """`classifier`: whose labels say what a user thinks; None: none does."""
        self._connection = connection
        self._marks = marks
        self._forest = forest
        self._bodies = bodies
        self._classifier = classifier

    async def members(self, admitted: Iterable[list[int]]) -> AsyncIterator[list[Member]]:
        """The completions of each chain that has one of `admitted`, those given in log order, as many as may be.

        Raises:
            WorkFailed: a stored body is damaged.
        """
        for some in _few(admitted, _CHAINS):
            good = {seq for group in some for seq in group}
            by_chain: dict[bytes, list[Filed]] = {}
            for row in await self._rows(good):
                by_chain.setdefault(self._forest.chain(row.seq), []).append(row)
            # A group of the forest holds several chains where one begins with the other's words.
            for chain in dict.fromkeys(self._forest.chain(seq) for group in some for seq in group):
                rows = by_chain[chain][-_LONGEST:]
                asked = {(row.project, row.origin) for row in rows if row.seq in good}
                yield await self._chain([row for row in rows if (row.project, row.origin) in asked], good)

    async def _chain(self, rows: Sequence[Filed], good: set[int]) -> list[Member]:
        found: dict[int, Conversation] = {}
        for few in _few(rows, _BODIES):
            for row, exchange in zip(few, await self._bodies.exchanges(few), strict=True):
                told = conversation(exchange)
                if not isinstance(told, str) and row.omits is None:
                    found[row.seq] = told
        said, opinions = await self._said(rows), await self._opinions([row.seq for row in rows])
        await self._connection.rollback()
        there = {row.seq for row in rows}
        return [
            Member(
                completion=row,
                parent=row.parent if row.parent in there else None,
                found=found.get(row.seq),
                is_admitted=row.seq in good,
                said=said.get(row.id),
                opinions=opinions.get(row.seq, ()),
            )
            for row in rows
        ]

    async def _rows(self, good: set[int]) -> list[Filed]:
        c = COMPLETION.c
        chains: set[int] = set()
        for few in _few(sorted(good), _FEW):
            chains |= set(await self._connection.scalars(select(c.chain).where(c.seq.in_(few))))
        found: list[Filed] = []
        for few in _few(sorted(chains), _FEW):
            statement = select(COMPLETION).where(c.chain.in_(few), c.seq <= self._marks.completions)
            found += cast("list[Filed]", list(await self._connection.execute(statement)))
        await self._connection.rollback()
        return sorted(found, key=lambda row: row.seq)

    async def _said(self, rows: Sequence[Filed]) -> dict[bytes, Said]:
        if self._classifier is None or not self._marks.labels:
            return {}
        ids = [row.id for row in rows]
        found = await labels.counting(self._connection, ids, up_to_seq=self._marks.labels)
        told = {id_: by_name.get(self._classifier) for id_, by_name in found.items()}
        return {id_: Said(label.label, label.confidence) for id_, label in told.items() if label is not None}

    async def _opinions(self, seqs: Sequence[int]) -> dict[int, list[Opinion]]:
        found: dict[int, list[Opinion]] = {}
        c = _FEEDBACK.c
        for few in _few(seqs, _FEW):
            statement = select(_FEEDBACK).where(c.completion.in_(few), c.seq <= self._marks.feedback)
            for row in await self._connection.execute(statement.order_by(c.seq)):
                correction = None if row.correction is None else orjson.loads(row.correction)
                found.setdefault(row.completion, []).append(Opinion(row.source, row.thumb, row.score, correction))
        return found


def _few(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while few := list(islice(rest, size)):
        yield few
