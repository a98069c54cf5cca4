"""A completion as JSON for machines. A field has the name it has in the `where` language: `chain.id` there is
`.chain.id` here. Times are ISO 8601 in UTC, durations milliseconds, ids UUIDs; what is unknown is null."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row

from tailrace.commands.logs_labels import Beside, label_fields
from tailrace.commands.speech import messages_of, since_last_answer
from tailrace.commands.terminal import iso_utc
from tailrace.records import Json, Label
from tailrace.store.query.fields import FIELDS, Kind
from tailrace.store.read import Filed
from tailrace.store.rebuild import Exchange

_PLAIN: Final = tuple(
    name
    for name, field in FIELDS.items()
    if "." not in name and field.kind not in (Kind.ID, Kind.DURATION) and name != "started"
)
_DURATIONS: Final = tuple(name for name, field in FIELDS.items() if field.kind is Kind.DURATION)


def fields(row: Filed, parents: dict[int, UUID]) -> dict[str, Json]:
    """All fields of a completion; `parents` has the ids of parents by `seq`."""
    parent = parents.get(row.parent) if row.parent is not None else None
    return {
        "id": str(UUID(bytes=row.id)),
        "started": iso_utc(row.started_us),
        **{name: getattr(row, name) for name in _PLAIN},
        **{name: _ms(getattr(row, name.removesuffix("_ms") + "_us")) for name in _DURATIONS},
        "parent": None if parent is None else str(parent),
        "source": None if row.source is None else str(UUID(bytes=row.source)),
        "chain": {
            "id": str(UUID(bytes=row.chain_key)),
            "steps": row.chain_steps,
            "completions": row.chain_completions,
        },
        "tags": orjson.loads(row.tags) if row.tags else {},
    }


def attempt_fields(attempt: Row[Any]) -> dict[str, Json]:
    """One call of a provider."""
    names = ("n", "provider", "model", "outcome", "http_status", "error", "detail")
    return {
        **{name: getattr(attempt, name) for name in names},
        "started": iso_utc(attempt.started_us),
        "duration_ms": _ms(attempt.duration_us),
    }


def feedback_fields(said: Row[Any]) -> dict[str, Json]:
    """What somebody thought of an answer."""
    return {
        **{name: getattr(said, name) for name in ("id", "key", "source", "score", "thumb", "text")},
        "at": iso_utc(said.at_us),
        "correction": None if said.correction is None else orjson.loads(said.correction),
        "tags": orjson.loads(said.tags) if said.tags else {},
    }


def whole(
    row: Filed,
    parents: dict[int, UUID],
    attempts: Sequence[Row[Any]],
    feedback: Sequence[Row[Any]],
    beside: Beside,
    history: Sequence[Label],
    exchange: Exchange,
) -> dict[str, Json]:
    """A completion and all that belongs to it; bytes that are kept as they are, in base64."""
    return {
        **fields(row, parents),
        **beside.as_json(row.id),
        "label_history": [{"classifier": label.classifier, **label_fields(label)} for label in history],
        "calls": [attempt_fields(attempt) for attempt in attempts],
        "feedback": [feedback_fields(said) for said in feedback],
        "request": exchange.request,
        "answer": exchange.answer,
        "request_raw_base64": _base64(exchange.request_raw),
        "answer_raw_base64": _base64(exchange.answer_raw),
    }


def turn(row: Filed, parents: dict[int, UUID], beside: Beside, exchange: Exchange) -> dict[str, Json]:
    """A completion as a turn of its chain: what was said since the last answer, and the answer."""
    said = since_last_answer(messages_of(row.endpoint, exchange.request))
    return {**fields(row, parents), **beside.as_json(row.id), "new_messages": said, "answer": exchange.answer}


def parents_of(rows: Iterable[Filed]) -> set[int]:
    """The `seq` of all parents of `rows`."""
    return {row.parent for row in rows if row.parent is not None}


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()
