"""Which words a text shares with an eval set: n-grams of normalised words, by hash. Pure but for what it remembers.

Normalised: NFKC, case folded, words only; a character of a script without spaces is a word of its own. The hash of an
n-gram is a polynomial over its bytes, whose values for all n-grams of a text come from one running sum:

    sum over j of T[byte j] · B^j  mod 2^64,  between the ends of the n-gram, divided by B^start

Of an n-gram 14 to 16 bytes are kept: 8 of hash, 4 for the item it is from, the rest of a bitmap in which most look-ups
end.
"""

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_U64 = NDArray[np.uint64]

_WIDE: Final = "\u2e80-\u9fff\ua000-\ua48f\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff"
_WORD: Final = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+")
_ASCII: Final = str.maketrans({code: " " for code in range(128) if not chr(code).isalnum()})

_BASE: Final = 0x9E3779B97F4A7C15  # odd: it has an inverse
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_BYTES: Final = np.frombuffer(
    b"".join(hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256)), "<u8"
)
_SLICE_WORDS: Final = 4096
_BUCKETS: Final = 64
_AT_ONCE: Final = 1 << 18
_BUCKET_SHIFT: Final = np.uint64(58)
COMMON: Final = 10
"""An n-gram of more items than this is a template's and tells none of them."""


def words(text: str) -> list[str]:
    """The normalised words of a text."""
    if text.isascii():
        return text.lower().translate(_ASCII).split()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall(folded)


class Hasher:
    """Hashes the n-grams of texts; keeps powers up to the longest text so far."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._powers = self._inverse = np.ones(1, np.uint64)

    def hashes(self, texts: Sequence[Sequence[str]]) -> _U64:
        """The hash of each run of n words of each text, in their order."""
        some = [word for text in texts for word in text]
        last = self.n - 1
        starts = range(0, max(1, len(some) - last), _SLICE_WORDS)
        found = np.concatenate([self._slice(some[start : start + _SLICE_WORDS + last]) for start in starts])
        if len(texts) < 2:
            return found
        inside = np.ones(len(found), np.bool_)  # a run may not go on into the next text
        for end in accumulate(map(len, texts)):
            inside[max(0, end - last) : end] = False
        return found[inside]

    def _slice(self, some: list[str]) -> _U64:
        if len(some) < self.n:
            return np.empty(0, np.uint64)
        text = np.frombuffer(" ".join(some).encode(errors="surrogatepass"), np.uint8)
        if len(text) >= len(self._powers):
            self._grow(len(text) + 1)
        spaces = np.flatnonzero(text == 32)
        starts = np.concatenate(((0,), spaces + 1))[: len(some) - self.n + 1]
        ends = np.concatenate((spaces, (len(text),)))[self.n - 1 :]
        sums = np.zeros(len(text) + 1, np.uint64)
        np.cumsum(_BYTES[text] * self._powers[: len(text)], out=sums[1:])
        found = (sums[ends] - sums[starts]) * self._inverse[starts]
        found ^= found >> np.uint64(32)
        found *= _MIX
        found ^= found >> np.uint64(29)
        return found

    def _grow(self, size: int) -> None:
        size = 1 << size.bit_length()
        self._powers = _powers_of(_BASE, size)
        self._inverse = _powers_of(pow(_BASE, -1, 1 << 64), size)


def _powers_of(base: int, size: int) -> _U64:
    factors = np.full(size, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


class Ngrams:
    """The n-grams of many items: `add` each item's, then `settle`, then `find`."""

    def __init__(self) -> None:
        self._open = [(array("Q"), array("I")) for _ in range(_BUCKETS)]
        self._waiting: list[tuple[_U64, int]] = []
        self._weight = 0
        self._hashes: _U64 = np.empty(0, np.uint64)
        self._items: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._bits: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self._shift = np.uint64(61)
        self.common = 0
        """N-grams that were left out, because more than ten items have them."""

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, hashes: _U64, item: int) -> None:
        """The n-grams of one item, by hash."""
        self._waiting.append((np.unique(hashes), item))
        self._weight += len(hashes)
        if self._weight >= _AT_ONCE:
            self._sort_in()

    def _sort_in(self) -> None:
        """Put what waits into its buckets; in the order in which it came."""
        if not self._waiting:
            return
        hashes = np.concatenate([some for some, _ in self._waiting])
        items = np.repeat(np.array([item for _, item in self._waiting], np.uint32), [len(s) for s, _ in self._waiting])
        self._waiting.clear()
        self._weight = 0
        order = np.argsort(hashes >> _BUCKET_SHIFT, kind="stable")
        hashes, items = hashes[order], items[order]
        edges = np.searchsorted(hashes >> _BUCKET_SHIFT, np.arange(_BUCKETS + 1, dtype=np.uint64))
        for bucket, (start, stop) in enumerate(pairwise(edges.tolist())):
            self._open[bucket][0].frombytes(hashes[start:stop].tobytes())
            self._open[bucket][1].frombytes(items[start:stop].tobytes())

    def settle(self) -> None:
        """All items are there. Sorts bucket by bucket, so that no second copy of it all is made."""
        self._sort_in()
        total = sum(len(hashes) for hashes, _ in self._open)
        hashes, items = np.empty(total, np.uint64), np.empty(total, np.uint32)
        at = 0
        for bucket in range(_BUCKETS):
            some, of = (np.array(column) for column in self._open[bucket])
            self._open[bucket] = (array("Q"), array("I"))
            order = np.argsort(some, kind="stable")  # the first item stays first: what a hit is told to be of
            some, of = some[order], of[order]
            first = np.concatenate((np.ones(min(1, len(some)), np.bool_), some[1:] != some[:-1]))
            places = np.flatnonzero(first)
            counts = np.diff(np.append(places, len(some)))
            kept = places[counts <= COMMON]
            self.common += len(places) - len(kept)
            hashes[at : at + len(kept)], items[at : at + len(kept)] = some[kept], of[kept]
            at += len(kept)
        hashes.resize(at, refcheck=False)
        items.resize(at, refcheck=False)
        self._hashes, self._items = hashes, items
        self._mark()

    def _mark(self) -> None:
        bits = max(3, (16 * len(self._hashes)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._bits = np.zeros(1 << (bits - 3), np.uint8)
        for start in range(0, len(self._hashes), 1 << 20):
            places = self._hashes[start : start + (1 << 20)] >> self._shift
            np.bitwise_or.at(self._bits, places >> np.uint64(3), _bit(places))

    def find(self, hashes: _U64) -> int | None:
        """The item that has one of these n-grams, by the first of them that any has."""
        if not len(self._hashes):
            return None
        places = hashes >> self._shift
        likely = hashes[(self._bits[places >> np.uint64(3)] & _bit(places)) != 0]
        at = np.minimum(np.searchsorted(self._hashes, likely), len(self._hashes) - 1)
        hits = at[self._hashes[at] == likely]
        return int(self._items[hits[0]]) if len(hits) else None


def _bit(places: _U64) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
