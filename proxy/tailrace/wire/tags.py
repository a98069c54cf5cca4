"""The tags of a call, by all conventions in use: names with values, both text.

    x-tailrace-tags           `a=1,b=2,c`, or a JSON object, or a JSON array of names
    helicone-property-NAME    VALUE; helicone-session-path and -name are the tags `session_path` and `session_name`
    x-portkey-metadata        a JSON object, without `_user`; x-portkey-span-id is the tag `span_id`
    x-litellm-tags            `a,b`
    cf-aig-metadata           a JSON object
    tensorzero::tags          an object in the body
    litellm_metadata          an object in the body
    metadata                  an object in the body, without the ids of session and user

All count; where two name the same tag, the one further up does. A tag without a value has the value `true`. Numbers and
booleans are text as JSON writes them; objects, arrays and nulls are no tags. At most MAX_TAGS are kept, a value is cut,
a name that is too long is no tag.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import orjson

from tailrace.records import Json

MAX_TAGS: Final = 64
MAX_NAME_CHARS: Final = 128
MAX_VALUE_CHARS: Final = 512
PROPERTY: Final = b"helicone-property-"
TAG_FIELDS: Final = ("tensorzero::tags", "litellm_metadata", "metadata")

_OURS: Final = b"x-tailrace-tags"
_PORTKEY: Final = b"x-portkey-metadata"
_LITELLM: Final = b"x-litellm-tags"
_CLOUDFLARE: Final = b"cf-aig-metadata"
_SINGLE: Final = {
    b"helicone-session-path": "session_path",
    b"helicone-session-name": "session_name",
    b"x-portkey-span-id": "span_id",
}
TAG_HEADERS: Final = (_OURS, _PORTKEY, _LITELLM, _CLOUDFLARE, *_SINGLE)

_NOT_TAGS: Final = frozenset(("_user", "session_id", "user_id", "langfuse_session_id", "langfuse_user_id"))
_MAX_JSON_BYTES: Final = 16384
_MAX_LOOKED_AT: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ON: Final = "true"

Pair = tuple[str, Json]


def read_tags(headers: Mapping[bytes, bytes], parsed: Mapping[str, Json]) -> dict[str, str] | None:
    """The tags in `headers` and in the body `parsed`; None where there are none. Never fails."""
    tags: dict[str, str] = {}
    for name, value in islice(_pairs(headers, parsed), _MAX_LOOKED_AT):
        text = _text(value)
        named = spoken(name)
        if text is not None and 0 < len(named) <= MAX_NAME_CHARS and named not in tags:
            tags[named] = text
            if len(tags) == MAX_TAGS:
                break
    return tags or None


def header_text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, else Latin-1, which any bytes are."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def spoken(text: str) -> str:
    """`text` without control characters, and without the space around it."""
    return (text if text.isprintable() else _CONTROL.sub("", text)).strip()


def json_object(value: bytes | None) -> dict[str, Any]:
    """The JSON object in a header; empty where there is none, or it is too long."""
    parsed = _json(value)
    return parsed if isinstance(parsed, dict) else {}


def _json(value: bytes | None) -> Json:
    if not value or len(value) > _MAX_JSON_BYTES:
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _pairs(headers: Mapping[bytes, bytes], parsed: Mapping[str, Json]) -> Iterator[Pair]:
    if headers:
        yield from _ours(headers.get(_OURS))
        for header, value in headers.items():
            if header.startswith(PROPERTY):
                yield header_text(header[len(PROPERTY) :]), header_text(value)
        for header, name in _SINGLE.items():
            if header in headers:
                yield name, header_text(headers[header])
        yield from _members(json_object(headers.get(_PORTKEY)))
        yield from _listed(header_text(headers.get(_LITELLM, b"")).split(","))
        yield from json_object(headers.get(_CLOUDFLARE)).items()
    for field in TAG_FIELDS:
        yield from _members(parsed.get(field))


def _ours(value: bytes | None) -> Iterable[Pair]:
    text = header_text(value).strip() if value else ""
    if not text.startswith(("{", "[")):
        return _assigned(text)
    parsed = _json(text.encode())
    if isinstance(parsed, dict):
        return parsed.items()
    return _listed(name for name in parsed if isinstance(name, str)) if isinstance(parsed, list) else ()


def _assigned(text: str) -> Iterator[Pair]:
    for entry in text.split(","):
        name, equals, value = entry.partition("=")
        yield name, value if equals else _ON


def _listed(names: Iterable[str]) -> Iterator[Pair]:
    for name in names:
        yield name, _ON


def _members(fields: Json) -> Iterator[Pair]:
    if isinstance(fields, dict):
        for name, value in fields.items():
            if name not in _NOT_TAGS:
                yield name, value


def _text(value: Json) -> str | None:
    """A tag's value as text; None where it is none."""
    if isinstance(value, str):
        return spoken(value)[:MAX_VALUE_CHARS]
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    return None
