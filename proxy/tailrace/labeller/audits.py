"""Audits: the model labels one random turn of a random share of the chains, once the chain is quiet.

What the other sources are judged by: the student's guarantee and the rules' accuracy rest on these labels and on no
others, so they never train anything. The draw is of `classify.audit`: nothing here decides who is drawn.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.audit import is_audited, place
from tailrace.classify.complete import Complete
from tailrace.journal.journal import Journal
from tailrace.labeller.cursor import cursor
from tailrace.labeller.subjects import Item, is_for, items
from tailrace.labeller.work import Work
from tailrace.records import Label, LabelMode, Origin
from tailrace.store import read
from tailrace.store.query.fields import CHAIN, COMPLETION
from tailrace.store.rebuild import Rebuilder

_CHAINS: Final = 200
_AT_ONCE: Final = 8
_LONGEST_US: Final = 24 * 3600 * 10**6
"""How long a chain that goes on is waited for."""
_MOST_TURNS: Final = 200
"""Of a chain, those among which the audited one is drawn; the first."""


@dataclass(frozen=True, slots=True)
class _Chain:
    id: int
    key: bytes
    started_us: int
    last_us: int

    def goes_on(self, now_us: int, quiet_us: int) -> bool:
        """Whether it is to be waited for: not for ever, since some chains never end."""
        return self.last_us >= now_us - quiet_us and self.started_us > now_us - max(_LONGEST_US, quiet_us)


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
        now_us = self._work.clock.now_us()
        going_on = (n for n, chain in enumerate(chains) if chain.goes_on(now_us, self._quiet_us))
        quiet = chains[: next(going_on, len(chains))]  # in their order: those after it wait for one that goes on
        for few in (quiet[at : at + _AT_ONCE] for at in range(0, len(quiet), _AT_ONCE)):
            await self._audit(connection, rebuilder, journal, few)
            self._move(few[-1].id)
        return len(quiet) == _CHAINS

    async def _audit(
        self, connection: AsyncConnection, rebuilder: Rebuilder, journal: Journal, chains: Sequence[_Chain]
    ) -> None:
        ready, work = self._work.cascade.ready, self._work
        if work.models is None:
            return
        drawn = [chain for chain in chains if is_audited(chain.key, ready.version, ready.settings.audit_share)]
        found = [item for chain in drawn if (item := await self._drawn(connection, rebuilder, chain)) is not None]
        await connection.rollback()
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask(item, work.models)) for item in found]
        await journal.labels([task.result() for task in asked])

    async def _ask(self, item: Item, models: Complete) -> Label:
        said = await self._work.cascade.ask(item.subject, models, source=str(item.id))
        return self._work.record(item.id, replace(said, mode=LabelMode.AUDIT), None)

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
    statement = (
        select(CHAIN.c.id, CHAIN.c.key, CHAIN.c.started_us, CHAIN.c.last_us).where(CHAIN.c.id > at).order_by(CHAIN.c.id)
    )
    return [_Chain(*row) for row in await connection.execute(statement.limit(_CHAINS))]
