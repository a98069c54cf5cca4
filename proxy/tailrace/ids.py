"""Completion ids: UUID version 7 (RFC 9562, section 5.7): ids sort by time, so an index on them is one on time."""

from typing import Final
from uuid import UUID

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_RAND_A: Final = 0xFFF << 64
_RAND_B: Final = (1 << 62) - 1


def uuid7(unix_ms: int, entropy: bytes) -> UUID:
    """An id for the time `unix_ms` (milliseconds since 1970) from 10 bytes of `entropy`."""
    noise = int.from_bytes(entropy, "big")
    return UUID(int=(unix_ms << 80) | _VERSION | (noise & _RAND_A) | _VARIANT | (noise & _RAND_B))


def floor(unix_ms: int) -> UUID:
    """The smallest id of the millisecond `unix_ms`: `id >= floor(t)` is `started at t or later`."""
    return UUID(int=(unix_ms << 80) | _VERSION | _VARIANT)


def unix_ms(value: UUID) -> int:
    """The time inside an id, in milliseconds since 1970."""
    return value.int >> 80
