"""Which texts are near a text: BM25 over whatever they are cut into (words, n-grams of characters). Pure.

Okapi BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the idf of Lucene, which
is never negative. An index is built once and asked on the event loop, so what one question may cost is bounded: of its
terms the rarest are looked up, and a term that most texts have is nobody's. Written here because the packages that do
it need numpy, which the relay does without.
"""

import heapq
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

_K1: Final = 1.2
_B: Final = 0.75
_MOST_TERMS: Final = 48
_MOST_POSTINGS: Final = 2000
_WORD: Final = re.compile(r"\w+")


class Index:
    """Texts, each given as its terms. Immutable."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        lengths = [len(terms) for terms in texts]
        average = sum(lengths) / len(lengths) if any(lengths) else 1.0
        self._shrink = [_K1 * (1 - _B + _B * length / average) for length in lengths]
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, terms in enumerate(texts):
            for term, count in Counter(terms).items():
                self._postings[term].append((number, count))
        self._postings = {
            term: found for term, found in self._postings.items() if len(found) <= max(_MOST_POSTINGS, len(texts) // 20)
        }

    def top(self, terms: Sequence[str], most: int) -> list[int]:
        """The numbers of the texts nearest to `terms`, the nearest first; equally near ones in their order."""
        total = len(self._shrink)
        known = sorted({term for term in terms if term in self._postings}, key=lambda term: (self._rarity(term), term))
        scores: dict[int, float] = defaultdict(float)
        for term in known[:_MOST_TERMS]:
            found = self._postings[term]
            idf = math.log(1 + (total - len(found) + 0.5) / (len(found) + 0.5))
            for number, count in found:
                scores[number] += idf * count * (_K1 + 1) / (count + self._shrink[number])
        best = heapq.nsmallest(most, scores.items(), key=lambda item: (-item[1], item[0]))
        return [number for number, _ in best]

    def _rarity(self, term: str) -> int:
        return len(self._postings[term])


def words(text: str) -> list[str]:
    """The words of a text, without case."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def grams(text: str, size: int = 3) -> list[str]:
    """The n-grams of characters inside each word, its borders included: near in spelling is near."""
    found = []
    for word in words(text):
        padded = f" {word} "
        found += [padded[at : at + size] for at in range(max(len(padded) - size + 1, 1))]
    return found
