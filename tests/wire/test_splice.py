"""Edits touch one value and nothing else, or are refused."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import Code, Refused
from tailrace.wire.splice import ask_for_usage, replace_model

KEYS = st.sampled_from(["model", "stream_options", "a", 'q"model', "messages"])
VALUES = st.recursive(
    st.sampled_from(["old", '"model": "old"', '{"model":"old"}', "\\", None, True, 1, 1.5, 'x"model":"old']),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
BODIES = st.tuples(st.dictionaries(KEYS, VALUES, max_size=4), VALUES).map(
    lambda drawn: {**drawn[0], "nested": drawn[1], "model": "old"}
)


@given(BODIES, st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), st.booleans())
def test_only_the_model_changes(body: dict[str, Any], new: str, indented: bool) -> None:
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2 if indented else 0)
    edited = replace_model(raw, orjson.loads(raw), new)
    assert orjson.loads(edited) == {**body, "model": new}
    assert len(edited) - len(raw) == len(orjson.dumps(new)) - len(b'"old"')


def test_every_other_byte_stays() -> None:
    raw = b' {"messages" : [ {"model":"a"} ], "x":1.0e0,\t"mod' + b'el"\r\n:  "a" , "z":"\\u00e9" } '
    assert replace_model(raw, orjson.loads(raw), 'b"') == raw.replace(b'"a" ,', b'"b\\"" ,')


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","model":"a"}',
        b'{"model":"b","model":"a"}',
        b'{"model":5,"model":"a"}',
        b'{"mod\\u0065l":"b","model":"a"}',
        b'{"mod\\u0065l":"a"}',
        b'{"nested":[' + b",".join([b'{"model":"a"}'] * 200) + b'],"mod\\u0065l":"a"}',
    ],
)
def test_a_model_that_is_not_single_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="no single top-level `model`") as caught:
        replace_model(raw, orjson.loads(raw), "new")
    assert caught.value.code == Code.INVALID_REQUEST


def test_a_hostile_body_is_not_parsed_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []

    def loads(text: bytes) -> Any:
        parsed.append(len(text))
        return orjson.loads(text)

    raw = b'{"nested":[' + b",".join([b'{"model":"a"}'] * 100_000) + b'],"mod\\u0065l":"a"}'
    monkeypatch.setattr("tailrace.wire.splice.orjson", SimpleNamespace(loads=loads, JSONDecodeError=ValueError))
    with pytest.raises(Refused):
        replace_model(raw, {"model": "a"}, "new")
    assert sum(parsed) < 10 * 2**20


def test_the_same_model_is_no_edit() -> None:
    raw = b'{"model":"a","model":"a"}'
    assert replace_model(raw, {"model": "a"}, "a") is raw


@given(BODIES, st.sampled_from([{}, {"stream_options": None}, {"stream_options": {}}, {"stream_options": {"x": [1]}}]))
def test_usage_is_asked_for_and_nothing_else_changes(body: dict[str, Any], options: dict[str, Any]) -> None:
    body.pop("stream_options", None)
    body |= options
    edited = orjson.loads(ask_for_usage(orjson.dumps(body), body))
    assert edited.pop("stream_options") == {"include_usage": True, **(options.get("stream_options") or {})}
    body.pop("stream_options", None)
    assert edited == body


def test_where_the_question_is_put() -> None:
    assert ask_for_usage(b' { "model":"m"}', {"model": "m"}) == (
        b' {"stream_options":{"include_usage":true}, "model":"m"}'
    )
    raw = b'{"stream_options" : { "x" : 1 } }'
    assert ask_for_usage(raw, orjson.loads(raw)) == b'{"stream_options" : {"include_usage":true, "x" : 1 } }'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"stream_options":{"include_usage":false}}',
        b'{"stream_options":{"include_usage":null}}',
        b'{"stream_options":"x"}',
        b'{"stream_option\\u0073":null}',
        b'{"stream_options":{"x":1},"stream_options":null}',
    ],
)
def test_what_the_client_decided_or_hid_is_left_alone(raw: bytes) -> None:
    assert ask_for_usage(raw, orjson.loads(raw)) is raw
