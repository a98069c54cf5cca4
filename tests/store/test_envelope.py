"""An envelope is put together again as it was, and answers of one kind share a shape."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.chains.canonical import canonical
from tailrace.store.envelope import join, member, split

LEAF = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=100)
)  # fmt: skip
KEYS = st.sampled_from(["id", "x_id", "name", "i", "\x00", "", "é"]) | st.text(max_size=5)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=40
)


def stored(value: Any) -> Any:
    """As it comes out of the store: canonical, so that keys have another order."""
    return orjson.loads(canonical(value))


@given(JSON, st.none() | st.text(max_size=20))
@example({"id": "a", "created": -0.0, "usage": {"n": 0, "m": -1}}, "a")
@example({"id": {"\x00": "a"}}, None)
@example({"id": "a", "b": {"id": "a"}}, "a")
def test_what_is_split_is_joined_again(envelope: Any, id_: str | None) -> None:
    parts = split(envelope, id_)
    if parts is not None:
        shape, values = parts
        assert canonical(join(stored(shape), values, id_)) == canonical(envelope)
        members = envelope if type(envelope) is dict else {}
        for name in (*members, "none"):
            assert canonical(member(stored(shape), values, id_, name)) == canonical(members.get(name))


def answer(n: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{n}", "object": "chat.completion", "created": 1_790_000_000 + n, "model": "m",
        "choices": [{"index": 0, "message": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": n, "cost": n / 7, "details": {"cached_tokens": 0}},
    }  # fmt: skip


def test_answers_of_one_kind_share_a_shape_and_take_few_bytes() -> None:
    found = [split(answer(n), f"chatcmpl-{n}") for n in range(5)]
    assert len({canonical(parts[0]) for parts in found if parts}) == 1
    assert max(len(parts[1]) for parts in found if parts) < 24


def test_the_id_is_left_out_only_where_the_column_holds_it() -> None:
    held, own = split(answer(1), "chatcmpl-1"), split(answer(1), None)
    assert held is not None
    assert own is not None
    assert b"chatcmpl-1" not in held[1]
    assert b"chatcmpl-1" in own[1]


@pytest.mark.parametrize("value", [2**64, -(2**200), 10**400])
def test_integers_of_any_size(value: int) -> None:
    parts = split({"n": value}, None)
    assert parts is not None
    assert join(*parts, None) == {"n": value}


@pytest.mark.parametrize(
    "envelope",
    [
        {"\x00": "i"},
        {"deep": {"\x00": 1}},
        {"many": list(range(65))},
        json.loads('{"a":' * 65 + "1" + "}" * 65),
        json.loads("[" * 900 + "]" * 900),
    ],
    ids=["a key like a hole", "the same below", "many", "deep objects", "deep arrays"],
)
def test_what_is_better_kept_whole_is(envelope: Any) -> None:
    assert split(envelope, None) is None


def test_values_that_do_not_fit_are_an_error() -> None:
    parts = split({"f": 1.5, "i": 300, "s": "x" * 70}, None)
    assert parts is not None
    shape, values = parts
    for wrong in (values + b"\x00", *(values[:size] for size in range(len(values)))):
        with pytest.raises(ValueError, match=r"values|utf-8"):
            join(shape, wrong, None)
    with pytest.raises(ValueError, match="unknown hole"):
        join({"\x00": "z"}, b"", None)
