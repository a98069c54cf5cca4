"""Chat completions over Anthropic: golden requests, answers and streams, each way."""

from typing import Any

import orjson
import pytest

from tailrace.errors import Refused
from tailrace.wire.dialects.chat_as_messages import TRANSLATION
from tailrace.wire.dialects.chat_as_messages.request import DEFAULT_MAX_TOKENS
from tests.wire.dialects.spoken import ASKED, NOW_S, data_of, run, sse

HI = [{"role": "user", "content": "Hi"}]
PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "What it is like outside",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}


def body_of(**asked: Any) -> dict[str, Any]:
    translated = TRANSLATION.request({"model": "alias", "messages": HI, **asked}, "claude-opus-5-5")
    assert (translated.path, translated.query) == ("/messages", b"")
    body: dict[str, Any] = orjson.loads(translated.body)
    return body


def refusal_of(**asked: Any) -> str:
    with pytest.raises(Refused) as refused:
        body_of(**asked)
    return refused.value.message.split("`")[1]


def test_a_request_with_everything_in_it() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,w7w="}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "refusal": None,
            "reasoning_content": "Look outside.",
            "thinking_blocks": [{"type": "thinking", "thinking": "Look outside.", "signature": "sig"}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}},
                {"id": "functions.b:1", "type": "function", "function": {"name": "weather", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Rain"},
        {"role": "tool", "tool_call_id": "functions.b:1", "content": [{"type": "text", "text": "Sun"}]},
        {"role": "developer", "content": [{"type": "text", "text": "In verse."}]},
        {"role": "user", "content": "And?"},
    ]
    body = body_of(
        messages=messages,
        max_completion_tokens=500,
        stop=["END", "\n\n"],
        temperature=0.5,
        top_p=0.9,
        stream=True,
        stream_options={"include_usage": True},
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "description": "An answer", "schema": {"type": "object"}, "strict": True},
        },
        reasoning_effort="high",
        user="old",
        safety_identifier="u-1",
        service_tier="default",
        metadata={"session_id": "s"},
        store=True,
        seed=None,
        n=1,
    )
    assert body == {
        "model": "claude-opus-5-5",
        "max_tokens": 500,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "In verse."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                        "title": "a.pdf",
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "ü"},
                        "title": "a.txt",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Look outside.", "signature": "sig"},
                    {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Ulm"}},
                    {"type": "tool_use", "id": "functions_b_1", "name": "weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "Rain"},
                    {"type": "tool_result", "tool_use_id": "functions_b_1", "content": "Sun"},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "stop_sequences": ["END", "\n\n"],
        "temperature": 0.5,
        "top_p": 0.9,
        "stream": True,
        "tools": [
            {
                "name": "weather",
                "description": "What it is like outside",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
                "strict": True,
            }
        ],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "output_config": {
            "format": {"type": "json_schema", "schema": {"description": "An answer", "type": "object"}},
            "effort": "high",
        },
        "thinking": {"type": "adaptive"},
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, {"max_tokens": DEFAULT_MAX_TOKENS}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": []}, {}),
        ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        ({"parallel_tool_calls": False}, {}),
        ({"parallel_tool_calls": True}, {}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}),
        (
            {"reasoning_effort": "max", "thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"output_config": {"effort": "max"}, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"modalities": ["text"], "frequency_penalty": 0, "logprobs": False, "logit_bias": {}}, {}),
        ({"litellm_session_id": "s", "session_id": "s"}, {}),
    ],
)
def test_what_becomes_of_a_field(asked: dict[str, Any], said: dict[str, Any]) -> None:
    plain = {"model": "claude-opus-5-5", "max_tokens": DEFAULT_MAX_TOKENS}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert body_of(**asked) == {**plain, "messages": messages, **said}


def test_parallel_calls_are_only_spoken_of_where_there_are_tools() -> None:
    said = body_of(tools=[TOOL], parallel_tool_calls=False)["tool_choice"]
    assert said == {"type": "auto", "disable_parallel_tool_use": True}
    assert body_of(tools=[TOOL], parallel_tool_calls=False, tool_choice="none")["tool_choice"] == {"type": "none"}


def test_allowed_tools_are_the_only_ones_sent() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    body = body_of(tools=[TOOL, other], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert body["tools"] == [{"name": "other", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "any"}


def test_openai_s_cache_mark_lasts_as_long_there() -> None:
    part = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    content = body_of(messages=[{"role": "user", "content": [part]}])["messages"][0]["content"]
    assert content == [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]


def part_in(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*HI, {"role": "user", "content": [{"type": "text", "text": "a"}, part]}]}


def call_in(call: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*HI, {"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"temperature": 1.1}, "temperature"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"parameters": {}}}]}, "tools[0].function.name"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "a"}}}, "tool_choice.type"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "function", "name": "f", "content": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        (
            part_in({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
            "messages[1].content[1].input_audio",
        ),
        (part_in({"type": "video"}), "messages[1].content[1].type"),
        (
            part_in({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
            "messages[1].content[1].image_url.url",
        ),
        (
            part_in({"type": "image_url", "image_url": {"url": "data:image/png,raw"}}),
            "messages[1].content[1].image_url.url",
        ),
        (part_in({"type": "file", "file": {"file_id": "f"}}), "messages[1].content[1].file.file_id"),
        (part_in({"type": "file", "file": {"file_data": "AAAA"}}), "messages[1].content[1].file.file_data"),
        (
            part_in({"type": "file", "file": {"file_data": "data:text/plain;base64,%"}}),
            "messages[1].content[1].file.file_data",
        ),
        (
            call_in({"id": "a", "function": {"name": "f", "arguments": "{"}}),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (
            call_in({"id": "a", "function": {"name": "f", "arguments": "[]"}}),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (call_in({"id": "a", "type": "custom", "custom": {}}), "messages[1].tool_calls[0].type"),
        ({"messages": [*HI, {"role": "assistant", "audio": {"id": "a"}}]}, "messages[1].audio"),
        ({"messages": [*HI, {"role": "tool", "content": "1"}]}, "messages[1].tool_call_id"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(asked: dict[str, Any], path: str) -> None:
    assert refusal_of(**asked) == path


ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [
        {"type": "thinking", "thinking": "Look outside.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Ulm"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 2,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 12},
    },
}
CHAT: dict[str, Any] = {
    "id": "msg_1",
    "object": "chat.completion",
    "created": NOW_S,
    "model": "claude-opus-5-5",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "refusal": None,
                "reasoning_content": "Look outside.",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Look outside.", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xyz"},
                ],
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Ulm"}'},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 17,
        "completion_tokens": 30,
        "total_tokens": 47,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 12},
    },
}


def test_an_answer() -> None:
    assert TRANSLATION.answer(ANSWER, NOW_S) == CHAT


def test_an_echoed_answer_goes_back_as_it_came() -> None:
    """But for the pieces of text, which chat puts together."""
    echoed = body_of(messages=[*HI, CHAT["choices"][0]["message"]])["messages"][1]["content"]
    assert [block for block in echoed if block["type"] != "text"] == [
        block for block in ANSWER["content"] if block["type"] != "text"
    ]


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        (None, None),
    ],
)
def test_why_it_ended(reason: str | None, finish_reason: str | None) -> None:
    answer = TRANSLATION.answer({"content": [], "stop_reason": reason}, NOW_S)
    assert answer["choices"][0]["finish_reason"] == finish_reason
    assert "usage" not in answer


def test_a_refusal_s_explanation() -> None:
    details = {"type": "refusal", "explanation": "No."}
    said = TRANSLATION.answer({"content": [], "stop_reason": "refusal", "stop_details": details}, NOW_S)
    assert said["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": "No."}


def test_errors() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}'
    said = {"error": {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": None}}
    assert orjson.loads(TRANSLATION.error(body, 529)) == said
    assert TRANSLATION.answer(orjson.loads(body), NOW_S) == said
    unreadable = orjson.loads(TRANSLATION.error(b"<html>", 502))["error"]
    assert unreadable["code"] == "provider_status"
    assert "<html>" in unreadable["message"]


BEGIN = {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
STOP = {"type": "content_block_stop", "index": 0}
END = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}]
LAST = {"type": "message_stop"}


def delta(**said: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": said}


def chunk(said: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": said, "logprobs": None, "finish_reason": finish_reason}
    whole = {"id": "msg_1", "object": "chat.completion.chunk", "created": NOW_S, "model": "claude"}
    return {**whole, "choices": [choice], **more}


def test_a_stream() -> None:
    stream = sse(
        BEGIN, TEXT, {"type": "ping"}, delta(type="text_delta", text="Hel"), delta(type="text_delta", text="lo"), STOP,
        *END, LAST, named=True,
    )  # fmt: skip
    told = run(TRANSLATION.stream({"stream": True}, NOW_S), stream)
    assert b": ping\n\n" in told
    assert data_of(told) == [
        chunk({"role": "assistant", "content": None, "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        "[DONE]",
    ]


def test_usage_is_only_told_where_it_was_asked_for() -> None:
    told = data_of(run(TRANSLATION.stream(ASKED, NOW_S), sse(BEGIN, *END, LAST)))
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert told == [
        chunk({"role": "assistant", "content": None, "refusal": None}, usage=None),
        chunk({}, "stop", usage=None),
        chunk({}, usage=usage) | {"choices": []},
        "[DONE]",
    ]


def test_a_tool_s_arguments_come_in_pieces_and_end_where_they_end() -> None:
    begun = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": begun}
    cut = [BEGIN, start, delta(type="input_json_delta", partial_json='{"a'), *END, LAST]
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(*cut)))
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert told[1:-2] == [
        chunk({"tool_calls": [{"index": 0, **call}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}),
    ]
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(BEGIN, start, STOP, *END, LAST)))
    assert told[2] == chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})


def test_an_error_event_is_the_last_thing_said() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(BEGIN, error, *END, LAST, named=True)))
    assert told[1:] == [
        {"error": {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": None}},
    ]


@pytest.mark.parametrize(
    "events",
    [
        [TEXT],
        [BEGIN, BEGIN],
        [BEGIN, delta(type="thinking_delta", thinking="a")],
        [BEGIN, delta(type="input_json_delta", partial_json="{")],
        [BEGIN, {**TEXT, "index": -1}],
        [BEGIN, {**TEXT, "index": "0"}],
    ],
)
def test_a_stream_that_breaks_the_protocol_ends_in_an_error(events: list[Any]) -> None:
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(*events, *END, LAST)))
    assert told[-1]["error"]["code"] == "provider_protocol"
    assert "[DONE]" not in told


def test_a_last_event_without_its_blank_line_counts() -> None:
    told = run(TRANSLATION.stream({}, NOW_S), sse(BEGIN, *END, LAST).rstrip(b"\n"))
    assert told.endswith(b"data: [DONE]\n\n")
