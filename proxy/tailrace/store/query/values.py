"""How a value is written: from the text of a token to a value of the field's kind.

Every function returns None where the text is no such value; the parser says so, with `EXPECTED`.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tailrace.store.query.fields import Kind
from tailrace.store.query.syntax import EPOCH, Ago, IdSpan, Lasting, Moment, Value

EXPECTED: Final = {
    Kind.TEXT: "a text",
    Kind.WORD: "a word",
    Kind.NUMBER: "a number, such as 12 or 0.5",
    Kind.FLAG: "true or false",
    Kind.DURATION: "a duration: milliseconds, or with a unit such as 250ms, 2s, 1.5m",
    Kind.TIME: "a time: 2026-10-01, 2026-10-01T12:00:00Z (UTC unless it says otherwise), or -1h, -7d before now",
    Kind.LABEL: "a label",
    Kind.DOCUMENT: "NULL or NOT NULL after IS",
    Kind.ID: "an id, or its first 8 or more hexadecimal digits",
}
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_AMOUNT: Final = re.compile(r"(\d{1,19}(?:\.\d{0,18})?|\.\d{1,18})([a-z]*)", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{8,32}")
_UNIT_US: Final = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MAX_WHOLE: Final = 2**63 - 1  # what a column holds
_MAX_AGO_S: Final = 100 * 366 * 86400
_MICROSECOND: Final = timedelta(microseconds=1)


def read(kind: Kind, text: str) -> Value | None:
    """`text` as a value of `kind`; words of a closed list are the parser's."""
    match kind:
        case Kind.NUMBER:
            return number(text)
        case Kind.FLAG:
            return {"true": True, "false": False}.get(text.lower())
        case Kind.DURATION:
            return duration(text)
        case Kind.TIME:
            return moment(text)
        case Kind.ID:
            return id_span(text)
    return text


def number(text: str) -> int | float | None:
    """A finite number that a column can hold; a whole one is an int."""
    if _NUMBER.fullmatch(text) is None:
        return None
    if text.lstrip("+-").isdigit() and len(text) <= 20:
        whole = int(text)
        return whole if abs(whole) <= _MAX_WHOLE else None
    value = float(text)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def duration(text: str) -> Lasting | None:
    """`250`, `250ms`, `2s`, `1.5m`; without a unit, milliseconds. Rounded to microseconds."""
    match = _AMOUNT.fullmatch(text.lower())
    unit_us = _UNIT_US.get(match[2] or "ms") if match else None
    if match is None or unit_us is None:
        return None
    us = round(float(match[1]) * unit_us) if "." in match[1] else int(match[1]) * unit_us
    return Lasting(us) if us <= _MAX_WHOLE else None


def moment(text: str) -> Moment | Ago | None:
    """A time of the language: absolute in ISO 8601 (UTC where it names no offset), or before now (`-1h`)."""
    if text.startswith("-"):
        seconds = span_s(text[1:])
        return None if seconds is None else Ago(seconds)
    us = instant_us(text)
    return None if us is None else Moment(us)


def span_s(text: str) -> int | None:
    """`90s`, `15m`, `1h`, `7d`, `2w` in seconds; at most 100 years."""
    match = _AMOUNT.fullmatch(text.lower())
    unit_s = _UNIT_S.get(match[2]) if match else None
    if match is None or unit_s is None:
        return None
    seconds = round(float(match[1]) * unit_s)
    return seconds if seconds <= _MAX_AGO_S else None


def instant_us(text: str, *, local: bool = False) -> int | None:
    """An ISO 8601 time in microseconds since 1970; one without an offset is UTC, or the machine's own where `local`."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.astimezone() if local else found.replace(tzinfo=UTC)
        return (found.astimezone(UTC) - EPOCH) // _MICROSECOND
    except (ValueError, OverflowError, OSError):
        return None


def id_span(text: str) -> IdSpan | None:
    """A whole id, with its dashes or without, or at least its first 8 digits."""
    digits = text.lower().replace("-", "")
    return IdSpan(digits) if _HEX.fullmatch(digits) else None
