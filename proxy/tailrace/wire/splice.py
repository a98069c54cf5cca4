"""Edits of a request body that leave every other byte as the client sent it. Owns no policy: the caller decides that.

How a place is proven. A regular expression finds where the key may stand. Renaming that one token and parsing again
tells whether it was the top-level key, and the only one: then, and only then, is the key gone from the parsed object.
A token inside a string, a nested object's key, a shadowed duplicate and an escaped spelling all fail this test.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused

_MAX_TRIES: Final = 64
_MAX_PARSED_BYTES: Final = 2**23
"""What all tries of one edit may parse together, beyond the first two: a hostile body must not hold the event loop."""

_RENAMED: Final = b'"\\u0000tailrace"'
_MODEL: Final = re.compile(rb'("model")[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*+")', re.DOTALL)
_NULL_OPTIONS: Final = re.compile(rb'("stream_options")[ \t\r\n]*:[ \t\r\n]*(null)')
_OBJECT_OPTIONS: Final = re.compile(rb'("stream_options")[ \t\r\n]*:[ \t\r\n]*(\{)')
_ASK: Final = b'"include_usage":true'


def replace_model(body: bytes, parsed: dict[str, Any], new: str) -> bytes:
    """`body` with the top-level `model` set to `new`; `parsed` is what orjson made of `body`.

    Raises:
        Refused: INVALID_REQUEST where no single top-level `model` can be proven (written twice, or escaped).
    """
    if parsed.get("model") == new:
        return body
    place = _prove(body, "model", _MODEL)
    if place is None:
        raise Refused(Code.INVALID_REQUEST, "The request body has no single top-level `model`.", status=400)
    begin, end = place.span(2)
    return body[:begin] + orjson.dumps(new) + body[end:]


def ask_for_usage(body: bytes, parsed: dict[str, Any]) -> bytes:
    """`body` with `stream_options.include_usage` set to true, where the client left that open.

    Returns `body` itself where the client decided it, or where the place cannot be proven: nothing was asked then.
    """
    if "stream_options" not in parsed:
        brace = body.index(b"{") + 1
        return body[:brace] + b'"stream_options":{' + _ASK + (b"}," if parsed else b"}") + body[brace:]
    options = parsed["stream_options"]
    if options is None:
        place = _prove(body, "stream_options", _NULL_OPTIONS)
        edit = b"{" + _ASK + b"}"
    elif isinstance(options, dict) and "include_usage" not in options:
        place = _prove(body, "stream_options", _OBJECT_OPTIONS)
        edit = b"{" + _ASK + (b"," if options else b"")
    else:
        return body
    if place is None:
        return body
    begin, end = place.span(2)
    return body[:begin] + edit + body[end:]


def remove_fields(body: bytes, parsed: dict[str, Any], names: frozenset[str]) -> bytes:
    """`body` without the top-level fields `names`."""
    return orjson.dumps({name: value for name, value in parsed.items() if name not in names}) if names else body


def _prove(body: bytes, key: str, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """The match of `pattern` whose group 1 is the single top-level `key`; None where none is, within the bounds."""
    tries = max(2, min(_MAX_TRIES, _MAX_PARSED_BYTES // len(body)))
    for tried, place in enumerate(_likeliest_first(pattern, body)):
        if tried == tries:
            return None
        begin, end = place.span(1)
        try:
            without = orjson.loads(body[:begin] + _RENAMED + body[end:])
        except orjson.JSONDecodeError:  # the token was the end of a longer string
            continue
        if key not in without:
            return place
    return None


def _likeliest_first(pattern: re.Pattern[bytes], body: bytes) -> Iterator[re.Match[bytes]]:
    """The first match, the last, then the others: clients write top-level keys before or after the messages."""
    places = list(pattern.finditer(body))
    yield from places[:1]
    yield from places[:0:-1]
