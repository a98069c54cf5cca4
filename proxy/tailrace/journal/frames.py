"""The journal's wire format: one frame, encoded and decoded. Pure; nothing here knows of files.

    frame   = magic "TR1\\n" · u32 payload length · u32 CRC32C(payload) · payload            (integers little-endian)
    payload = u8 kind · 16 bytes completion id · u64 stamp · u32 header length · header (JSON) · body

A segment file is frames back to back, then zeros up to its reserved size: a zero where a magic should be is the end so
far. CRC32C is the Castagnoli polynomial (RFC 3720, appendix B.4).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c

MAGIC: Final = b"TR1\n"
_HEAD: Final = struct.Struct("<4sII")
_PAYLOAD: Final = struct.Struct("<B16sQI")
HEAD_BYTES: Final = _HEAD.size
OVERHEAD_BYTES: Final = _HEAD.size + _PAYLOAD.size
MAX_PAYLOAD_BYTES: Final = 2**30


class Kind(IntEnum):
    """What a record is. Numbers are never reused; 6 to 8 are taken by what later writes labels, actions, feedback."""

    START = 1
    ATTEMPT = 2
    PART = 3
    END = 4
    GAP = 5
    SEAL = 9  # the segment's last frame: its owner goes on in the next segment, or has closed in order


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame. `size` is its length in the file, all overhead included."""

    kind: Kind
    id: bytes
    stamp: int
    header: bytes
    body: bytes
    size: int


class Torn(Exception):
    """What stands at this place is not a whole valid frame; `str` says why."""


def encode(kind: Kind, id_: bytes, stamp: int, header: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A frame as two buffers to write one after the other; the second is `body` itself, uncopied."""
    front = _PAYLOAD.pack(kind, id_, stamp, len(header)) + header
    crc = google_crc32c.extend(google_crc32c.value(front), body) if body else google_crc32c.value(front)
    return _HEAD.pack(MAGIC, len(front) + len(body), crc) + front, body


def decode(data: bytes, offset: int) -> Frame | None:
    """The frame at `offset`; None where the written part of the segment ends there (zeros, or no bytes left).

    Raises:
        Torn: the bytes there are no whole valid frame.
    """
    left = len(data) - offset
    if left <= 0 or data[offset] == 0:
        return None
    if left < HEAD_BYTES:
        raise Torn("head cut short")
    magic, length, crc = _HEAD.unpack_from(data, offset)
    if magic != MAGIC:
        raise Torn("no magic")
    if not _PAYLOAD.size <= length <= MAX_PAYLOAD_BYTES:
        raise Torn(f"payload length {length}")
    begin = offset + HEAD_BYTES
    payload = data[begin : begin + length]
    if len(payload) < length:
        raise Torn("payload cut short")
    if google_crc32c.value(payload) != crc:
        raise Torn("checksum does not match")
    number, id_, stamp, header_length = _PAYLOAD.unpack_from(payload)
    split = _PAYLOAD.size + header_length
    try:
        kind = Kind(number)
    except ValueError:
        raise Torn(f"unknown kind {number}") from None
    return Frame(kind, id_, stamp, payload[_PAYLOAD.size : split], payload[split:], HEAD_BYTES + length)
