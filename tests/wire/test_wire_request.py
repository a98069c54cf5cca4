"""What a chat request must have before it is routed, and what the relay learns of it."""

from typing import Any

import orjson
import pytest

from tailrace.errors import Code, Refused
from tailrace.wire.endpoints import chat
from tailrace.wire.opening import FIRST_USER_CHARS
from tailrace.wire.request import Request, read_request
from tailrace.wire.told import read_told

USER = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "Hi"}


def _read(**fields: Any) -> Request:
    return read_request(orjson.dumps({"model": "m", "messages": [USER], **fields}), chat.WIRE)


def _refusal(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        read_request(body, chat.WIRE)
    assert caught.value.status == 400
    return caught.value


def test_a_plain_request() -> None:
    request = read_request(b'{"model":"gpt-5","messages":[{"role":"user","content":"Hello"}]}', chat.WIRE)
    assert request == Request(
        parsed={"model": "gpt-5", "messages": [USER]},
        model="gpt-5",
        stream=False,
        step=1,
        usage_open=False,
        first_user="Hello",
    )


def test_the_step_is_one_more_than_the_answers_so_far() -> None:
    assert _read(messages=[USER, ANSWER, {"role": "tool", "content": "x"}, ANSWER, USER]).step == 3


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"stream_options": None}, True),
        ({"stream_options": {}}, True),
        ({"stream_options": {"include_obfuscation": False}}, True),
        ({"stream_options": {"include_usage": True}}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": None}}, False),
        ({"stream_options": "all"}, False),
        ({"stream": False}, False),
        ({"stream": None}, False),
    ],
)
def test_whether_the_usage_chunk_was_left_open(fields: dict[str, Any], expected: bool) -> None:
    assert _read(**{"stream": True, **fields}).usage_open is expected


def test_ids_in_the_body() -> None:
    assert read_told((), {"user": "u"}).user == "u"
    assert read_told((), {"user": "u", "safety_identifier": "s"}).user == "s"
    assert read_told((), {"user": 7}).user is None
    assert read_told((), {"user": "x" * 513}).user is None
    assert read_told((), {"metadata": {"session_id": "m"}}).session == "m"
    assert read_told((), {"metadata": {"session_id": "m"}, "litellm_session_id": "l"}).session == "l"
    assert read_told((), {"metadata": "x"}).session is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x" * 2000, "x" * FIRST_USER_CHARS),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}, 7], "ab"),
        (None, ""),
        ({"text": "x"}, ""),
    ],
)
def test_the_first_user_message(content: Any, expected: str) -> None:
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": content}, USER]
    assert _read(messages=messages).first_user == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"model":"m",}',
        b"{'model':'m'}",
        b'{"model":NaN}',
        b'{"model":"\\ud800"}',
        b'{"model":"\xed\xa0\x80"}',
        b'{"a":' + b"[" * 1100 + b"]" * 1100 + b"}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body: bytes) -> None:
    error = _refusal(body)
    assert error.code == Code.INVALID_JSON
    assert "at line 1, column" in error.message


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'"x"', "JSON object"),
        (b'{"messages":[{"role":"user"}]}', "`model`"),
        (b'{"model":null,"messages":[{}]}', "`model`"),
        (b'{"model":"","messages":[{}]}', "`model`"),
        (b'{"model":"' + b"m" * 513 + b'","messages":[{}]}', "`model`"),
        (b'{"model":"m"}', "`messages`"),
        (b'{"model":"m","messages":[]}', "`messages`"),
        (b'{"model":"m","messages":{"role":"user"}}', "`messages`"),
        (b'{"model":"m","messages":[{},{},"canary"]}', "`messages[2]`"),
        (b'{"model":"m","messages":[{}],"stream":1}', "`stream`"),
        (b'{"model":"m","messages":[{}],"stream":"yes"}', "`stream`"),
    ],
)
def test_what_is_no_request_is_refused_by_name(body: bytes, named: str) -> None:
    error = _refusal(body)
    assert error.code == Code.INVALID_REQUEST
    assert named in error.message
    assert "canary" not in error.message


@pytest.mark.parametrize("message", [{}, {"role": None}, {"role": "user", "content": 5}, {"role": ["assistant"]}])
def test_the_rest_is_the_providers_business(message: dict[str, Any]) -> None:
    assert _read(messages=[message], temperature="hot", n=10**9).step == 1
