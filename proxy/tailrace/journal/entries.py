"""What stands in a frame's header: records to JSON and back. Pure.

None is left out. A key that is not known is passed over when reading, so that a writer reads the records of a newer
relay; a key that is missing and has no default makes the record unreadable.
"""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson

from tailrace.journal.frames import Kind
from tailrace.records import (
    Action,
    Attempt,
    Change,
    Definition,
    End,
    Feedback,
    Gap,
    Json,
    Label,
    Labelled,
    Retried,
    Start,
    StudentChange,
)

_R = TypeVar("_R", Start, Retried, End, Gap, Feedback, Attempt, Labelled, Change)


class Unreadable(Exception):
    """A header that is no such record; `str` says why."""


def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


LABELLED: Final[dict[Kind, type[Labelled]]] = {
    Kind.LABEL: Label,
    Kind.ACTION: Action,
    Kind.DEFINITION: Definition,
    Kind.STUDENT: StudentChange,
}
"""What the classifiers write down, by its kind."""
_KIND_OF: Final = {record: kind for kind, record in LABELLED.items()}
_FIELDS: Final[dict[type, frozenset[str]]] = {
    record: frozenset(_names(record))
    for record in (Start, Retried, End, Gap, Feedback, Attempt, Change, *LABELLED.values())
}


def _packer(record: type) -> Callable[[Any], dict[str, Any]]:
    """A function from a `record` to its dict without None: one attrgetter call, as this is on the way of each call."""
    names = _names(record)
    values = attrgetter(*names)
    return lambda value: {name: item for name, item in zip(names, values(value), strict=True) if item is not None}


_pack_start: Final = _packer(Start)
_pack_retried: Final = _packer(Retried)
_pack_end: Final = _packer(End)
_pack_gap: Final = _packer(Gap)
_pack_feedback: Final = _packer(Feedback)
_pack_attempt: Final = _packer(Attempt)
_pack_change: Final = _packer(Change)
_pack_labelled: Final = {record: _packer(record) for record in LABELLED.values()}


def encode_start(start: Start) -> bytes:
    """Header of a START record."""
    return orjson.dumps(_pack_start(start))


def encode_retried(retried: Retried) -> bytes:
    """Header of an ATTEMPT record."""
    packed = _pack_retried(retried)
    packed["previous"] = _pack_attempt(retried.previous)
    return orjson.dumps(packed)


def encode_end(end: End) -> bytes:
    """Header of an END or AMEND record."""
    packed = _pack_end(end)
    if end.last is not None:
        packed["last"] = _pack_attempt(end.last)
    return orjson.dumps(packed)


def encode_gap(gap: Gap) -> bytes:
    """Header of a GAP record."""
    return orjson.dumps(_pack_gap(gap))


def encode_feedback(feedback: Feedback) -> bytes:
    """Header of a FEEDBACK record."""
    return orjson.dumps(_pack_feedback(feedback))


def encode_labelled(said: Labelled) -> tuple[Kind, bytes]:
    """Kind and header of what a classifier writes down. Raises TypeError where its JSON cannot be written."""
    return _KIND_OF[type(said)], orjson.dumps(_pack_labelled[type(said)](said))


def encode_change(change: Change) -> bytes:
    """Header of a CHANGE record. Raises TypeError where its JSON cannot be written."""
    return orjson.dumps(_pack_change(change))


def decode_start(header: bytes) -> Start:
    """A START record's header. Raises Unreadable."""
    return _build(Start, _load(header))


def decode_retried(header: bytes) -> Retried:
    """An ATTEMPT record's header. Raises Unreadable."""
    raw = _load(header)
    raw["previous"] = _build(Attempt, raw.get("previous"))
    return _build(Retried, raw)


def decode_end(header: bytes) -> End:
    """An END or AMEND record's header. Raises Unreadable."""
    raw = _load(header)
    last = raw.get("last")
    raw["last"] = None if last is None else _build(Attempt, last)
    raw.setdefault("http_status", None)
    return _build(End, raw)


def decode_gap(header: bytes) -> Gap:
    """A GAP record's header. Raises Unreadable."""
    return _build(Gap, _load(header))


def decode_feedback(header: bytes) -> Feedback:
    """A FEEDBACK record's header. Raises Unreadable."""
    raw = _load(header)
    raw.setdefault("key", None)
    return _build(Feedback, raw)


def decode_change(header: bytes) -> Change:
    """A CHANGE record's header. Raises Unreadable."""
    raw = _load(header)
    raw["id"] = _uuid(raw.get("id"))
    if type(raw.get("at_us")) is not int:
        raise Unreadable("no time")
    return _build(Change, raw)


def decode_labelled(kind: Kind, header: bytes) -> Labelled:
    """The header of a record of one of the kinds `LABELLED`; a list of strings is a tuple. Raises Unreadable."""
    raw = _load(header)
    for name in ("id", "completion"):
        if name in raw:
            raw[name] = _uuid(raw[name])
    if type(raw.get("at_us")) is not int:
        raise Unreadable("no time")
    label = raw.get("label")
    if kind is Kind.LABEL and isinstance(label, list) and all(isinstance(each, str) for each in label):
        raw["label"] = tuple(label)
    return _build(LABELLED[kind], raw)


def _uuid(text: Json) -> UUID:
    try:
        return UUID(text)
    except (AttributeError, TypeError, ValueError) as exc:
        raise Unreadable(f"no id: {exc}") from exc


def _load(header: bytes) -> dict[str, Json]:
    try:
        raw = orjson.loads(header)
    except orjson.JSONDecodeError as exc:
        raise Unreadable(f"header is no JSON: {exc}") from exc
    if not isinstance(raw, dict):
        raise Unreadable("header is no JSON object")
    return raw


def _build(record: type[_R], raw: Json) -> _R:
    known = _FIELDS[record]
    try:
        return record(**{key: value for key, value in raw.items() if key in known})
    except (AttributeError, TypeError) as exc:
        raise Unreadable(f"no {record.__name__}: {exc}") from exc
