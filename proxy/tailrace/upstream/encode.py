"""Request heads as bytes. Pure. Nothing here may let a caller's value begin a new header, or a new request.

A name must be a token (RFC 9110, section 5.6.2); a value may hold any byte but CR, LF and NUL (section 5.5). Values
that break this are refused, never repaired. Errors are httpx's `LocalProtocolError`, as of any other transport.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from functools import lru_cache
from typing import Final

import httpx

Header = tuple[bytes, bytes]

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"/[\x21-\x7e]*")
_FRAMING: Final = frozenset(
    b"connection content-length expect host keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)
"""Headers that say how the message is framed or routed; where we frame it, nobody else may set them."""


def request_line(method: str, target: bytes) -> bytes:
    """`POST /v1/chat/completions HTTP/1.1` with its line end. `target` is a path with its query, percent-encoded."""
    try:
        verb = method.encode("ascii")
    except UnicodeEncodeError as exc:
        raise httpx.LocalProtocolError("the request's method is not ASCII") from exc
    if not _TOKEN.fullmatch(verb) or verb == b"CONNECT":
        raise httpx.LocalProtocolError("the request's method cannot be sent")
    if not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("the request's path or query has characters that cannot be sent")
    return verb + b" " + target + b" HTTP/1.1\r\n"


def own_framing(headers: Iterable[Header]) -> bytes:
    """Header lines of a message that we frame: whatever speaks of framing is refused."""
    return _checked([piece for name, value in headers for piece in (_unframed_prefix(name), value, b"\r\n")])


def given_framing(headers: Iterable[Header]) -> bytes:
    """Header lines of a message that arrived with its framing, as an httpx request does."""
    return _checked([piece for name, value in headers for piece in (_prefix(name), value, b"\r\n")])


def _checked(pieces: Sequence[bytes]) -> bytes:
    lines = b"".join(pieces)
    count = len(pieces) // 3
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines:
        raise httpx.LocalProtocolError("a request header's value has a line end or NUL in it")
    return lines


@lru_cache(maxsize=1024)
def _prefix(name: bytes) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise httpx.LocalProtocolError("a request header's name is not a token")
    return name + b": "


@lru_cache(maxsize=1024)
def _unframed_prefix(name: bytes) -> bytes:
    if name.lower() in _FRAMING:
        raise httpx.LocalProtocolError(f"the request header {name.decode('ascii')} is set by the connection only")
    return _prefix(name)


def declared_length(headers: Iterable[Header]) -> int | None:
    """The length of the body that `headers` announce; None for a chunked one, 0 where they announce none."""
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or lengths:
            raise httpx.LocalProtocolError("the request's transfer-encoding and content-length cannot be sent together")
        return None
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise httpx.LocalProtocolError("the request's content-length is not one number")
    return int(lengths[0]) if lengths else 0


async def framed(body: AsyncIterable[bytes], length: int | None) -> AsyncIterator[bytes]:
    """The pieces of a request body as they go over the wire: chunked where `length` is None, else held to it."""
    sent = 0
    async for piece in body:
        if not piece:
            continue  # an empty chunk would end the message
        sent += len(piece)
        if length is None:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        elif sent > length:
            raise httpx.LocalProtocolError("the request's body is longer than its content-length")
        else:
            yield piece
    if length is None:
        yield b"0\r\n\r\n"
    elif sent < length:
        raise httpx.LocalProtocolError("the request's body is shorter than its content-length")
