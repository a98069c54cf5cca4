"""One transaction: a batch of prepared completions → rows. Owns the order of its statements; the caller commits.

skip what is filed ─▶ place parts ─▶ link ─▶ insert ─▶ count chains and children ─▶ adopt what awaited these answers
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.store.codec import Codec
from tailrace.store.tables import TABLES
from tailrace.writer.adopt import adopt
from tailrace.writer.asking import Row, chunks, insert_rows
from tailrace.writer.candidates import Question
from tailrace.writer.catalog import Catalog
from tailrace.writer.identities import Identities, Placed
from tailrace.writer.link import Linked, Linker, Numbered
from tailrace.writer.prepared import Prepared
from tailrace.writer.rows import attempt_rows, choice_rows, completion_row, raw_rows

_COMPLETION: Final = TABLES["completion"]
_CHAIN: Final = TABLES["chain"]
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


@dataclass(slots=True)
class _Grown:
    """What a batch adds to a chain."""

    key: bytes
    project: str
    started_us: int
    last_us: int
    steps: int
    completions: int = 1


class Filing:
    """Files one batch inside a transaction. After COMMIT call `remember`; after a rollback drop it."""

    def __init__(self, connection: AsyncConnection, catalog: Catalog, codec: Codec, *, idle_us: int) -> None:
        self._connection = connection
        self._codec = codec
        self._idle_us = idle_us
        self._before = catalog.last
        self._identities = Identities(connection, catalog, codec)

    async def file(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Insert what is not filed yet; returns which completions that was. `batch` is in the order of START."""
        new = await self._unfiled(batch)
        if not new:
            return new
        placed = await self._identities.place(new)
        numbered = self._number(new, placed)
        linker = Linker(self._connection, idle_us=self._idle_us, last_chain=self._before.chain)
        linked = await linker.link(numbered)
        self._identities.last.chain = linker.last_chain
        children = linker.children()
        await self._insert(numbered, placed, linked, children)
        await self._count_chains(numbered, linked)
        await self._count_children(children)
        await adopt(self._connection, *self._offers(numbered), self._idle_us)
        return new

    def remember(self) -> None:
        """It was committed."""
        self._identities.remember()

    async def _unfiled(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Of `batch`, each completion that is not in the store, once."""
        filed: set[bytes] = set()
        for few in chunks([item.closed.id.bytes for item in batch]):
            filed.update((await self._connection.execute(_FILED, {"ids": few})).scalars())
        new: list[Prepared] = []
        for item in batch:
            if item.closed.id.bytes not in filed:
                filed.add(item.closed.id.bytes)
                new.append(item)
        return new

    def _number(self, new: Sequence[Prepared], placed: Sequence[Placed]) -> list[Numbered]:
        first, last = self._before.completion + 1, self._identities.last
        last.completion += len(new)
        last.started_us = max(last.started_us, *(item.closed.start.at_us for item in new))
        return [
            Numbered(seq, item, place.prompt_node, prompt_is_new=place.prompt_node > self._before.node)
            for seq, (item, place) in enumerate(zip(new, placed, strict=True), first)
        ]

    async def _insert(
        self,
        numbered: Sequence[Numbered],
        placed: Sequence[Placed],
        linked: Sequence[Linked],
        children: dict[int, int],
    ) -> None:
        rows: dict[str, list[Row]] = {
            "message": self._identities.messages,
            "shape": self._identities.shapes,
            "node": self._identities.nodes,
            "completion": [],
            "choice": [],
            "attempt": [],
            "raw": [],
        }
        for one, place, link in zip(numbered, placed, linked, strict=True):
            seq, item, count = one.seq, one.item, children.get(one.seq, 0)
            rows["completion"].append(completion_row(seq, item, place, link, children=count, codec=self._codec))
            rows["choice"] += choice_rows(seq, item, place)
            rows["attempt"] += attempt_rows(seq, item)
            rows["raw"] += raw_rows(seq, item, self._codec)
        for table, some in rows.items():
            await insert_rows(self._connection, TABLES[table], some)

    async def _count_chains(self, numbered: Sequence[Numbered], linked: Sequence[Linked]) -> None:
        chains: dict[int, _Grown] = {}
        for one, link in zip(numbered, linked, strict=True):
            closed, ended_us = one.item.closed, one.item.ended_us
            start, grown = closed.start, chains.get(link.chain)
            if grown is None:
                chains[link.chain] = _Grown(closed.id.bytes, start.project, start.at_us, ended_us, link.step)
            else:
                grown.last_us = max(grown.last_us, ended_us)
                grown.steps = max(grown.steps, link.step)
                grown.completions += 1
        new = [
            (id_, grown.key, grown.project, grown.started_us, grown.last_us, grown.completions, grown.steps)
            for id_, grown in chains.items()
            if id_ > self._before.chain
        ]
        longer = [
            {"chain_id": id_, "latest_us": grown.last_us, "more": grown.completions, "most_steps": grown.steps}
            for id_, grown in chains.items()
            if id_ <= self._before.chain
        ]
        await insert_rows(self._connection, _CHAIN, new)
        if longer:
            await self._connection.execute(_LONGER_CHAIN, longer)

    async def _count_children(self, children: dict[int, int]) -> None:
        """Of completions filed before; those of this batch were inserted with their count."""
        filed_before = self._before.completion
        more = [{"parent_seq": seq, "more": count} for seq, count in children.items() if seq <= filed_before]
        if more:
            await self._connection.execute(_MORE_CHILDREN, more)

    def _offers(self, numbered: Sequence[Numbered]) -> tuple[list[Question], list[int]]:
        """What the new answers can be to completions filed before them, and their `seq`s."""
        offers = [(one, choice.links.answer) for one in numbered for choice in one.item.answer.choices]
        offers += [(one, name.link) for one in numbered for name in one.item.names]
        questions = [
            Question(
                n=place,
                link=link,
                project=one.item.project,
                key=one.item.closed.start.key,
                earliest_us=one.item.ended_us,
                latest_us=one.item.ended_us + self._idle_us,
                session=None,
                user=None,
            )
            for place, (one, link) in enumerate(offers)
        ]
        return questions, [one.seq for one, _ in offers]
