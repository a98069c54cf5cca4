"""Rows that say the same: one hash for a row's content, and the first row that had it. Pure but for what it remembers.

As a relation (for an engine that has no order but `seq`): the first row of a hash is the one with the smallest `seq`.
"""

import hashlib
import struct
from array import array
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters.rows import Row

_HALVES: Final = struct.Struct(">QQ")
_FULL: Final = 0.7


def content_of(row: Row) -> bytes:
    """What a trainer learns from: messages, tools, training marks and judgement, as JSON with sorted keys.

    Raises:
        TypeError: the row cannot be written as JSON in UTF-8 (an integer beyond 64 bits, half a surrogate pair).
    """
    content: list[Json] = [row.messages, row.tools, row.train]
    if row.judgement is not None:
        content += [row.kind, row.judgement.wanted, row.judgement.rejected]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def row_hash(content: bytes) -> bytes:
    """The name of a row: SHA-256 of its content."""
    return hashlib.sha256(content).digest()


class Twins:
    """Remembers each row hash (its first 16 bytes) with the first head that had it: 24 bytes a slot, 2 slots a row.

    An open-addressed table in flat arrays: a dict of the same takes 120 bytes a row, and twice that while it grows.
    """

    def __init__(self) -> None:
        self._used = 0
        self._instead: dict[bytes, int] = {}  # the row written in place of a first one that went nowhere; 0: none yet
        self._make(1 << 10)

    def first(self, hash_: bytes, seq: int) -> int | None:
        """The `seq` (1 or more) of the first row with this hash, or None where this one is the first."""
        high, low = _HALVES.unpack_from(hash_)
        slot = self._slot(high, low)
        found = self._seqs[slot]
        if found:
            return None if found == seq else found
        self._put(slot, high, low, seq)
        self._used += 1
        if self._used > len(self._seqs) * _FULL:
            self._grow()
        return None

    def known(self, hash_: bytes) -> int | None:
        """The `seq` of the first row with this hash, where there was one."""
        high, low = _HALVES.unpack_from(hash_)
        return self._seqs[self._slot(high, low)] or None

    def vacate(self, hash_: bytes) -> None:
        """The row with this hash that was to be written went nowhere: the next one is no duplicate of anything."""
        self._instead[hash_] = 0

    def written(self, hash_: bytes, seq: int, twin: int) -> int:
        """The row with this hash that was written, `twin` being the first; where none was, `seq` is to be, and it."""
        instead = self._instead.get(hash_, twin)
        if not instead:
            instead = self._instead[hash_] = seq
        return instead

    def _make(self, slots: int) -> None:
        self._mask = slots - 1
        self._highs = array("Q", bytes(8 * slots))
        self._lows = array("Q", bytes(8 * slots))
        self._seqs = array("Q", bytes(8 * slots))

    def _slot(self, high: int, low: int) -> int:
        """Where the hash is, or the free slot where it belongs."""
        slot = low & self._mask
        while self._seqs[slot] and (self._lows[slot] != low or self._highs[slot] != high):
            slot = (slot + 1) & self._mask
        return slot

    def _put(self, slot: int, high: int, low: int, seq: int) -> None:
        self._highs[slot], self._lows[slot], self._seqs[slot] = high, low, seq

    def _grow(self) -> None:
        highs, lows, seqs = self._highs, self._lows, self._seqs
        self._make(2 * len(seqs))
        for high, low, seq in zip(highs, lows, seqs, strict=True):
            if seq:
                self._put(self._slot(high, low), high, low, seq)
