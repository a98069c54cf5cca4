"""BM25: the formula's numbers, the order, and what a question may cost."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify import nearness
from tailrace.classify.nearness import Index, grams, words


def score(query: list[str], texts: list[list[str]], number: int) -> float:
    """BM25 as it is printed, to compare with."""
    average = sum(map(len, texts)) / len(texts)
    total = 0.0
    for term in set(query):
        n = sum(term in text for text in texts)
        idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
        f = texts[number].count(term)
        total += idf * f * 2.2 / (f + 1.2 * (1 - 0.75 + 0.75 * len(texts[number]) / average))
    return total


TERMS = st.lists(st.sampled_from("abcdef"), max_size=6)


@given(st.lists(TERMS, min_size=1, max_size=6), TERMS)
def test_the_order_is_the_formulas(texts: list[list[str]], query: list[str]) -> None:
    scores = {n: score(query, texts, n) for n in range(len(texts))} if any(texts) else {}
    wanted = [n for n in scores if scores[n] > 0]
    found = Index(texts).top(query, 9)
    assert sorted(found) == wanted
    assert all(scores[one] >= scores[other] - 1e-9 for one, other in pairwise(found))


def test_equally_near_texts_stand_in_their_order_and_no_more_than_are_asked_for() -> None:
    index = Index([["a"], ["b"], ["a"], ["a"]])
    assert index.top(["a"], 2) == [0, 2]
    assert index.top(["a"], 0) == index.top(["z"], 3) == Index([]).top(["a"], 3) == Index([[]]).top(["a"], 3) == []


def test_a_term_that_very_many_texts_have_is_not_looked_up() -> None:
    many = [["the", str(n)] for n in range(nearness._MOST_POSTINGS + 1)]
    assert Index(many).top(["the"], 3) == []
    assert Index(many).top(["the", "7"], 3) == [7]
    assert Index([["t"], ["u"]]).top([*(str(n) for n in range(10_000)), "u"], 1) == [1]


def test_terms() -> None:
    assert words("Flüge — nach PARIS!") == ["flüge", "nach", "paris"]
    assert grams("ab c") == [" ab", "ab ", " c "]
    assert set(grams("cancel")) & set(grams("Cancelled"))
    assert grams("") == []
