"""Files feedback, and finds the completion that each piece is about. Idempotent: by the feedback's id.

A target is our id, the provider's id of the answer, or the caller's own id, in this order; of several completions of
the same project the newest is meant. Feedback may come before its completion is filed, so what finds none waits, and is
looked for again with each batch for an hour of the log's time.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Feedback
from tailrace.store.tables import TABLES
from tailrace.writer.text import column_text

_FEEDBACK: Final = TABLES["feedback"]
_COMPLETION: Final = TABLES["completion"]
_WAITS_US: Final = 3_600_000_000
_MOST_WAITING: Final = 1_000
_MAX_TEXT: Final = 65_536

_THERE: Final = select(_FEEDBACK.c.id).where(_FEEDBACK.c.id.in_(bindparam("ids", expanding=True)))
_FOUND: Final = update(_FEEDBACK).where(_FEEDBACK.c.seq == bindparam("of")).values(completion=bindparam("seq_"))
_WAITING: Final = (
    select(_FEEDBACK.c.seq, _FEEDBACK.c.target, _FEEDBACK.c.project)
    .where(_FEEDBACK.c.completion.is_(None), _FEEDBACK.c.at_us >= bindparam("since"))
    .order_by(_FEEDBACK.c.seq.desc())
    .limit(_MOST_WAITING)
)


def _newest(condition: ColumnElement[bool]) -> Select[Any]:
    of_project = _COMPLETION.c.project == bindparam("project_")
    return select(_COMPLETION.c.seq).where(of_project, condition).order_by(_COMPLETION.c.seq.desc()).limit(1)


_TARGET: Final[BindParameter[str]] = bindparam("target_")
_BY_ID: Final = _newest(_COMPLETION.c.id == bindparam("id_"))
_BY_ANSWER: Final = _newest(
    and_(
        _COMPLETION.c.answer_id.is_not(None),
        func.substr(_COMPLETION.c.answer_id, -8) == func.substr(_TARGET, -8),
        _COMPLETION.c.answer_id == _TARGET,
    )
)
_BY_EXTERNAL: Final = _newest(_COMPLETION.c.external_id == _TARGET)


async def file_feedback(connection: AsyncConnection, said: Sequence[Feedback]) -> bool:
    """Insert what is not there yet; whether some of it found no completion. The caller commits."""
    there = set((await connection.execute(_THERE, {"ids": [one.id for one in said]})).scalars())
    new = {one.id: one for one in said if one.id not in there}
    if not new:
        return False
    rows = []
    waiting = False
    for one in new.values():
        seq = await _completion_of(connection, one.target, one.project)
        waiting |= seq is None
        rows.append(_row(one, seq))
    await connection.execute(insert(_FEEDBACK), rows)
    return waiting


async def find_waiting(connection: AsyncConnection, now_us: int) -> bool:
    """Look again for what waited at the log's time `now_us`; whether some still waits. The caller commits."""
    waiting = (await connection.execute(_WAITING, {"since": now_us - _WAITS_US})).all()
    found: list[dict[str, int]] = []
    for of, target, project in waiting:
        seq = await _completion_of(connection, target, project)
        if seq is not None:
            found.append({"of": of, "seq_": seq})
    if found:
        await connection.execute(_FOUND, found)
    return len(found) < len(waiting)


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
