"""Edits touch one value and nothing else, or are refused."""

import json
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import Code, Refused
from tailrace.wire.splice import ask_for_usage, remove_fields, replace_model

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


PRIVATE = frozenset(("litellm_session_id", "x::tags", "gone"))
PRIVATE_KEYS = st.sampled_from(["litellm_session_id", "x::tags", "gone", "model", "a", 'q"gone', "gone\\"])
PRIVATE_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(['"gone":1', "}", "]", '{"gone":', "\\", '"', "", None, True, -1, 1.5, "é, x", [], {}]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(PRIVATE_KEYS, inner, max_size=3)),
    max_leaves=8,
)

_OPTIONS = {"tight": 0, "indented": orjson.OPT_INDENT_2}


@given(st.dictionaries(PRIVATE_KEYS, PRIVATE_VALUES, max_size=6), st.sampled_from(["tight", "indented", "python"]))
def test_private_fields_go_and_nothing_else(body: dict[str, Any], style: str) -> None:
    raw = json.dumps(body).encode() if style == "python" else orjson.dumps(body, option=_OPTIONS[style])
    edited = remove_fields(raw, orjson.loads(raw), PRIVATE)
    kept = {name: value for name, value in body.items() if name not in PRIVATE}
    assert orjson.loads(edited) == kept
    assert list(orjson.loads(edited)) == list(kept)
    if style == "tight":
        assert edited == orjson.dumps(kept)
    if len(kept) == len(body):
        assert edited is raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"gone":1,"a":1.0e0}', b'{"a":1.0e0}'),
        (b'{ "a" : 1.0e0 , "gone" : {"x": [1, "}"]} }', b'{ "a" : 1.0e0  }'),
        (b'{"a":1,\r\n\t"gone":"x\\"}",\r\n\t"b":"\\u00e9"}', b'{"a":1,\r\n\t"b":"\\u00e9"}'),
        (b' {"gone" : null } ', b" { } "),
        (b'{"gone":1,"x::tags":{},"litellm_session_id":"s"}', b"{}"),
        (b'{"a":[{"gone":1}],"gone":true,"b":"\\"gone\\":1"}', b'{"a":[{"gone":1}],"b":"\\"gone\\":1"}'),
        (b'{"n":12345678901234567890123,"gone":-0.5}', b'{"n":12345678901234567890123}'),
    ],
)
def test_every_byte_beside_a_private_field_stays(raw: bytes, expected: bytes) -> None:
    assert remove_fields(raw, orjson.loads(raw), PRIVATE) == expected


def test_a_body_whose_model_was_replaced_before() -> None:
    parsed = {"model": "old", "gone": 1}
    assert remove_fields(b'{"model":"new","gone":1}', parsed, PRIVATE) == b'{"model":"new"}'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"g\\u006fne":1, "a": [1, 2]}',
        b'{"b":[' + b",".join([b'{"gone":1}'] * 200) + b'],"g\\u006fne":1,"a":[1,2]}',
        b'{"gone":[' + b"1," * 30_000 + b'1], "a": [1, 2]}',
    ],
)
def test_a_private_field_that_hides_is_taken_out_by_writing_the_rest_anew(raw: bytes) -> None:
    parsed = orjson.loads(raw)
    edited = remove_fields(raw, parsed, PRIVATE)
    parsed.pop("gone")
    assert edited == orjson.dumps(parsed)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"gone":1,"gone":2}',
        b'{"g\\u006fne":1,"n":12345678901234567890123}',
        b'{"gone":1,"deep":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"g\\u006fne":1,"a":"' + b"x" * 2**20 + b'"}',
    ],
)
def test_a_private_field_that_cannot_be_proven_out_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(Refused, match="without `gone`") as caught:
        remove_fields(raw, orjson.loads(raw), PRIVATE)
    assert caught.value.code == Code.INVALID_REQUEST


def test_many_private_fields_in_a_long_body_are_not_proven_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"f{number}" for number in range(100)]
    raw = orjson.dumps(dict.fromkeys(names, 1) | {"a": "x" * 2**20})
    parsed: list[int] = []

    def loads(text: bytes) -> Any:
        parsed.append(len(text))
        return orjson.loads(text)

    stand_in = SimpleNamespace(loads=loads, dumps=orjson.dumps, JSONDecodeError=orjson.JSONDecodeError)
    monkeypatch.setattr("tailrace.wire.splice.orjson", stand_in)
    with pytest.raises(Refused):
        remove_fields(raw, orjson.loads(raw), frozenset(names))
    assert sum(parsed) < 4 * 2**20
