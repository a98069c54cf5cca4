"""Rows that say nearly the same, by MinHash. Pure but for what it remembers: about 350 bytes a row that stays.

What is compared are sets of three words in a row, over all turns but the system's, tool calls and results included;
case, punctuation and space do not count (`ngrams.words`). Two rows are near where both hold:

    the turns have a Jaccard of at least `jaccard`      and so have the learned answers by themselves

The second keeps apart what has little but a long text in common: two questions about one document, two steps of one
conversation, a system prompt that some put into the first turn. Both are estimated, from 128 and 64 smallest hashes of
which 8 bits are kept (b-bit minwise hashing: Li and König, WWW 2010): at 0.85 within .03 and .045 (one sigma).

Candidates come from a table of bands (LSH: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4): rows that
agree in 8 (below 0.8 in 4) of the hashes next to each other; of two rows that are 0.85 alike 99 % do. A band lists at
most four rows that agree in it, the first ones, so that the cost of a row does not grow with the rows before it, even
where all of them begin alike.

A row that is near a kept one is near nothing else by way of it: there are no components, in which two rows that have
nothing in common hang together by a third, and go.
"""

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from operator import eq
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tailrace.chains.canonical import canonical
from tailrace.records import Json
from tailrace_exporters.evals import turn
from tailrace_exporters.ngrams import Hasher, words
from tailrace_exporters.recipe_tables import Keep
from tailrace_exporters.recipe_tables import Near as Rule
from tailrace_exporters.rows import Row

NEAR: Final = "near_duplicate"

_SHINGLE: Final = 3
_TURNS, _LEARNED = 128, 64  # hashes of each
_BITS: Final = 256  # values of a hash that are told apart
_AT_ONCE: Final = 256
_MOST_ALIKE: Final = 4
_FULL: Final = 0.7
_GOLD: Final = 0x9E3779B97F4A7C15

_DRAWN: Final = np.random.Generator(np.random.PCG64(20_261_126)).integers(  # the stream of PCG64 is part of its promise
    0, 1 << 32, (2, _TURNS), np.uint64
)
_FACTORS: Final = (_DRAWN[0] | np.uint64(1)).astype(np.uint32)  # odd: a permutation of 32 bits
_OFFSETS: Final = _DRAWN[1].astype(np.uint32)


class Near:
    """The rows that stay, and which of them a new one is near."""

    def __init__(self, rule: Rule) -> None:
        self.keeps_first = rule.keep is Keep.FIRST
        self._hasher = Hasher(_SHINGLE)
        wide = rule.jaccard >= 0.8
        self._table = _Bands(_TURNS // 8 if wide else _TURNS // 4, "Q" if wide else "I")
        self._least = _least(_TURNS, rule.jaccard), _least(_LEARNED, rule.jaccard)
        self._seqs = array("Q")
        self._last: tuple[int, bytes] = 0, b""

    def kept(self, row: Row) -> list[int]:
        """The heads (`seq`) of the rows that stay and that `row` is near, in the order in which they came."""
        signature = self._signature(row)
        self._last = row.head.seq, signature
        found = [number for number in self._table.alike(signature) if self._near(number, signature)]
        return [self._seqs[number] for number in sorted(found)]

    def keep(self, row: Row) -> None:
        """`row`, the one that `kept` was asked of just now, stays."""
        seq, signature = self._last
        assert seq == row.head.seq
        self._table.add(signature)
        self._seqs.append(seq)

    def _near(self, number: int, mine: bytes) -> bool:
        theirs = self._table.signature(number)
        turns = sum(map(eq, mine[:_TURNS], theirs[:_TURNS]))
        learned = sum(map(eq, mine[_TURNS:], theirs[_TURNS:]))
        return bool(turns >= self._least[0] and learned >= self._least[1])

    def _signature(self, row: Row) -> bytes:
        said: list[str] = []
        inside: list[int] = []  # where the runs of words that lie in a learned answer begin
        for is_learned, turn_words in _turns(row):
            if is_learned:
                inside += range(len(said), len(said) + len(turn_words) - _SHINGLE + 1)
            said += turn_words
        hashes = self._hasher.hashes([said]) ^ np.uint64(_kind(row))
        return _smallest(hashes, _TURNS) + _smallest(hashes[inside], _LEARNED)


def _kind(row: Row) -> int:
    """Tells kinds of rows apart: an answer to learn is not near the same one to avoid."""
    wanted = row.judgement is None or row.judgement.wanted
    return int.from_bytes(f"{wanted:d}{row.kind}".encode().ljust(8, b"\0")[:8], "big")


def _turns(row: Row) -> Iterator[tuple[bool, list[str]]]:
    """The words of each turn, between marks that no text has; and whether it is learned."""
    rejected = row.judgement.rejected if row.judgement is not None else None
    for message, is_learned in zip((*row.messages, rejected), (*row.train, False), strict=True):
        role, text = turn(message) if message is not None else ("system", "")
        if role not in {"system", "developer"}:
            called = (word for call in message.get("tool_calls") or () for word in _call(call))
            yield is_learned, [f"<{role}", *words(text), *_others(message.get("content")), *called, ">"]


def _others(content: Json) -> Iterator[str]:
    """A word for each part that is no text: rows about two images are not alike."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            yield blake2b(canonical(part), digest_size=8).hexdigest()


def _call(call: Json) -> Iterator[str]:
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(function, dict):
        for part in (function.get("name"), function.get("arguments")):
            yield from words(part) if isinstance(part, str) else ()


def _smallest(hashes: NDArray[np.uint64], count: int) -> bytes:
    """Of each of `count` permutations of the hashes the smallest one, its lowest 8 bits."""
    some = (hashes >> np.uint64(32)).astype(np.uint32)[:, np.newaxis]
    smallest = np.full(count, 0xFFFFFFFF, np.uint32)
    for start in range(0, len(some), _AT_ONCE):
        permuted = some[start : start + _AT_ONCE] * _FACTORS[:count]
        permuted += _OFFSETS[:count]
        np.minimum(smallest, permuted.min(axis=0), out=smallest)
    return smallest.astype(np.uint8).tobytes()


def _least(count: int, jaccard: float) -> int:
    """How many of `count` hashes agree where two sets are so alike: those that are equal by chance counted in."""
    by_chance = 1 / _BITS
    return round(count * (by_chance + (1 - by_chance) * jaccard))


class _Bands:
    """Signatures by number, and for each band an open-addressed table from its bytes to the first that have them."""

    def __init__(self, bands: int, kind: str) -> None:
        """`kind`: the array code of a band's bytes."""
        self._bands = bands
        self._signatures = array(kind)
        self._width = (_TURNS + _LEARNED) // self._signatures.itemsize
        self._count = 0
        self._bits = 10
        self._tables = [self._empty() for _ in range(bands)]

    def alike(self, signature: bytes) -> set[int]:
        """The numbers of the signatures that agree in a band."""
        return {number - 1 for there, _ in self._look(signature) for number in there}

    def add(self, signature: bytes) -> None:
        """One more."""
        places = self._look(signature)
        self._signatures.frombytes(signature)
        self._count += 1
        for table, (there, slot) in zip(self._tables, places, strict=True):
            if len(there) < _MOST_ALIKE:
                table[slot] = self._count
        if self._count > _FULL * (1 << self._bits):
            self._grow()

    def signature(self, number: int) -> bytes:
        """As it was added."""
        return self._signatures[number * self._width : (number + 1) * self._width].tobytes()

    def _look(self, signature: bytes) -> list[tuple[list[int], int]]:
        """For each band the numbers, from 1, that its table has for these bytes, and the free slot after them."""
        keys = np.frombuffer(signature, self._signatures.typecode, self._bands)
        slots = _slots(keys, self._bits)
        return [self._seek(band, key, slot) for band, (key, slot) in enumerate(zip(keys.tolist(), slots, strict=True))]

    def _seek(self, band: int, key: int, slot: int) -> tuple[list[int], int]:
        table, found = self._tables[band], []
        while number := table[slot]:
            if self._signatures[(number - 1) * self._width + band] == key:
                found.append(number)
            slot = (slot + 1) & (len(table) - 1)
        return found, slot

    def _grow(self) -> None:
        """Band by band, so that one table is there twice, not all."""
        self._bits += 1
        signatures = np.frombuffer(self._signatures, self._signatures.typecode).reshape(-1, self._width)
        for band in range(self._bands):
            numbers = np.frombuffer(self._tables[band], np.uint32)
            numbers = np.sort(numbers[numbers > 0])  # the first ones stay the first
            slots = _slots(signatures[numbers - 1, band], self._bits)
            table = self._tables[band] = self._empty()
            mask = len(table) - 1
            for number, start in zip(numbers.tolist(), slots, strict=True):
                slot = start
                while table[slot]:
                    slot = (slot + 1) & mask
                table[slot] = number

    def _empty(self) -> "array[int]":
        return array("I", bytes(4 << self._bits))


def _slots(keys: NDArray[Any], bits: int) -> list[int]:
    mixed = keys.astype(np.uint64) * np.uint64(_GOLD)
    slots: list[int] = (mixed >> np.uint64(64 - bits)).tolist()
    return slots
