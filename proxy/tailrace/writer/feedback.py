"""Files feedback, and finds the completion that each piece is about. Idempotent: by the feedback's id.

A target is our id, the provider's id of the answer, or the caller's own id, in this order; of several completions of
the same project the newest is meant. Feedback may come before its completion is filed, so what finds none waits for an
hour of the log's time. What waits is remembered by its target: a batch asks the store only for what it is meant by.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Feedback
from tailrace.store.lookups import answer_is
from tailrace.store.tables import TABLES
from tailrace.writer.prepared import Prepared
from tailrace.writer.text import column_text

_FEEDBACK: Final = TABLES["feedback"]
_COMPLETION: Final = TABLES["completion"]
_WAITS_US: Final = 3_600_000_000
_MOST_WAITING: Final = 1_000
_MAX_TEXT: Final = 65_536

_THERE: Final = select(_FEEDBACK.c.id).where(_FEEDBACK.c.id.in_(bindparam("ids", expanding=True)))
# With a new number: an export's watermark is over what was known then, and this was not.
_FOUND: Final = (
    update(_FEEDBACK)
    .where(_FEEDBACK.c.seq == bindparam("of"))
    .values(completion=bindparam("seq_"), seq=select(func.max(_FEEDBACK.c.seq) + 1).scalar_subquery())
)
_NEWEST: Final = select(_FEEDBACK).order_by(_FEEDBACK.c.seq.desc()).limit(10 * _MOST_WAITING).subquery().c
_WAITING: Final = (
    select(_NEWEST.seq, _NEWEST.target, _NEWEST.project, _NEWEST.at_us)
    .where(_NEWEST.completion.is_(None), _NEWEST.at_us >= bindparam("since"))
    .limit(_MOST_WAITING)
)


def _newest(condition: ColumnElement[bool]) -> Select[Any]:
    of_project = _COMPLETION.c.project == bindparam("project_")
    return select(_COMPLETION.c.seq).where(of_project, condition).order_by(_COMPLETION.c.seq.desc()).limit(1)


_TARGET: Final[BindParameter[str]] = bindparam("target_")
_BY_ID: Final = _newest(_COMPLETION.c.id == bindparam("id_"))
_BY_ANSWER: Final = _newest(answer_is(_TARGET))
_BY_EXTERNAL: Final = _newest(_COMPLETION.c.external_id == _TARGET)


@dataclass(frozen=True, slots=True)
class Waiter:
    """Feedback that found no completion yet."""

    seq: int
    target: str
    project: str
    at_us: int


class Waiting:
    """The feedback that waits, by what it calls its completion."""

    def __init__(self, waiters: Iterable[Waiter] = ()) -> None:
        self._by_name: defaultdict[str, set[Waiter]] = defaultdict(set)
        for waiter in waiters:
            for name in _names(waiter.target):
                self._by_name[name].add(waiter)

    def meant_by(self, batch: Iterable[Prepared], now_us: int) -> set[Waiter]:
        """What may be about a completion of `batch`, as of the log's time `now_us`."""
        if not self._by_name:
            return set()
        names = (
            name
            for item in batch
            for name in (str(item.closed.id), item.answer.id, column_text(item.closed.start.external_id))
        )
        found = {waiter for name in names if name is not None for waiter in self._by_name.get(name, ())}
        return {waiter for waiter in found if waiter.at_us >= now_us - _WAITS_US}


async def file_feedback(connection: AsyncConnection, said: Sequence[Feedback]) -> None:
    """Insert what is not there yet, with the completion that it is about. The caller commits."""
    there = set((await connection.execute(_THERE, {"ids": [one.id for one in said]})).scalars())
    new = {one.id: one for one in said if one.id not in there}
    if new:
        rows = [_row(one, await _completion_of(connection, one.target, one.project)) for one in new.values()]
        await connection.execute(insert(_FEEDBACK), rows)


async def read_waiting(connection: AsyncConnection, now_us: int) -> Waiting:
    """What waits at the log's time `now_us`. Ends the transaction it reads in."""
    rows = await connection.execute(_WAITING, {"since": now_us - _WAITS_US})
    waiting = Waiting(Waiter(seq, target, project, at_us) for seq, target, project, at_us in rows)
    await connection.rollback()
    return waiting


async def find_waiting(connection: AsyncConnection, waiters: Iterable[Waiter]) -> None:
    """Look again for what waited. The caller commits."""
    for waiter in waiters:
        seq = await _completion_of(connection, waiter.target, waiter.project)
        if seq is not None:
            await connection.execute(_FOUND, {"of": waiter.seq, "seq_": seq})


async def _completion_of(connection: AsyncConnection, target: str, project: str) -> int | None:
    for query, values in _lookups(target):
        seq: int | None = (await connection.execute(query, {**values, "project_": project})).scalar()
        if seq is not None:
            return seq
    return None


def _lookups(target: str) -> Iterable[tuple[Select[Any], dict[str, Any]]]:
    with suppress(ValueError):
        yield _BY_ID, {"id_": UUID(target).bytes}
    yield _BY_ANSWER, {"target_": target}
    yield _BY_EXTERNAL, {"target_": target}


def _names(target: str) -> Iterable[str]:
    yield target
    with suppress(ValueError):
        yield str(UUID(target))


def _row(one: Feedback, seq: int | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "at_us": one.at_us,
        "project": one.project,
        "key": column_text(one.key),
        "target": column_text(one.target),
        "completion": seq,
        "source": column_text(one.source),
        "score": one.score,
        "thumb": one.thumb,
        "text": column_text(one.text, max_chars=_MAX_TEXT),
        "correction": None if one.correction is None else orjson.dumps(one.correction),
        "tags": None if one.tags is None else orjson.dumps(one.tags, option=orjson.OPT_SORT_KEYS).decode(),
    }
