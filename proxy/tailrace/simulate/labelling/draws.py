"""Chance that can be repeated: numbers that depend on a stated seed and on what is drawn for, on nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeVar

SEED: Final = 4
"""The seed of every simulated label. Another model name draws anew."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Draws:
    """All that is drawn for one answer. Draws of different names are independent; one name always gives the same."""

    of: str

    def share(self, name: str) -> float:
        """A number from 0, included, to 1, excluded."""
        raw = blake2b(f"{SEED}\0{name}\0{self.of}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return (int.from_bytes(raw, "big") >> 11) / 2**53

    def below(self, name: str, bound: int) -> int:
        """A whole number from 0 to `bound`, excluded."""
        return int(self.share(name) * bound)

    def within(self, name: str, least: float, most: float) -> float:
        """A number between two."""
        return least + (most - least) * self.share(name)

    def pick(self, name: str, among: Sequence[_T]) -> _T:
        """One of several."""
        return among[self.below(name, len(among))]

    def shuffled(self, name: str, what: Sequence[_T]) -> list[_T]:
        """All of them in a drawn order."""
        order = sorted(range(len(what)), key=lambda at: self.share(f"{name}/{at}"))
        return [what[at] for at in order]
