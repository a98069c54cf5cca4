"""Rows that say the same: one hash for a row's content, and the first row that had it. Pure but for what it remembers.

As a relation (for an engine that has no order but `seq`): the first row of a hash is the one with the smallest `seq`.
"""

import hashlib
from typing import Final

import orjson

from tailrace_exporters.rows import Row

_KEY_BYTES: Final = 16


def content_of(row: Row) -> bytes:
    """What a trainer learns from: messages, tools and training marks, as JSON with sorted keys.

    Raises:
        TypeError: the row cannot be written as JSON in UTF-8 (an integer beyond 64 bits, half a surrogate pair).
    """
    return orjson.dumps([row.messages, row.tools, row.train], option=orjson.OPT_SORT_KEYS)


def row_hash(content: bytes) -> bytes:
    """The name of a row: SHA-256 of its content."""
    return hashlib.sha256(content).digest()


class Twins:
    """Remembers each row hash (its first 16 bytes) with the first head that had it. About 100 bytes a row."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._vacant: set[int] = set()

    def first(self, hash_: bytes, seq: int) -> int | None:
        """The `seq` of the first row with this hash, or None where this one, `seq`, is the first."""
        found = self._first.setdefault(int.from_bytes(hash_[:_KEY_BYTES], "big"), seq)
        return None if found == seq else found

    def vacate(self, hash_: bytes) -> None:
        """The first row with this hash went nowhere: the next one is no duplicate of anything written."""
        self._vacant.add(int.from_bytes(hash_[:_KEY_BYTES], "big"))

    def fill(self, hash_: bytes) -> bool:
        """Whether a row with this hash, not the first, has nothing written before it; it has, from now on."""
        key = int.from_bytes(hash_[:_KEY_BYTES], "big")
        if key not in self._vacant:
            return False
        self._vacant.discard(key)
        return True
