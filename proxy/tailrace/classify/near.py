"""Near-duplicates: texts that say the same but for a slip or a word, in the same context. Pure.

Alike is Jaccard's index of the texts' shingles (runs of characters). An index of all pairs is spared by the prefix
filter (Bayardo, Ma and Srikant, "Scaling up all pairs similarity search", 2007): two sets that are `bound` alike share
one of the first few of their members in any fixed order. What turns a meaning round in a word or a digit is looked at
apart: texts with other numbers, or with other denials, are no duplicates, however alike.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tailrace.classify.cache import normal
from tailrace.classify.turn import Subject
from tailrace.records import LabelValue

BOUND: Final = 0.85
"""How alike, at least."""
MOST: Final = 50_000
"""Texts that are remembered; those that come later are not."""

_SIZE: Final = 4
_LOOKED_AT: Final = 200
"""Texts that share a shingle and are compared, at most."""
_TELLING: Final = re.compile(r"\d+|\b(?:not|no|never|none|without|cannot|nicht|kein\w*)\b|n't\b")


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest text that is near enough."""

    key: str
    value: LabelValue
    alike: float


@dataclass(frozen=True, slots=True)
class _Known:
    key: str
    value: LabelValue
    shingles: frozenset[int]
    telling: tuple[str, ...]


class Near:
    """Labelled texts, found by their near-duplicates."""

    def __init__(self, bound: float = BOUND, *, most: int = MOST) -> None:
        self._bound = bound
        self._most = most
        self._known: list[_Known] = []
        self._by_shingle: dict[tuple[bytes, int], list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, subject: Subject, key: str, value: LabelValue) -> None:
        """Remembers a text with its label."""
        if len(self._known) >= self._most:
            return
        text = normal(subject.text)
        known = _Known(key, value, _shingles(text), tuple(_TELLING.findall(text)))
        context = _context(subject)
        for shingle in self._prefix(known.shingles):
            self._by_shingle[context, shingle].append(len(self._known))
        self._known.append(known)

    def find(self, subject: Subject) -> Found | None:
        """The known text most like this one; of several the first."""
        text = normal(subject.text)
        shingles, telling, context = _shingles(text), tuple(_TELLING.findall(text)), _context(subject)
        places = {
            place
            for shingle in self._prefix(shingles)
            for place in self._by_shingle.get((context, shingle), ())[:_LOOKED_AT]
        }
        best: Found | None = None
        for known in (self._known[place] for place in sorted(places)):
            alike = _alike(shingles, known.shingles) if known.telling == telling else 0.0
            if alike >= self._bound and (best is None or alike > best.alike):
                best = Found(known.key, known.value, alike)
        return best

    def _prefix(self, shingles: frozenset[int]) -> list[int]:
        return sorted(shingles)[: len(shingles) - math.ceil(self._bound * len(shingles)) + 1]


def _alike(one: frozenset[int], other: frozenset[int]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def _shingles(text: str) -> frozenset[int]:
    padded = f" {text} "
    cut = (padded[at : at + _SIZE] for at in range(max(len(padded) - _SIZE + 1, 1)))
    return frozenset(int.from_bytes(blake2b(each.encode("utf-8", "replace"), digest_size=8).digest()) for each in cut)


def _context(subject: Subject) -> bytes:
    digest = blake2b(digest_size=16)
    parts = [subject.previous or "", subject.before or ""]
    parts += [part for turn in subject.turns for part in (turn.role, normal(turn.text))]
    for part in parts:
        data = part.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
