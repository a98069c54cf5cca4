"""Edits of a request body that leave every other byte as the client sent it. Owns no policy: the caller decides that.

How a place is proven. A regular expression finds where the key may stand. Renaming that one token and parsing again
tells whether it was the top-level key, and the only one: then, and only then, is the key gone from the parsed object.
A token inside a string, a nested object's key, a shadowed duplicate and an escaped spelling all fail this test.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused
from tailrace.wire.exact import is_exact

_MAX_TRIES: Final = 64
_MAX_PARSED_BYTES: Final = 2**23
"""What all tries of one edit may parse together, beyond the first two: a hostile body must not hold the event loop."""

_MAX_PROVEN_BYTES: Final = 2**25
"""What the proofs of several fields may parse together."""

MAX_REWRITTEN_BYTES: Final = 2**20
"""Proving that a body may be written anew takes up to 50 ms a MiB."""

_RENAMED: Final = b'"\\u0000tailrace"'
_MODEL: Final = re.compile(rb'("model")[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*+")', re.DOTALL)
_NULL_OPTIONS: Final = re.compile(rb'("stream_options")[ \t\r\n]*:[ \t\r\n]*(null)')
_OBJECT_OPTIONS: Final = re.compile(rb'("stream_options")[ \t\r\n]*:[ \t\r\n]*(\{)')
_ASK: Final = b'"include_usage":true'
_SPACE: Final = rb"[ \t\r\n]*+"
_COMMA: Final = re.compile(_SPACE + b"," + _SPACE)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]|[^\[\]{}",: \t\r\n]++', re.DOTALL)
_MAX_TOKENS: Final = 20_000


def replace_model(body: bytes, parsed: dict[str, Any], new: str) -> bytes:
    """`body` with the top-level `model` set to `new`; `parsed` is what orjson made of `body`.

    Raises:
        Refused: INVALID_REQUEST where no single top-level `model` can be proven (written twice, or escaped).
    """
    if parsed.get("model") == new:
        return body
    place = prove(body, "model", _MODEL)
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
        place = prove(body, "stream_options", _NULL_OPTIONS)
        edit = b"{" + _ASK + b"}"
    elif isinstance(options, dict) and "include_usage" not in options:
        place = prove(body, "stream_options", _OBJECT_OPTIONS)
        edit = b"{" + _ASK + (b"," if options else b"")
    else:
        return body
    if place is None:
        return body
    begin, end = place.span(2)
    return body[:begin] + edit + body[end:]


def remove_fields(body: bytes, parsed: dict[str, Any], names: frozenset[str]) -> bytes:
    """`body` without the top-level fields `names`: each goes with one comma and the space at it.

    `parsed` tells which of them are there. Where they cannot be proven to be out, the rest is written anew if that is
    exact.

    Raises:
        Refused: INVALID_REQUEST, naming the fields, where it is not (a field written twice beside digits that a double
            does not hold, for example), or the body is too long for that.
    """
    gone = [name for name in parsed if name in names]
    if not gone:
        return body
    whole = orjson.loads(body)
    kept = {name: value for name, value in whole.items() if name not in names}
    edited = _without(body, gone)
    if edited is not None and _says(edited, kept):
        return edited
    if len(body) <= MAX_REWRITTEN_BYTES and is_exact(body, whole):
        return orjson.dumps(kept)
    listed = ", ".join(f"`{name}`" for name in gone)
    raise Refused(Code.INVALID_REQUEST, f"The request body cannot be sent on without {listed}.", status=400)


def _without(body: bytes, names: list[str]) -> bytes | None:
    """`body` with each of `names` cut out at its likeliest place; None where one has none, or it would take long."""
    if len(names) > 1 and len(names) * len(body) > _MAX_PROVEN_BYTES:
        return None
    edited: bytes | None = body
    for name in names:
        if edited is not None:
            edited = _cut(edited, name)
    return edited


def _cut(body: bytes, name: str) -> bytes | None:
    """`body` without the member `name`, and without the comma that told it from the next, or else from the last."""
    place = prove(body, name, re.compile(b"(%b)%b:%b" % (re.escape(orjson.dumps(name)), _SPACE, _SPACE)))
    end = None if place is None else _value_end(body, place.end())
    if place is None or end is None:
        return None
    begin = place.start()
    after = _COMMA.match(body, end)
    if after is not None:
        return body[:begin] + body[after.end() :]
    before = body[:begin].rstrip(b" \t\r\n")
    return (before[:-1] if before.endswith(b",") else body[:begin]) + body[end:]


def _value_end(body: bytes, begin: int) -> int | None:
    """Where the value ends that begins at `begin`; None where that takes too long to find out."""
    depth = 0
    for token in islice(_TOKEN.finditer(body, begin), _MAX_TOKENS):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return None


def _says(body: bytes, value: dict[str, Any]) -> bool:
    """Whether `body` is JSON that says `value`."""
    try:
        return orjson.dumps(orjson.loads(body)) == orjson.dumps(value)
    except (orjson.JSONDecodeError, TypeError):  # TypeError: nested deeper than it writes
        return False


def prove(body: bytes, key: str, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
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
