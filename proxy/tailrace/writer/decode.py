"""An answer's bytes without their content coding. Pure and bounded: a bomb is refused, not unpacked."""

import zlib
from typing import Final

import zstandard

MAX_DECODED_BYTES: Final = 256 * 2**20
_MAX_CODINGS: Final = 2
_MAX_WINDOW_BYTES: Final = 8 * 2**20  # RFC 9659: what a zstd content coding may ask for
_PIECE_BYTES: Final = 2**16
_MAX_MEMBERS: Final = 100
"""Each copies what is left after it: millions of empty ones would take hours."""
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class CodingError(Exception):
    """The bytes cannot be decoded here; `str` says why."""


def decode(body: bytes, content_encoding: str | None, *, max_bytes: int = MAX_DECODED_BYTES) -> bytes:
    """`body` decoded as the header `content-encoding` says; what a cut body still yields where it is not whole.

    Raises:
        CodingError: the coding is unknown, the bytes are damaged, or they decode to more than `max_bytes`.
    """
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if len(codings) > _MAX_CODINGS:
        raise CodingError(f"{len(codings)} codings on one another")
    for coding in reversed(codings):
        body = _decode_one(body, coding, max_bytes)
    return body


def _decode_one(body: bytes, coding: str, max_bytes: int) -> bytes:
    try:
        if coding in ("gzip", "x-gzip"):
            return _inflate(body, _GZIP_WINDOW, max_bytes)
        if coding == "deflate":  # zlib's wrapping as RFC 9110 asks, or bare as some servers send
            return _inflate(body, zlib.MAX_WBITS if body[:1] == b"\x78" else -zlib.MAX_WBITS, max_bytes)
        if coding == "zstd":
            return _unframe(body, max_bytes)
    except (zlib.error, zstandard.ZstdError) as exc:
        raise CodingError(f"{coding}: {exc}") from exc
    raise CodingError(f"unknown coding {coding[:40]!r}")


def _inflate(body: bytes, window: int, max_bytes: int) -> bytes:
    """All members of `body`: RFC 1952 allows several, and what follows the first is as much of the answer."""
    pieces: list[bytes] = []
    left = max_bytes
    while body:
        if len(pieces) == _MAX_MEMBERS:
            raise CodingError(f"more than {_MAX_MEMBERS} members")
        inflater = zlib.decompressobj(window)
        pieces.append(inflater.decompress(body, left + 1))  # 0 would be no limit
        left -= len(pieces[-1])
        if left < 0:
            raise CodingError(f"more than {max_bytes} bytes")
        body = inflater.unused_data
    return b"".join(pieces)


def _unframe(body: bytes, max_bytes: int) -> bytes:
    unframer = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    pieces: list[bytes] = []
    left = max_bytes
    with unframer.stream_reader(body, read_across_frames=True) as reader:
        while piece := reader.read(_PIECE_BYTES):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise CodingError(f"more than {max_bytes} bytes")
    return b"".join(pieces)
