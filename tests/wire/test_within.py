"""What a value says, and whether another says it too."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.within import is_within

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "x", 1.0])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
)


@given(JSON, JSON)
def test_a_value_is_within_itself_and_within_more(value: Any, more: Any) -> None:
    assert is_within(value, value)
    assert is_within({"a": value}, {"a": value, "b": more})
    assert is_within([value], [value, more])


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_nothing_said_is_within_anything(nothing: Any) -> None:
    for kept in (None, 0, "x", [1], {"a": 1}):
        assert is_within(nothing, kept)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x", "xy"),
        ("x", None),
        (0, None),
        (False, None),
        (1, True),
        (1, 1.0),
        ([1, 2], [1]),
        ([1], [2]),
        ([1], {"0": 1}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ({"a": 1}, [1]),
    ],
)
def test_what_is_not_said_too(said: Any, kept: Any) -> None:
    assert not is_within(said, kept)


def test_what_is_nested_too_deep_is_not_proven() -> None:
    deep = orjson.loads(b"[" * 1000 + b"1" + b"]" * 1000)
    assert not is_within(deep, deep)
