"""Texts of messages change in the bytes as they do in the values; every other byte stays."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.templates.match import with_texts
from tailrace.templates.template import texts_of
from tailrace.wire.retelling import retold

TEXT = st.sampled_from(["", "a", '"content":"x"', '{"messages":[', "\\", "é\n", "]}", "old"])
PARTS = st.one_of(
    TEXT.map(lambda words: {"type": "text", "text": words}),
    TEXT.map(lambda words: {"type": "image_url", "image_url": {"url": words}}),
    TEXT.map(lambda words: {"text": words, "cache": [1, {"text": "no"}], "type": "text"}),
)
MESSAGES = st.lists(
    st.builds(
        lambda content, name: {"name": name, "role": "user", "content": content, "x": [name, None]},
        st.one_of(TEXT, st.lists(PARTS, min_size=1, max_size=3)),
        TEXT,
    ),
    min_size=1,
    max_size=4,
)


@given(MESSAGES, st.data(), st.booleans())
def test_bytes_change_as_values_do(messages: list[Any], data: st.DataObject, indented: bool) -> None:
    edits: dict[int, tuple[str | None, ...]] = {}
    made = list(messages)
    for index in data.draw(st.sets(st.integers(0, len(messages) - 1))):
        texts = tuple(data.draw(st.one_of(st.none(), TEXT)) for _ in texts_of(messages[index]))
        if texts and (index > 0 or None not in texts):
            edits[index] = texts
            made[index] = with_texts(messages[index], texts)
    edited = [message for message in made if message is not None]
    parsed = {"n": 1.5, "messages": messages, "tools": [{"messages": [], "content": "old"}]}
    body = orjson.dumps(parsed, option=orjson.OPT_INDENT_2 if indented else 0).replace(b"1.5", b"15e-1")
    found = retold(body, parsed, edited, edits)
    assert found is not None
    assert orjson.loads(found) == parsed | {"messages": edited}
    assert b"15e-1" in found


def test_every_other_byte_stays() -> None:
    body = (
        b' {"a":1.0e0, "messages" : [ {"role":"system","content": "old" } , {"content":[ '
        b'{"type":"text","text":"\\u00e9"} , '
        b'{"type":"image_url","image_url":{"url":"data:image\\/png;base64,AA=="}} ],"role":"user" }, {"role":"x"} ] }'
    )
    parsed = orjson.loads(body)
    gone = [{**parsed["messages"][1], "content": parsed["messages"][1]["content"][1:]}, parsed["messages"][2]]
    found = retold(body, parsed, gone, {0: (None,), 1: (None,)})
    assert found == (
        b' {"a":1.0e0, "messages" : [ {"content":[ '
        b'{"type":"image_url","image_url":{"url":"data:image\\/png;base64,AA=="}} ],"role":"user" }, {"role":"x"} ] }'
    )


def plain(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user","content":"old"}],"messages":[{"role":"user","content":"old"}]}',
        b'{"m\\u0065ssages":[{"role":"user","content":"no"}],"messages":[{"role":"user","content":"old"}]}',
        b'{"messages":[{"role":"user","c\\u006fntent":"old"}],"n":123456789012345678901234567890}',
    ],
)
def test_what_can_neither_be_proven_nor_written_anew_is_not_sent(body: bytes) -> None:
    assert retold(body, orjson.loads(body), plain("new"), {0: ("new",)}) is None


def test_a_key_with_escapes_is_written_anew_where_that_is_exact() -> None:
    body = b'{ "messages":[{"role":"user","c\\u006fntent":"old"}]}'
    assert retold(body, orjson.loads(body), plain("new"), {0: ("new",)}) == orjson.dumps({"messages": plain("new")})


@pytest.mark.parametrize("end", ["", "\\", '"', '\\"', "\\\\", '"' * 9, "\\" * 200, "x" * 99, "x" * 100 + '\\"'])
def test_a_string_ends_where_it_ends(end: str) -> None:
    parsed = {"messages": [{"role": "user", "x": f"say {end}", "content": end, "y": end}], "n": 1.5}
    wanted = [{"role": "user", "x": f"say {end}", "content": "new" + end, "y": end}]
    body = orjson.dumps(parsed).replace(b"1.5", b"15e-1")
    found = retold(body, parsed, wanted, {0: (f"new{end}",)})
    assert found == body.replace(b'"content":"', b'"content":"new')


def test_large_images_and_many_tokens_hold_nobody_up() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2**23}}
    parsed = {"messages": plain([{"type": "text", "text": "old"}, image]), "n": 1}
    body = orjson.dumps(parsed)
    many = {"messages": [{"role": "user", "content": "old", "x": [[]] * 200_000}], "n": 1}
    begun = time.perf_counter()
    found = retold(body, parsed, plain([{"type": "text", "text": "new"}, image]), {0: ("new",)})
    assert found == body.replace(b"old", b"new")
    assert retold(orjson.dumps(many).replace(b'"n":1', b'"n":1e400'), many, plain("new"), {0: ("new",)}) is None
    assert time.perf_counter() - begun < 2
