"""What is read of classifiers as such: their versions, how many labels they gave, the history of their students."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.records import Json, StudentChange
from tailrace.store.labels import ACTION, LABEL

_VERSION: Final = SQLModel.metadata.tables["classifier_version"]
_STUDENT: Final = SQLModel.metadata.tables["student"]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a classifier that has labelled something, or was defined."""

    classifier: str
    version: str
    first_us: int  # when it was first met
    definition: Json | None  # None where nobody has told


@dataclass(frozen=True, slots=True)
class Count:
    """How many labels there are of a kind, those included that no longer count."""

    classifier: str
    version: str
    mode: str
    source: str
    label: str | None  # as queries compare it; None: it could not be labelled
    count: int


@dataclass(frozen=True, slots=True)
class ActionCount:
    """How many actions are of a kind, as far as they have come."""

    do: str
    outcome: str
    dry_run: bool
    count: int


async def counts(connection: AsyncConnection, classifier: str | None = None, *, limit: int = 10_000) -> list[Count]:
    """Labels by classifier, version, mode, source and label, the most frequent first. Reads all of them once."""
    c = LABEL.c
    columns = (c.classifier, c.version, c.mode, c.source, c.text)
    number = func.count().label("number")
    statement = select(*columns, number).group_by(*columns).order_by(number.desc(), *columns).limit(limit)
    if classifier is not None:
        statement = statement.where(c.classifier == classifier)
    return [Count(*row) for row in await connection.execute(statement)]


async def failures(connection: AsyncConnection, classifier: str) -> list[tuple[str, str, str, int]]:
    """What could not be labelled: version, source, the kind of error and how often, the most frequent first."""
    c = LABEL.c
    columns = (c.version, c.source, func.coalesce(c.error, ""))
    number = func.count().label("number")
    statement = select(*columns, number).where(c.classifier == classifier, c.text.is_(None)).group_by(*columns)
    return [(*row,) for row in await connection.execute(statement.order_by(number.desc(), *columns))]


async def action_counts(connection: AsyncConnection, classifier: str) -> list[ActionCount]:
    """How far a classifier's actions have come, the most frequent first. Reads all of its actions once."""
    c, later = ACTION.c, ACTION.alias("later")
    same = (later.c.completion == c.completion, later.c.key == c.key, later.c.seq > c.seq)
    number = func.count().label("number")
    columns = (c["do"], c.outcome, c.dry_run)
    statement = (
        select(*columns, number)
        .where(
            c.classifier == classifier, ~exists(select(literal(1)).select_from(later).where(*same).correlate(ACTION))
        )
        .group_by(*columns)
        .order_by(number.desc(), *columns)
    )
    return [ActionCount(row[0], row[1], bool(row[2]), row[3]) for row in await connection.execute(statement)]


async def versions(connection: AsyncConnection, classifier: str | None = None) -> list[Version]:
    """The versions that the log has met, the newest first."""
    statement = select(_VERSION).order_by(_VERSION.c.first_us.desc(), _VERSION.c.name, _VERSION.c.version)
    if classifier is not None:
        statement = statement.where(_VERSION.c.name == classifier)
    return [
        Version(row.name, row.version, row.first_us, None if row.definition is None else orjson.loads(row.definition))
        for row in await connection.execute(statement)
    ]


async def students(connection: AsyncConnection, classifier: str, *, limit: int = 100) -> list[StudentChange]:
    """The transitions of a classifier's students with their reasons, the newest first: that is the state."""
    statement = select(_STUDENT).where(_STUDENT.c.classifier == classifier)
    return [_change(row) for row in await connection.execute(statement.order_by(_STUDENT.c.seq.desc()).limit(limit))]


def _change(row: Row[Any]) -> StudentChange:
    return StudentChange(
        id=UUID(bytes=row.id), at_us=row.at_us, classifier=row.classifier, version=row.version, number=row.number,
        state=row.state, reason=row.reason, threshold=row.threshold, coverage=row.coverage,
        counts=None if row.counts is None else orjson.loads(row.counts), file=row.file,
    )  # fmt: skip
