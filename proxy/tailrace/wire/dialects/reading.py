"""What a provider said, taken apart without trust: a value of the wrong kind is as good as none.

Owns: how hostile JSON is read in answers and streams. What must be there and is not raises `Unreadable`, which a
translation turns into an error in the client's shape.
"""

from typing import Any, Final

import orjson

from tailrace.errors import Code, TailraceError, error_body
from tailrace.records import Json

_MAX_COUNT: Final = 2**53
_QUOTED_BYTES: Final = 300


class Unreadable(TailraceError):
    """The provider said what its dialect does not allow. `str(error)` is a sentence for the client."""


def obj(value: Json) -> dict[str, Any]:
    """`value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Json) -> list[dict[str, Any]]:
    """The objects in the array `value`."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Json) -> str:
    """`value` where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: Json) -> int | None:
    """`value` where it is a number of tokens; what is absurd is unknown."""
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else None


def added(*counts: int | None) -> int | None:
    """The sum of the known counts; unknown where none is known."""
    known = [value for value in counts if value is not None]
    return sum(known) if known else None


def json_bytes(value: Json) -> bytes:
    """`value` as JSON. Raises Unreadable where it is nested deeper than orjson writes (254)."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        raise Unreadable("The provider's answer is nested too deep to be translated.") from exc


def parsed_or_none(body: bytes) -> Json:
    """What `body` says where it is JSON, else None."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def unreadable_error(body: bytes, status: int) -> bytes:
    """In OpenAI's shape: a provider's error that is none of its dialect, with the beginning of it."""
    quoted = body[:_QUOTED_BYTES].decode("utf-8", "replace").strip()
    detail = f" It began: {quoted}" if quoted else " Its body was empty."
    message = f"The provider answered {status} with a body that is no error of its dialect.{detail}"
    return error_body(Code.PROVIDER_STATUS, message)
