"""The one form in which equal JSON has equal bytes, and the hash by which content is found. Knows no messages."""

from hashlib import blake2b
from typing import Final

import orjson

from tailrace.records import Json

HASH_BYTES: Final = 16


def canonical(value: Json) -> bytes:
    """`value`, as orjson.loads gave it, without spaces and with sorted keys.

    Numbers keep their kind: 1 and 1.0 differ, as they do on the wire.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # orjson reads 1,024 levels and writes 254
        return _canonical_deep(value)


def content_hash(body: bytes, project: str) -> bytes:
    """The 16 bytes by which `body` is found within `project`: keyed BLAKE2b, so nothing is shared between projects."""
    key = project.encode()
    if len(key) > blake2b.MAX_KEY_SIZE:
        key = blake2b(key).digest()
    return blake2b(body, digest_size=HASH_BYTES, key=key).digest()


def _canonical_deep(value: Json) -> bytes:
    """The same bytes without recursion. On the stack, bytes are output as they are: no JSON value is bytes."""
    out: list[bytes] = []
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, bytes):
            out.append(item)
        elif isinstance(item, dict):
            stack.append(b"}")
            for place, (key, member) in reversed(list(enumerate(sorted(item.items(), key=_first)))):
                stack += (member, (b"," if place else b"") + orjson.dumps(key) + b":")
            stack.append(b"{")
        elif isinstance(item, list):
            stack.append(b"]")
            for place, member in reversed(list(enumerate(item))):
                stack += (member, b"," if place else b"")
            stack.append(b"[")
        else:
            out.append(orjson.dumps(item))
    return b"".join(out)


def _first(pair: tuple[str, Json]) -> str:
    return pair[0]
