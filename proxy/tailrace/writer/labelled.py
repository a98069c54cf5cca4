"""Files what the classifiers wrote down: labels, actions, versions of classifiers, students. Idempotent: by their ids.

Each is a row of its own and changes no other, so nothing waits for anything: a label may be filed before its completion
is, and a person's label stays what it is whatever a machine says later. Which label counts is decided by `rank`, when
somebody asks: 2 is a person's, 1 any other that is live, 0 (a shadow, an audit, no label) never counts.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Table, bindparam, exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.journal.entries import encode_labelled
from tailrace.records import (
    Action,
    Definition,
    Label,
    Labelled,
    LabelMode,
    LabelSource,
    LabelValue,
    Poison,
    StudentChange,
)
from tailrace.store.tables import TABLES
from tailrace.writer.asking import chunks
from tailrace.writer.text import column_text

MAX_VALUE_BYTES: Final = 65_536
"""Of a label as JSON; a larger one is set aside."""
_LAST_US: Final = 2**63 - 1
_MAX_NOTE: Final = 4_096
_VERSION: Final = TABLES["classifier_version"]

_NEW_VERSION: Final = insert(_VERSION).from_select(
    ["name", "version", "first_us", "definition"],
    select(bindparam("name_"), bindparam("version_"), bindparam("at_us_"), literal(None)).where(
        ~exists(
            select(literal(1))
            .select_from(_VERSION)
            .where(_VERSION.c.name == bindparam("name_"), _VERSION.c.version == bindparam("version_"))
        )
    ),
)
_DEFINE: Final = (
    update(_VERSION)
    .where(_VERSION.c.name == bindparam("name_"), _VERSION.c.version == bindparam("version_"))
    .where(_VERSION.c.definition.is_(None))
    .values(definition=bindparam("definition_"))
)


async def file_labelled(connection: AsyncConnection, said: Sequence[Labelled]) -> None:
    """Insert what is not there yet. The caller commits.

    Raises:
        ValueError: one of them is no such record: it is for the caller to find which, and to set it aside.
    """
    await _versions(connection, said)
    await _insert(connection, TABLES["label"], [_label(one) for one in said if isinstance(one, Label)])
    await _insert(connection, TABLES["action"], [_action(one) for one in said if isinstance(one, Action)])
    await _insert(connection, TABLES["student"], [_student(one) for one in said if isinstance(one, StudentChange)])


def poison_of(said: Labelled, reason: str) -> Poison:
    """A record that could not be filed."""
    kind, header = encode_labelled(said)
    name = f"{said.classifier} {said.version}" if isinstance(said, Definition) else str(said.id)
    completion = said.completion if isinstance(said, Label | Action) else None
    return Poison(min(said.at_us, _LAST_US), f"{kind.name.lower()} {name}", reason, header, completion)


async def _versions(connection: AsyncConnection, said: Sequence[Labelled]) -> None:
    first: dict[tuple[str, str], int] = {}
    for one in said:
        name = (_named(one.classifier), _named(one.version))
        first[name] = min(one.at_us, first.get(name, one.at_us))
    rows = [{"name_": name, "version_": version, "at_us_": at_us} for (name, version), at_us in first.items()]
    if rows:
        await connection.execute(_NEW_VERSION, rows)
    told = [
        {"name_": one.classifier, "version_": one.version, "definition_": _json(one.definition)}
        for one in said
        if isinstance(one, Definition)
    ]
    if told:
        await connection.execute(_DEFINE, told)


async def _insert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Those of `rows` whose id is not there yet, each once, in their order."""
    there: set[bytes] = set()
    for few in chunks([row["id"] for row in rows]):
        there.update((await connection.execute(select(table.c.id).where(table.c.id.in_(few)))).scalars())
    new = {row["id"]: row for row in reversed(rows) if row["id"] not in there}
    if new:
        await connection.execute(insert(table), list(reversed(new.values())))


def _label(one: Label) -> dict[str, Any]:
    return {
        "id": one.id.bytes,
        "at_us": one.at_us,
        "completion": one.completion.bytes,
        "classifier": one.classifier,
        "version": one.version,
        "source": LabelSource(one.source).value,
        "mode": LabelMode.LIVE.value if one.source == LabelSource.HUMAN else LabelMode(one.mode).value,
        "rank": _rank(one),
        "text": None if one.label is None else text_of(one.label),
        "value": None if one.label is None else _json(one.label),
        "confidence": _share(one.confidence),
        "latency_us": one.latency_us,
        "error": column_text(one.error),
        "note": column_text(one.note, max_chars=_MAX_NOTE),
        "who": column_text(one.who),
    }


def _rank(one: Label) -> int:
    """A person's word outranks all: their own label, or, with `who`, that another's counts again, or none."""
    if one.source == LabelSource.HUMAN or one.who is not None:
        return 2
    if one.label is None:
        return 0
    return 1 if one.mode == LabelMode.LIVE else 0


def text_of(label: LabelValue) -> str:
    """What queries compare: a label, several with a line each, else JSON, cut to a column's length.

    Raises:
        ValueError: one of several labels is no line of text, so that it could not be told from two.
    """
    if isinstance(label, str) and _is_line(label):
        return label
    if isinstance(label, tuple):
        if not all(map(_is_line, label)):
            raise ValueError("a label is one line of text, of at most 512 characters")
        return "\n".join(label)
    return column_text(_json(label).decode()) or ""


def _is_line(text: str) -> bool:
    return "\n" not in text and text == column_text(text)


def _action(one: Action) -> dict[str, Any]:
    return {
        "id": one.id.bytes,
        "at_us": one.at_us,
        "completion": one.completion.bytes,
        "classifier": one.classifier,
        "version": one.version,
        "label": column_text(one.label),
        "do": one.do,
        "key": _named(one.key),
        "outcome": one.outcome,
        "target": column_text(one.target),
        "dry_run": one.dry_run,
        "attempts": one.attempts,
        "error": column_text(one.error),
    }


def _student(one: StudentChange) -> dict[str, Any]:
    return {
        "id": one.id.bytes,
        "at_us": one.at_us,
        "classifier": one.classifier,
        "version": one.version,
        "number": one.number,
        "state": one.state,
        "reason": column_text(one.reason, max_chars=_MAX_NOTE),
        "threshold": _share(one.threshold),
        "coverage": _share(one.coverage),
        "counts": None if one.counts is None else _json(one.counts).decode(),
        "file": column_text(one.file),
    }


def _named(name: str) -> str:
    if not name or name != column_text(name):
        raise ValueError("a name is a text of 1 to 512 characters")
    return name


def _share(share: float | None) -> float | None:
    if share is not None and not (math.isfinite(share) and 0 <= share <= 1):
        raise ValueError(f"{share} is no share between 0 and 1")
    return share


def _json(value: object) -> bytes:
    written = orjson.dumps(value)
    if len(written) > MAX_VALUE_BYTES:
        raise ValueError(f"{len(written)} bytes of JSON, and {MAX_VALUE_BYTES} are allowed")
    return written
