"""Meaning puts words' findings in order, is paid for once, and its absence changes nothing."""

import math
from collections.abc import Sequence

import pytest

from tailrace.classify.embeddings import EmbeddingCache, unit


class Model:
    """Knows the angle of each text."""

    def __init__(self, *, there: bool = True) -> None:
        self.asked: list[str] = []
        self.there = there

    async def __call__(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]] | None:
        assert model == "m"
        self.asked += texts
        return [[math.cos(len(text)), math.sin(len(text))] for text in texts] if self.there else None


async def test_the_nearest_comes_first_and_nothing_is_asked_twice() -> None:
    model = Model()
    cache = EmbeddingCache(model, "m")
    assert await cache.in_order("aaa", ["a", "aa", "aaa"], str) == ["aaa", "aa", "a"]
    assert sorted(model.asked) == ["a", "aa", "aaa"]
    assert await cache.in_order("a", ["aaa", "a"], str) == ["a", "aaa"]
    assert len(model.asked) == 3


async def test_without_embeddings_the_order_stays() -> None:
    assert await EmbeddingCache(Model(there=False), "m").in_order("aaa", ["a", "aaa"], str) == ["a", "aaa"]
    assert await EmbeddingCache(Model(), "m").in_order("aaa", [], str) == []


async def test_what_is_kept_is_bounded_and_the_longest_unused_goes() -> None:
    model = Model()
    cache = EmbeddingCache(model, "m", most=2)
    await cache.vectors(["a", "aa"])
    await cache.vectors(["a"])
    await cache.vectors(["aaa"])
    await cache.vectors(["a"])
    assert model.asked == ["a", "aa", "aaa"]
    await cache.vectors(["aa"])
    assert model.asked[-1] == "aa"
    found = await cache.vectors(["a", "a", "aa", "aaa", "aaaa"])  # more than it may keep
    assert found is not None
    assert len(found) == 5


async def test_an_answer_of_another_length_is_none() -> None:
    async def wrong(model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[1.0]]

    assert await EmbeddingCache(wrong, "m").in_order("a", ["b", "c"], str) == ["b", "c"]


def test_vectors_have_length_one_or_none() -> None:
    assert unit([3, 4]) == pytest.approx((0.6, 0.8))
    assert unit([0, 0]) == unit([math.nan, 1]) == unit([math.inf, 1]) == (0.0, 0.0)
