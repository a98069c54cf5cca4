"""A value is exact only where its bytes say the same to every reader."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.exact import is_exact

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8")),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters(codec="utf-8")), inner)),
    max_leaves=10,
)


@given(JSON)
def test_what_common_writers_write_is_exact(value: object) -> None:
    for raw in (
        orjson.dumps(value),
        orjson.dumps(value, option=orjson.OPT_INDENT_2),
        json.dumps(value).encode(),
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
    ):
        assert is_exact(raw, orjson.loads(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1.10,"b":1E5,"c":-0.0,"d":"\\u00e9\\/"}',
        b" [ 1 , 2 ] ",
        b'{"a, b": "c: d"}',
        b"18446744073709551615",
    ],
)
def test_other_spellings_of_the_same_are_exact(raw: bytes) -> None:
    assert is_exact(raw, orjson.loads(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1, "a":2}',
        b'{"x":[{"a":1,"\\u0061":1}]}',
        b"18446744073709551616",
        b"-9223372036854775809",
        b"1" * 200,
        b"0.1000000000000000055511151231257827",
        b"123456789.12345678901234567",
        b"1e-400",
        b"0e99999999999999999999",
        b"[" * 300 + b"]" * 300,
        b"[" * 1024 + b"]" * 1024,
    ],
)
def test_what_a_reader_could_take_otherwise_is_not(raw: bytes) -> None:
    assert not is_exact(raw, orjson.loads(raw))


@pytest.mark.parametrize("raw", [b'"\xff"', b"NaN", b"[1,]", b"\xef\xbb\xbf1", b"", b'"\xed\xa0\x80"'])
def test_bytes_that_are_no_json_are_never_exact(raw: bytes) -> None:
    assert not is_exact(raw, None)


def test_a_value_of_other_bytes_is_not_exact() -> None:
    assert not is_exact(b"1", True)
    assert not is_exact(b"1", 1.0)
    assert not is_exact(b'"a,b"', "a, c")
