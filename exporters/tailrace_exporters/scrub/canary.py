"""Searches what was written for every value that was found: none may be left in any file.

Kept of a value are two numbers, 16 bytes: a keyed hash of its first 6 bytes with its length, and one of the whole of it
(of its first 64 bytes, where it is longer). The key lives as long as the process. Every run of 6 bytes of a file is
looked up in a bitmap first (94 in 100 end there, at a million values), then among the hashes; only where one agrees is
the whole hashed.
"""

import hashlib
import re
import secrets
from array import array
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tailrace_exporters.files import Lines
from tailrace_exporters.scrub.kinds import Value

WINDOW: Final = 6
LONGEST: Final = 64
_BITS: Final = 24
_CHUNK: Final = 1 << 20
_MOST_LOOSE: Final = 1 << 16
_KINDS: Final = tuple(Value)
_KIND_MASK: Final = 31
_WORD: Final = 2**64 - 1
_ESCAPED: Final = re.compile(rb"\\+(?:u([0-9a-fA-F]{4})|(/))")

_Words = NDArray[np.uint64]


class Canary:
    """The values found so far."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._multiplier = secrets.randbits(64) | 1
        self._starts = array("Q")
        self._wholes = array("Q")
        self._settled = 0

    def add(self, value: bytes, kind: Value) -> None:
        """A value that must be nowhere. Shorter than 6 bytes (a password) it would be everywhere, and is not kept."""
        line = max(value.split(), key=len, default=b"") if kind is Value.PRIVATE_KEY else value
        line = line[:LONGEST]
        if len(line) < WINDOW:
            return
        word = int.from_bytes(line[:WINDOW], "little") * self._multiplier & _WORD  # `_mixed`, of one word
        word = (word ^ word >> 29) * self._multiplier & _WORD
        self._starts.append(word >> 8 << 8 | len(line))
        self._wholes.append(self._whole(line) | _KINDS.index(kind))
        if len(self._starts) > 2 * self._settled + _MOST_LOOSE:
            self._settle()

    def __len__(self) -> int:
        self._settle()
        return len(self._starts)

    def search(self, file: Lines) -> Iterator[tuple[int, Value]]:
        """The lines, from 1, that hold a value, with its kind; in any order. JSON escapes are read, too."""
        self._settle()
        if not self._starts:
            return
        search = _Search(np.array(self._starts, np.uint64), np.array(self._wholes, np.uint64))
        line = 1
        while lines := file.readlines(_CHUNK):
            data = b"".join(lines)
            for at, kind in self._in(data, search):
                yield line + data.count(b"\n", 0, at), kind
            if b"\\u" in data or b"\\/" in data:
                for n, each in enumerate(lines):
                    plain = _ESCAPED.sub(_char, each)
                    if plain != each:
                        yield from ((line + n, kind) for _, kind in self._in(plain, search))
            line += len(lines)

    def _in(self, data: bytes, search: "_Search") -> Iterator[tuple[int, Value]]:
        for at, start in self._windows(data, search):
            for size in search.sizes(start):
                window = data[at : at + size]
                kind = search.kind(self._whole(window)) if len(window) == size else None
                if kind is not None:
                    yield at, kind

    def _windows(self, data: bytes, search: "_Search") -> Iterator[tuple[int, int]]:
        """Where a run of bytes begins like a value, with the hash of its beginning; in the order of the file."""
        padded = data + bytes(8)
        found: list[tuple[int, int]] = []
        for offset in range(8):
            count = (len(padded) - offset) // 8
            words = np.frombuffer(padded, "<u8", count, offset) & np.uint64((1 << 8 * WINDOW) - 1)
            hashes = self._mixed(words)
            likely = np.flatnonzero(search.bitmap[hashes >> np.uint64(64 - _BITS)])
            near = likely[search.begins(hashes[likely])].tolist()
            found += [(8 * n + offset, int(hashes[n]) >> 8 << 8) for n in near]
        return iter(sorted(found))

    def _mixed(self, words: _Words) -> _Words:
        """A keyed hash of each word: multiply, fold, multiply."""
        factor = np.uint64(self._multiplier)
        words = words * factor
        words ^= words >> np.uint64(29)
        words *= factor
        return words

    def _whole(self, line: bytes) -> int:
        digest = hashlib.blake2b(line, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") & ~_KIND_MASK

    def _settle(self) -> None:
        """Each value once, in the order of their hashes."""
        if self._settled == len(self._starts):
            return
        pairs = np.stack((np.array(self._starts, np.uint64), np.array(self._wholes, np.uint64)), axis=1)
        pairs = np.unique(pairs, axis=0)
        self._starts = array("Q", pairs[:, 0].tobytes())
        self._wholes = array("Q", pairs[:, 1].tobytes())
        self._settled = len(self._starts)


class _Search:
    """What a search looks up."""

    def __init__(self, starts: _Words, wholes: _Words) -> None:
        self._sizes = np.unique(starts)
        self._begins = np.unique(starts >> np.uint64(8))
        self._wholes = np.sort(wholes)
        self.bitmap = np.zeros(1 << _BITS, np.bool_)
        self.bitmap[self._begins >> np.uint64(56 - _BITS)] = True

    def begins(self, hashes: _Words) -> NDArray[np.bool_]:
        """Which of the hashes are those of a value's beginning."""
        wanted = hashes >> np.uint64(8)
        at = np.searchsorted(self._begins, wanted)
        there: NDArray[np.bool_] = self._begins[np.minimum(at, len(self._begins) - 1)] == wanted
        return there

    def sizes(self, start: int) -> list[int]:
        """How long the values are that begin so."""
        low, high = np.searchsorted(self._sizes, np.array((start, start + 256), np.uint64))
        return [int(each) & 255 for each in self._sizes[low:high]]

    def kind(self, whole: int) -> Value | None:
        """The kind of the value that has this hash."""
        at = int(np.searchsorted(self._wholes, np.uint64(whole)))
        if at < len(self._wholes) and int(self._wholes[at]) & ~_KIND_MASK == whole:
            return _KINDS[int(self._wholes[at]) & _KIND_MASK]
        return None


def _char(found: re.Match[bytes]) -> bytes:
    return found[2] or chr(int(found[1], 16)).encode(errors="surrogatepass")
