"""The journal's wire format: one frame, encoded and decoded. Pure; nothing here knows of files.

    frame   = magic "TR1\\n" · u32 payload length · u32 checksum · payload                  (integers little-endian)
    payload = u8 kind · 16 bytes completion id · u64 stamp · u32 home · u32 header length · header (JSON) · body

A segment file is frames back to back, then zeros up to its reserved size: a zero where a magic should be is the end so
far. The checksum is CRC32C (Castagnoli; RFC 3720, appendix B.4) of the segment's name and the payload: with the name
in it, neither a frame that a client hid in a body nor the leftover of another file is taken for one of this file's.
`home` is the number of the segment that holds the completion's START: where that file is gone, the completion was
filed.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c

MAGIC: Final = b"TR1\n"
_HEAD: Final = struct.Struct("<4sII")
_PAYLOAD: Final = struct.Struct("<B16sQII")
_WHOLE: Final = struct.Struct("<4sIIB16sQII")
HEAD_BYTES: Final = _HEAD.size
OVERHEAD_BYTES: Final = _WHOLE.size
MAX_PAYLOAD_BYTES: Final = 2**30
NOBODY: Final = bytes(16)
"""In the stead of a completion's id, where a record belongs to none that is running."""


class Kind(IntEnum):
    """What a record is. Numbers are never reused."""

    START = 1
    ATTEMPT = 2
    PART = 3
    END = 4
    GAP = 5
    LABEL = 6
    ACTION = 7
    FEEDBACK = 8
    SEAL = 9  # the segment's last frame: its owner goes on in the next segment, or has closed in order
    AMEND = 10  # another End for a completion: its answer was cut after END was written, or END could not be
    DEFINITION = 11  # of a classifier's version
    STUDENT = 12  # a student of a classifier changed its state
    CHANGE = 13  # an administrator did something


_KINDS: Final = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame. `size` is its length in the file, all overhead included."""

    kind: Kind
    id: bytes
    stamp: int
    home: int
    header: bytes
    body: bytes
    size: int


class Torn(Exception):
    """What stands at this place is not a whole valid frame; `str` says why."""


class Cut(Torn):
    """The bytes at hand end before the frame does; `size` is what its head claims."""

    def __init__(self, size: int) -> None:
        super().__init__(f"ends before its {size} bytes")
        self.size = size


class Strange(Torn):
    """A whole frame of a kind that is not known here, from a newer version; `size` is its length."""

    def __init__(self, number: int, size: int) -> None:
        super().__init__(f"unknown kind {number}")
        self.size = size


def salt(name: str) -> int:
    """What the checksum of every frame in the segment `name` starts from."""
    return int(google_crc32c.value(name.encode()))


def size_of(header: bytes, body: bytes) -> int:
    """Length in the file of a frame with this header and body."""
    return OVERHEAD_BYTES + len(header) + len(body)


def encode(
    kind: Kind, id_: bytes, stamp: int, header: bytes, body: bytes, *, home: int, seed: int
) -> tuple[bytes, bytes]:
    """A frame as two buffers to write one after the other; the second is `body` itself, uncopied.

    `seed` is the `salt` of the segment it is for.
    """
    front = _PAYLOAD.pack(kind, id_, stamp, home, len(header)) + header
    crc = google_crc32c.extend(seed, front)
    if body:
        crc = google_crc32c.extend(crc, body)
    return _HEAD.pack(MAGIC, len(front) + len(body), crc) + front, body


def decode(data: bytes, offset: int, seed: int) -> Frame | None:
    """The frame at `offset`; None where the written part of the segment ends there (a zero, or no bytes left).

    Raises:
        Cut: `data` ends before the frame; with more bytes it may be valid.
        Strange: a whole frame, of a kind that is not known here.
        Torn: the bytes there are no valid frame, whatever follows.
    """
    left = len(data) - offset
    if left <= 0 or data[offset] == 0:
        return None
    if left < OVERHEAD_BYTES:
        raise Cut(OVERHEAD_BYTES)
    magic, length, crc, number, id_, stamp, home, header_length = _WHOLE.unpack_from(data, offset)
    kind = _KINDS.get(number)
    begin = offset + OVERHEAD_BYTES
    split = begin + header_length
    end = offset + HEAD_BYTES + length
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES or split > end:
        raise Torn("no frame begins here")
    if end > len(data):
        raise Cut(end - offset)
    if google_crc32c.extend(seed, data[offset + HEAD_BYTES : end]) != crc:
        raise Torn("checksum does not match")
    if kind is None:
        raise Strange(number, end - offset)
    return Frame(kind, id_, stamp, home, data[begin:split], data[split:end], end - offset)
