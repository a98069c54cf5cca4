"""Putting what words found into the order of meaning, where a model of embeddings is configured.

`Embed` is how a model is asked; the relay's goes through the proxy's own routing. `EmbeddingCache` keeps what was told.
Only what BM25 found is put in order, so a question costs one embedding and some dozens of products. Where no embedding
can be had, the order of the words stays.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, Protocol, TypeVar

T = TypeVar("T")
Vector = tuple[float, ...]

MOST_VECTORS: Final = 20_000


class Embed(Protocol):
    """Asks a model for embeddings."""

    async def __call__(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]] | None:
        """One vector for each of `texts`, in order; None: they cannot be had."""


class EmbeddingCache:
    """Embeddings that were told before, the longest unused ones forgotten."""

    def __init__(self, embed: Embed, model: str, most: int = MOST_VECTORS) -> None:
        self._embed, self._model, self._most = embed, model, most
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()

    async def vectors(self, texts: Sequence[str]) -> list[Vector] | None:
        """The unit vectors of `texts`; None where one of them cannot be had."""
        keys = [blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        found = {key: self._vectors[key] for key in keys if key in self._vectors}
        if missing:
            told = await self._embed(self._model, list(missing.values()))
            if told is None or len(told) != len(missing):
                return None
            found |= {key: unit(vector) for key, vector in zip(missing, told, strict=True)}
        for key, vector in found.items():
            self._vectors[key] = vector
            self._vectors.move_to_end(key)
        while len(self._vectors) > self._most:
            self._vectors.popitem(last=False)
        return [found[key] for key in keys]

    async def in_order(self, text: str, candidates: Sequence[T], text_of: Callable[[T], str]) -> list[T]:
        """`candidates`, the nearest to `text` first; as they are where embeddings cannot be had."""
        vectors = await self.vectors([text, *map(text_of, candidates)]) if candidates else None
        if vectors is None or len({len(vector) for vector in vectors}) != 1:
            return list(candidates)
        asked, *others = vectors
        nearness = [sum(map(float.__mul__, asked, other)) for other in others]
        ranked = sorted(range(len(candidates)), key=lambda number: (-nearness[number], number))
        return [candidates[number] for number in ranked]


def unit(vector: Sequence[float]) -> Vector:
    """`vector` at length 1, so that a product is a cosine; one of zeros, or of what is no number, is all zeros."""
    values = [float(value) for value in vector]
    length = math.sqrt(math.fsum(value * value for value in values))
    if not math.isfinite(length) or length == 0:
        return (0.0,) * len(values)
    return tuple(value / length for value in values)
