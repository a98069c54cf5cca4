"""Completions of different chains that share a value, such as a user: which of them stands for the value. Pure.

A value stands where the first of its completions does that stands anywhere: one that would join two splits is kept
apart, and stands for nothing. About 8 bytes a completion for each kind of value, and 70 for each distinct one.
"""

from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import orjson

from tailrace_exporters.dedupe import Twins


def values_of(project: str, *named: str | None) -> list[bytes | None]:
    """What a completion names, each as a value: the same name in another project is another's."""
    return [None if name is None else orjson.dumps([project, name]) for name in named]


class Ties:
    """`add` every completion in log order; then, in that order again, ask for its `holders` and `settle` it."""

    def __init__(self, size: int, kinds: int) -> None:
        """Of completions numbered below `size`, with so many kinds of values."""
        self._firsts = [array("Q", bytes(8 * size)) for _ in range(kinds)]  # the first that had the value; 0: has none
        self._known = [Twins() for _ in range(kinds)]
        self._instead: list[dict[int, int]] = [{} for _ in range(kinds)]  # where the first one was kept apart
        self._apart = bytearray(size)

    def add(self, seq: int, values: Sequence[bytes | None]) -> None:
        """One more completion, with its value of each kind."""
        for firsts, known, value in zip(self._firsts, self._known, values, strict=True):
            if value is not None:
                firsts[seq] = known.first(blake2b(value, digest_size=16).digest(), seq) or seq

    def holders(self, seq: int) -> Iterator[int]:
        """For each of its values that stands somewhere already, the completion that stands for it."""
        for firsts, instead in zip(self._firsts, self._instead, strict=True):
            first = firsts[seq]
            if first and first != seq:
                holder = instead.get(first, 0) if self._apart[first] else first
                if holder:
                    yield holder

    def settle(self, seq: int, *, apart: bool) -> None:
        """Kept apart, or standing for those of its values that nothing stands for yet."""
        if apart:
            self._apart[seq] = 1
            return
        for firsts, instead in zip(self._firsts, self._instead, strict=True):
            first = firsts[seq]
            if first and self._apart[first]:
                instead.setdefault(first, seq)

    def is_apart(self, seq: int) -> bool:
        """Whether it would have joined two splits."""
        return bool(self._apart[seq])
