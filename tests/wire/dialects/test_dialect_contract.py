"""What must hold for every translation of every dialect, whatever provider and client say."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import Code, Refused
from tailrace.records import Endpoint
from tailrace.wire.dialect import Translated, Translation
from tailrace.wire.dialects import DIALECTS
from tailrace.wire.dialects.events import EVENT_LIMIT_BYTES
from tailrace.wire.endpoint import Folded
from tailrace.wire.endpoints import ENDPOINTS
from tests.wire.dialects.spoken import (
    ANYTHING,
    ASKED,
    CUTS,
    NOW_S,
    SOME_WORDS,
    anthropic_answers,
    chat_answers,
    gemini_answers,
    run,
    same,
    sse,
)

PAIRS = [
    pytest.param(dialect.name, endpoint, id=f"{endpoint}-{dialect.name}")
    for dialect in DIALECTS.values()
    for endpoint in dialect.translations
]
TRANSLATIONS = pytest.mark.parametrize(("name", "endpoint"), PAIRS)
ANSWERS: dict[tuple[str, Endpoint], st.SearchStrategy[tuple[Any, list[Any]]]] = {
    ("openai", Endpoint.MESSAGES): chat_answers(),
    ("anthropic", Endpoint.CHAT): anthropic_answers(),
    ("gemini", Endpoint.CHAT): gemini_answers(),
    ("gemini", Endpoint.MESSAGES): gemini_answers(ordered=True),
}
TERMINAL = {
    Endpoint.CHAT: b"data: [DONE]\n\n",
    Endpoint.MESSAGES: b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
}

TYPES = st.sampled_from(
    [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
        *("message_stop", "error", "ping", "text", "thinking", "tool_use", "text_delta", "input_json_delta"),
        *("thinking_delta", "signature_delta", "STOP", "function", "stop"),
    ]
)
KEYS = st.sampled_from(
    [
        *(
            "type",
            "index",
            "message",
            "content_block",
            "delta",
            "usage",
            "id",
            "model",
            "text",
            "thinking",
            "signature",
        ),
        *("partial_json", "stop_reason", "stop_details", "error", "choices", "content", "tool_calls", "function"),
        *("arguments", "name", "reasoning_content", "refusal", "finish_reason", "candidates", "parts", "functionCall"),
        *("args", "finishReason", "usageMetadata", "promptFeedback", "blockReason", "responseId", "logprobsResult"),
        *("chosenCandidates", "inlineData", "thoughtSignature", "promptTokenCount", "input_tokens", "input", "thought"),
    ]
)
LIKELY = st.recursive(
    TYPES | st.integers(-1, 2) | st.none() | st.booleans() | SOME_WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
"""JSON made of the words that translators look for, in all the wrong places."""

EVENTS = st.dictionaries(KEYS, LIKELY, max_size=5) | LIKELY | ANYTHING
HOSTILE = st.one_of(
    EVENTS.map(lambda said: b"data: " + orjson.dumps(said) + b"\n\n"),
    st.sampled_from(
        [b"data: [DONE]\n\n", b"data:\n\n", b": c\n\n", b"data: {\n\n", b"event: error\ndata: {}\n\n", b"\xef\xbb\xbf"]
    ),
    st.binary(max_size=20),
)


def translation(name: str, endpoint: Endpoint) -> Translation:
    return DIALECTS[name].translations[endpoint]


def folded_of(endpoint: Endpoint, stream: bytes) -> Folded:
    fold = ENDPOINTS[endpoint].fold
    assert fold is not None
    return fold(stream)


def asked_of(one: Translation, asked: dict[str, Any]) -> Translated | Refused:
    try:
        return one.request(asked, "real")
    except Refused as refused:
        return refused


@pytest.mark.parametrize("name", DIALECTS)
def test_an_endpoint_is_spoken_or_translated(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.name == name
    assert dialect.native.keys().isdisjoint(dialect.translations.keys())
    assert all(path.startswith("/") for path in dialect.native.values())
    header, value = dialect.credential(b"key")
    assert header == header.lower()
    assert value.endswith(b"key")


@TRANSLATIONS
@given(data=st.data(), cuts=CUTS)
@settings(deadline=None)
def test_a_stream_says_what_the_whole_answer_says_in_any_chunking(
    name: str, endpoint: Endpoint, data: st.DataObject, cuts: list[int]
) -> None:
    answer, events = data.draw(ANSWERS[name, endpoint])
    one = translation(name, endpoint)
    stream = sse(*events, named=name == "anthropic")
    told = run(one.stream(ASKED, NOW_S), stream, cuts)
    assert told == run(one.stream(ASKED, NOW_S), stream)
    assert told.endswith(TERMINAL[endpoint])
    assert told.count(TERMINAL[endpoint]) == 1
    folded = folded_of(endpoint, told)
    assert folded.terminal
    assert folded.error is None
    assert folded.lossless, folded.reason
    assert same(folded.answer) == same(one.answer(answer, NOW_S))


@TRANSLATIONS
@given(data=st.data(), at=st.integers(0, 10_000))
@settings(deadline=None)
def test_a_stream_that_is_cut_has_no_end(name: str, endpoint: Endpoint, data: st.DataObject, at: int) -> None:
    _, events = data.draw(ANSWERS[name, endpoint])
    # Gemini has no terminal event: it has ended when each candidate that began has said why.
    begun = sse(*(events[:1] if name == "gemini" else events[:-1]), named=name == "anthropic")
    told = run(translation(name, endpoint).stream(ASKED, NOW_S), begun[: at % (len(begun) + 1)])
    assert TERMINAL[endpoint].strip() not in told


@TRANSLATIONS
@given(stream=st.lists(HOSTILE, max_size=12).map(b"".join), cuts=CUTS)
@settings(deadline=None)
def test_a_hostile_stream_never_raises_and_says_the_same_in_any_chunking(
    name: str, endpoint: Endpoint, stream: bytes, cuts: list[int]
) -> None:
    one = translation(name, endpoint)
    told = run(one.stream(ASKED, NOW_S), stream, cuts)
    assert told == run(one.stream(ASKED, NOW_S), stream)
    folded = folded_of(endpoint, told)
    assert not (folded.terminal and folded.error is not None)
    assert "not JSON" not in folded.reason


@TRANSLATIONS
def test_nothing_follows_an_event_that_cannot_be_read(name: str, endpoint: Endpoint) -> None:
    one = translation(name, endpoint)
    for broken in (b"data: {\n\n", b"data: []\n\n"):
        translator = one.stream(ASKED, NOW_S)
        told = translator.feed(broken)
        assert b'"error"' in told
        assert b"provider_protocol" in told or endpoint is Endpoint.MESSAGES
        assert translator.feed(b"data: [DONE]\n\n") == b""
        assert translator.finish() == b""


@TRANSLATIONS
@pytest.mark.parametrize("size", [2**16, 2**24])
def test_an_endless_line_is_bounded(name: str, endpoint: Endpoint, size: int) -> None:
    translator = translation(name, endpoint).stream(ASKED, NOW_S)
    line = b"x" * size
    told = translator.feed(b"data: ")
    for _ in range(2**26 // size):
        told += translator.feed(line)
    assert b'"error"' in told
    assert translator.feed(b"\n\ndata: [DONE]\n\n") + translator.finish() == b""
    inner: Any = getattr(translator, "inner", translator)
    kept: list[bytes] = inner._split._parts
    assert sum(len(part) for part in kept) <= EVENT_LIMIT_BYTES + 2**16


@TRANSLATIONS
@given(said=EVENTS)
@settings(deadline=None)
def test_an_answer_of_any_shape_is_an_answer_or_an_error(name: str, endpoint: Endpoint, said: Any) -> None:
    answer = translation(name, endpoint).answer(said, NOW_S)
    assert orjson.dumps(answer)
    shape = "choices" if endpoint is Endpoint.CHAT else "content"
    assert isinstance(answer.get(shape), list) != isinstance(answer.get("error"), dict)


@TRANSLATIONS
@pytest.mark.parametrize("depth", [200, *range(246, 258), 300, 900])
def test_an_answer_nested_without_end_can_be_written(name: str, endpoint: Endpoint, depth: int) -> None:
    deep: Any = orjson.loads(b'{"a":' * depth + b"1" + b"}" * depth)
    one = translation(name, endpoint)
    answers: dict[str, Any] = {
        "anthropic": {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": deep}]},
        "gemini": {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": deep}}]}}]},
        "openai": {
            "choices": [
                {"message": {"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": _text(depth)}}]}},
            ]
        },
    }
    assert orjson.dumps(one.answer(answers[name], NOW_S))


def _text(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@TRANSLATIONS
@given(body=st.binary(max_size=40) | EVENTS.map(orjson.dumps), status=st.integers(400, 599))
@settings(deadline=None)
def test_an_error_body_is_an_error_in_the_clients_shape(
    name: str, endpoint: Endpoint, body: bytes, status: int
) -> None:
    said = orjson.loads(translation(name, endpoint).error(body, status))
    assert isinstance(said["error"]["message"], str)
    assert isinstance(said["error"]["type"], str)
    assert (said.get("type") == "error") is (endpoint is Endpoint.MESSAGES)


FIELDS = [
    *("messages", "system", "tools", "tool_choice", "stop", "stop_sequences", "response_format", "thinking"),
    *("metadata", "output_config", "reasoning_effort", "service_tier", "max_tokens", "temperature", "stream"),
    *("extra_body", "parallel_tool_calls", "user", "n"),
]
REQUEST_KEYS = st.sampled_from(
    [
        *("role", "content", "tool_calls", "tool_call_id", "type", "function", "name", "arguments", "parameters"),
        *("image_url", "url", "file", "file_data", "source", "data", "input", "is_error", "json_schema", "schema"),
        *("mode", "allowed_tools", "tools", "google", "thinking_config", "thinking_blocks", "extra_content", "text"),
    ]
)
REQUEST_WORDS = st.sampled_from(
    [
        *("user", "assistant", "system", "tool", "text", "image_url", "file", "function", "tool_use", "tool_result"),
        *("image", "document", "base64", "auto", "required", "allowed_tools", "json_schema", "enabled", "{}", "[]"),
        *("data:a/b;base64,xx", "data:", "http://[", "thinking"),
    ]
)
REQUEST_JSON = st.recursive(
    REQUEST_WORDS | st.none() | st.booleans() | st.integers(0, 2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(REQUEST_KEYS, inner, max_size=4),
    max_leaves=20,
)


@TRANSLATIONS
@given(asked=st.dictionaries(st.sampled_from(FIELDS), REQUEST_JSON | st.lists(REQUEST_JSON, max_size=3), max_size=5))
@settings(deadline=None, max_examples=300)
def test_a_request_of_any_shape_is_translated_or_refused_by_name(
    name: str, endpoint: Endpoint, asked: dict[str, Any]
) -> None:
    told = asked_of(translation(name, endpoint), {"model": "m", **asked})
    if isinstance(told, Refused):
        assert told.code is Code.CANNOT_TRANSLATE
        assert told.status == 400
        assert told.message.startswith("`")
    else:
        assert told.path.startswith("/")
        assert isinstance(orjson.loads(told.body), dict)


@TRANSLATIONS
def test_a_request_nested_without_end_is_refused(name: str, endpoint: Endpoint) -> None:
    deep: Any = orjson.loads(b'{"a":' * 300 + b"1" + b"}" * 300)
    tool = {"name": "f", "parameters": deep, "input_schema": deep}
    chat = {"type": "function", "function": {"name": "f", "parameters": deep}}
    asked = {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [chat if endpoint is Endpoint.CHAT else {k: v for k, v in tool.items() if k != "parameters"}],
    }
    with pytest.raises(Refused) as refused:
        translation(name, endpoint).request(asked, "real")
    assert refused.value.code is Code.CANNOT_TRANSLATE
