"""Audits: the model labels one random turn of a random share of the chains, once the chain is quiet.

What the other sources are judged by: the student's guarantee and the rules' accuracy rest on these labels and on no
others, so they never train anything. The draw is of `classify.audit`: nothing here decides who is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.audit import is_audited, place
from tailrace.journal.journal import Journal
from tailrace.labeller.cursor import cursor
from tailrace.labeller.subjects import Item, is_for, items
from tailrace.labeller.work import Work
from tailrace.records import LabelMode, Origin
from tailrace.store import read
from tailrace.store.query.fields import CHAIN, COMPLETION
from tailrace.store.rebuild import Rebuilder

_CHAINS: Final = 200
_MOST_TURNS: Final = 200
"""Of a chain, those among which the audited one is drawn; the first."""


@dataclass(frozen=True, slots=True)
class _Chain:
    id: int
    key: bytes
    last_us: int


class Auditor:
    """The audits of one version of one classifier."""

    def __init__(self, work: Work, data_dir: Path) -> None:
        self._work = work
        ready = work.cascade.ready
        self._cursor = cursor(data_dir, f"{ready.name}-{ready.version}-audits")
        self._at = self._cursor.read()
        self._quiet_us = int(ready.settings.audit_after_s * 1e6)

    async def begin(self, connection: AsyncConnection) -> None:
        """A new version begins with the chains that are filed from now on."""
        if self._at is None:
            self._move(await _newest(connection))

    async def step(self, connection: AsyncConnection, rebuilder: Rebuilder, journal: Journal) -> bool:
        """Looks at some chains, in their order; whether there are more that are quiet now.

        Raises:
            LogUnavailable: a label could not be kept; the chains are looked at again.
        """
        await self.begin(connection)
        assert self._at is not None
        chains = await _after(connection, self._at)
        quiet_before = self._work.clock.now_us() - self._quiet_us
        quiet = [chain for chain in chains if chain.last_us < quiet_before]
        if len(quiet) < len(chains):  # in their order: one that goes on keeps those after it waiting
            busy = next(chain.id for chain in chains if chain.last_us >= quiet_before)
            quiet = [chain for chain in quiet if chain.id < busy]
        for chain in quiet:
            await self._look(connection, rebuilder, journal, chain)
        if quiet:
            self._move(quiet[-1].id)
        return bool(quiet) and len(quiet) == _CHAINS

    async def _look(self, connection: AsyncConnection, rebuilder: Rebuilder, journal: Journal, chain: _Chain) -> None:
        ready = self._work.cascade.ready
        if not is_audited(chain.key, ready.version, ready.settings.audit_share):
            return
        item = await self._drawn(connection, rebuilder, chain)
        await connection.rollback()
        if item is None or self._work.models is None:
            return
        said = await self._work.cascade.ask(item.subject, self._work.models, source=str(item.id))
        label = self._work.record(item.id, replace(said, mode=LabelMode.AUDIT), None)
        await journal.labels([label])

    async def _drawn(self, connection: AsyncConnection, rebuilder: Rebuilder, chain: _Chain) -> Item | None:
        ready = self._work.cascade.ready
        chosen = read.Selection(COMPLETION.c.chain == chain.id, origin=Origin.APP, limit=_MOST_TURNS)
        rows = [row for row in await read.page(connection, chosen) if is_for(ready.settings, row)]
        for row in sorted(rows, key=lambda row: place(row.id, ready.version)):
            found: Sequence[Item] = await items(rebuilder, ready.settings, [row])
            if found:
                return found[0]
        return None

    def _move(self, at: int) -> None:
        self._at = at
        self._cursor.put(at)


async def _newest(connection: AsyncConnection) -> int:
    found = (await connection.execute(select(CHAIN.c.id).order_by(CHAIN.c.id.desc()).limit(1))).scalar_one_or_none()
    return found or 0


async def _after(connection: AsyncConnection, at: int) -> list[_Chain]:
    statement = select(CHAIN.c.id, CHAIN.c.key, CHAIN.c.last_us).where(CHAIN.c.id > at).order_by(CHAIN.c.id)
    return [_Chain(*row) for row in await connection.execute(statement.limit(_CHAINS))]
