"""Whether a parsed JSON value stands for its bytes: what decides if the raw bytes must be kept beside it."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

from tailrace.records import Json

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1
_MAX_NUMBER_CHARS: Final = 64


class _Inexact(ValueError):
    """A token that orjson does not keep."""


def is_exact(raw: bytes, parsed: Json) -> bool:
    """Whether `parsed`, which orjson made of `raw`, is proven to be JSON-equal to it.

    Not proven, so False: duplicate keys, integers beyond 64 bits, numbers that a double does not hold to the last
    digit, bytes that are no UTF-8, and nesting deeper than orjson writes (254).
    """
    try:
        text = orjson.dumps(parsed)
    except TypeError:
        return False
    # Without the one space that Python's json.dumps puts after `,` and `:`. What this also does inside strings is the
    # same on both sides, and a string that differs cannot come of parsing: numbers and keys are what must be proven.
    if text == raw or _tight(text) == _tight(raw):
        return True
    try:
        strict = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_int=_exact_int,
            parse_float=_exact_float,
            parse_constant=_refuse,
        )
        return orjson.dumps(strict) == text
    except (ValueError, TypeError, InvalidOperation):  # ours, json's and the codec's are all ValueErrors
        return False


def _tight(text: bytes) -> bytes:
    return text.replace(b", ", b",").replace(b": ", b":")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Inexact("duplicate key")
    return members


def _exact_int(text: str) -> int:
    if len(text) > _MAX_NUMBER_CHARS or not _MIN_INT <= (value := int(text)) <= _MAX_INT:
        raise _Inexact("integer beyond 64 bits")
    return value


def _exact_float(text: str) -> float:
    value = float(text)
    if len(text) > _MAX_NUMBER_CHARS or Decimal(repr(value)) != Decimal(text):
        raise _Inexact("more digits than a double holds")
    return value


def _refuse(_: str) -> NoReturn:
    raise _Inexact("not JSON")
