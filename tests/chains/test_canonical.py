"""Equal JSON has equal bytes, however deep; content of two projects never has the same hash."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tailrace.chains.canonical import _canonical_deep, canonical, content_hash

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@given(JSON)
def test_both_writers_write_the_same(value: Any) -> None:
    assert _canonical_deep(value) == canonical(value)


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_kinds_of_numbers_matter() -> None:
    assert len({canonical(value) for value in (1, 1.0, True, "1")}) == 4


def test_what_orjson_reads_is_written_however_deep() -> None:
    raw = b'{"a":' * 500 + b"[" * 500 + b"1,2" + b"]" * 500 + b"}" * 500
    assert canonical(orjson.loads(raw)) == raw


def test_hashes_are_keyed_by_project() -> None:
    long = "p" * 100
    hashes = {content_hash(b"x", project) for project in ("", "a", "b", "\u00e9" * 40, long, long + "q")}
    assert len(hashes) == 6
    assert {len(one) for one in hashes} == {16}
    assert content_hash(b"x", "a") == content_hash(b"x", "a") != content_hash(b"y", "a")
