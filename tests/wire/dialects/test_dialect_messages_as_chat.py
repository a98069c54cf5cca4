"""Anthropic's messages over chat completions, and over Gemini by way of them: golden requests, answers and streams."""

from hashlib import sha256
from typing import Any

import orjson
import pytest

from tailrace.errors import Refused
from tailrace.records import Endpoint
from tailrace.wire.dialects import DIALECTS
from tailrace.wire.dialects.compose import Composed
from tailrace.wire.dialects.messages_as_chat import TRANSLATION
from tests.wire.dialects.spoken import ASKED, NOW_S, data_of, run, sse

HI = [{"role": "user", "content": "Hi"}]
OVER_GEMINI = DIALECTS["gemini"].translations[Endpoint.MESSAGES]


def body_of(**asked: Any) -> dict[str, Any]:
    translated = TRANSLATION.request({"model": "claude", "max_tokens": 9, "messages": HI, **asked}, "gpt-5.6")
    assert (translated.path, translated.query) == ("/chat/completions", b"")
    body: dict[str, Any] = orjson.loads(translated.body)
    return body


def messages_of(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = body_of(messages=[*messages])["messages"]
    return said


def test_a_request_as_claude_code_sends_it() -> None:
    user_id = '{"device_id":"' + "d" * 64 + '","session_id":"s"}'
    mark = {"cache_control": {"type": "ephemeral"}}
    body = body_of(
        stream=True,
        system=[{"type": "text", "text": "You are Claude Code.", **mark}, {"type": "text", "text": "Be brief."}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Fix it", **mark}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Read first.", "signature": ""},
                    {"type": "thinking", "thinking": "Claude's own.", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "text", "text": "Reading."},
                    {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a.py"}},
                    {"type": "tool_use", "id": "t2", "name": "Shot", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "content": [
                            {"type": "text", "text": "A shot"},
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                            },
                        ],
                        **mark,
                    },
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
        tools=[{"name": "Read", "description": "Reads", "input_schema": {"type": "object"}, **mark}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        metadata={"user_id": user_id},
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "xhigh"},
        context_management={"edits": []},
        temperature=1,
    )
    assert body == {
        "model": "gpt-5.6",
        "max_completion_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1,
        "messages": [
            {"role": "system", "content": "You are Claude Code.\n\nBe brief."},
            {"role": "user", "content": "Fix it"},
            {
                "role": "assistant",
                "content": "Reading.",
                "reasoning_content": "Read first.",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "Read", "arguments": '{"path":"a.py"}'}},
                    {"id": "t2", "type": "function", "function": {"name": "Shot", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Error: no such file"},
            {"role": "tool", "tool_call_id": "t2", "content": "A shot"},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "Read", "description": "Reads", "parameters": {"type": "object"}},
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "user": sha256(user_id.encode()).hexdigest(),
        "reasoning_effort": "xhigh",
    }


def test_parts_of_a_user() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    content = [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf", "citations": {"enabled": False}},
        {"type": "document", "source": pdf},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words"}, "title": "T"},
    ]
    assert messages_of({"role": "user", "content": content}) == [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
                {
                    "type": "file",
                    "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                },
                {"type": "text", "text": "T\n\nWords"},
            ],
        }
    ]


def test_a_tool_s_failure_is_said_once() -> None:
    def result(**said: Any) -> Any:
        block = {"type": "tool_result", "tool_use_id": "t", "is_error": True, **said}
        return messages_of({"role": "user", "content": [block]})[0]["content"]

    assert result(content="Error: gone") == "Error: gone"
    assert result(content=[{"type": "text", "text": "gone"}]) == "Error: gone"
    assert result() == "Error: "
    assert result(content="fine", is_error=False) == "fine"


def test_system_messages_stay_where_they_are() -> None:
    said = messages_of(*HI, {"role": "system", "content": "Now in verse."}, *HI)
    assert [message["role"] for message in said] == ["user", "system", "user"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"stop_sequences": []}, {}),
        ({"stream": False}, {"stream": False}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        ({"thinking": {"type": "disabled"}}, {}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 30_000}}, {"reasoning_effort": "high"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 30_000}, "output_config": {"effort": "low"}},
            {"reasoning_effort": "low"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"metadata": {"user_id": None}}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"cache_control": {"type": "ephemeral"}, "speed": "standard", "container": None}, {}),
        (
            {"tools": [{"type": "custom", "name": "f", "input_schema": {}, "strict": True, "defer_loading": False}]},
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}]},
        ),
    ],
)
def test_what_becomes_of_a_field(asked: dict[str, Any], said: dict[str, Any]) -> None:
    assert body_of(**asked) == {"model": "gpt-5.6", "max_completion_tokens": 9, "messages": HI, **said}


def part_in(block: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [*HI, {"role": role, "content": [block]}, *HI]}


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"top_k": 4}, "top_k"),
        ({"container": "c"}, "container"),
        ({"speed": "fast"}, "speed"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "other"}}, "thinking.type"),
        ({"output_config": {"task_budget": 1}}, "output_config.task_budget"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"metadata": {"other": 1}}, "metadata.other"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"messages": [*HI, {"role": "assistant", "content": "The"}]}, "messages[1].role"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        (part_in({"type": "search_result"}), "messages[1].content[0].type"),
        (part_in({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages[1].content[0].source.type"),
        (
            part_in({"type": "document", "source": {"type": "url", "url": "https://a"}}),
            "messages[1].content[0].source.type",
        ),
        (
            part_in({"type": "document", "source": {}, "citations": {"enabled": True}}),
            "messages[1].content[0].citations",
        ),
        (part_in({"type": "document", "source": {}, "context": "c"}), "messages[1].content[0].context"),
        (part_in({"type": "server_tool_use"}, "assistant"), "messages[1].content[0].type"),
        (
            part_in({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference"}]}),
            "messages[1].content[0].content[0].type",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(asked: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as refused:
        body_of(**asked)
    assert refused.value.message.split("`")[1] == path


ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5.6",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "refusal": None,
                "reasoning_content": "Look outside.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}},
                    {
                        "id": "c2",
                        "type": "function",
                        "function": {"name": "time", "arguments": ""},
                        "extra_content": {"google": {"thought_signature": "sig"}},
                    },
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 7,
        "total_tokens": 27,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}


def test_an_answer() -> None:
    assert TRANSLATION.answer(ANSWER, NOW_S) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-5.6",
        "content": [
            {"type": "thinking", "thinking": "Look outside.", "signature": ""},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
            {
                "type": "tool_use",
                "id": "c2",
                "name": "time",
                "input": {},
                "extra_content": {"google": {"thought_signature": "sig"}},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 5,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }


def test_an_echoed_answer_goes_back_as_it_came() -> None:
    echoed = {"role": "assistant", "content": TRANSLATION.answer(ANSWER, NOW_S)["content"]}
    said = messages_of(*HI, echoed, *HI)[1]
    came: Any = ANSWER["choices"][0]["message"]
    assert said["content"] == came["content"]
    assert said["reasoning_content"] == came["reasoning_content"]
    assert said["tool_calls"][1]["extra_content"] == came["tool_calls"][1]["extra_content"]


@pytest.mark.parametrize(
    ("message", "finish_reason", "stop_reason"),
    [
        ({"content": "a"}, "stop", "end_turn"),
        ({"content": "a"}, "length", "max_tokens"),
        ({"content": "a"}, "content_filter", "refusal"),
        ({"content": "a"}, "other", "other"),
        ({"content": "a"}, None, None),
        ({"refusal": "No."}, "stop", "refusal"),
        ({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, "stop", "tool_use"),
        ({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, "length", "max_tokens"),
    ],
)
def test_why_it_ended(message: dict[str, Any], finish_reason: str | None, stop_reason: str | None) -> None:
    said = TRANSLATION.answer({"choices": [{"message": message, "finish_reason": finish_reason}]}, NOW_S)
    assert said["stop_reason"] == stop_reason
    assert said["usage"]["input_tokens"] is None


@pytest.mark.parametrize("arguments", ["{", "[]", '"a"'])
def test_arguments_that_are_no_object_make_an_error(arguments: str) -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": arguments}}]
    said = TRANSLATION.answer({"choices": [{"message": {"tool_calls": calls}}]}, NOW_S)
    assert said["type"] == "error"


def test_a_content_in_parts_is_text() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    said = TRANSLATION.answer({"choices": [{"message": {"content": parts}}]}, NOW_S)
    assert said["content"] == [{"type": "text", "text": "ab"}]


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        (b'{"error":{"message":"Slow down","type":"tokens","code":"rate"}}', 429, "rate_limit_error", "Slow down"),
        (b'{"error":"model not found"}', 404, "not_found_error", "model not found"),
        (b'{"detail":"Unauthorized"}', 401, "authentication_error", "Unauthorized"),
        (b'{"object":"error","message":"too long"}', 400, "invalid_request_error", "too long"),
        (b"<html>", 502, "api_error", "The provider answered 502 with a body that is no error of its dialect."),
        (b"", 503, "overloaded_error", "The provider answered 503 with a body that is no error of its dialect."),
    ],
)
def test_errors(body: bytes, status: int, kind: str, message: str) -> None:
    said = orjson.loads(TRANSLATION.error(body, status))
    assert said["type"] == "error"
    assert said["error"]["type"] == kind
    assert said["error"]["message"].startswith(message)


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "model": "gpt-5.6", "choices": [choice], "usage": None}


def called(index: int | None, arguments: str, name: str = "") -> dict[str, Any]:
    call: dict[str, Any] = {"function": {"arguments": arguments}}
    if name:
        call = {"id": f"id-{name}", "type": "function", "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [call if index is None else {"index": index, **call}]})


DEEP = (
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f"},"extra_content":'
    + (b'{"a":' * 300 + b"1" + b"}" * 300)
    + b"}]}}]}\n\n"
)
AZURE = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
USAGE = {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}
DONE = b"data: [DONE]\n\n"


def told(*events: Any) -> list[Any]:
    stream = run(TRANSLATION.stream(ASKED, NOW_S), sse(*events))
    for block in stream.split(b"\n\n")[:-1]:  # each event's name is its type
        name, data = block.splitlines()
        assert name == b"event: " + orjson.loads(data[6:])["type"].encode()
    return data_of(stream)


def delta(index: int, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def begun(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def ended(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_a_stream_with_everything_in_it() -> None:
    said = told(
        AZURE,
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "Let me "}),
        chunk({"content": "look."}),
        called(0, "", "weather"),
        called(0, '{"city":'),
        called(0, '"Ulm"}'),
        called(1, "{}", "time"),
        called(0, ""),
        chunk({}, "tool_calls"),
        chunk({}),
        USAGE,
        DONE,
    )
    usage = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    message = {"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "gpt-5.6", "content": []}
    assert said == [
        {
            "type": "message_start",
            "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage},
        },
        begun(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm"),
        ended(0),
        begun(1, type="text", text=""),
        delta(1, type="text_delta", text="Let me "),
        delta(1, type="text_delta", text="look."),
        ended(1),
        begun(2, type="tool_use", id="id-weather", name="weather", input={}),
        delta(2, type="input_json_delta", partial_json='{"city":'),
        delta(2, type="input_json_delta", partial_json='"Ulm"}'),
        ended(2),
        begun(3, type="tool_use", id="id-time", name="time", input={}),
        delta(3, type="input_json_delta", partial_json="{}"),
        ended(3),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {**usage, "input_tokens": 5, "output_tokens": 6},
        },
        {"type": "message_stop"},
    ]


def test_calls_without_an_index_follow_one_another() -> None:
    said = told(called(None, "{}", "f"), called(None, "{", "g"), called(None, "}"), chunk({}, "stop"), DONE)
    starts = [event["content_block"]["name"] for event in said if event["type"] == "content_block_start"]
    assert starts == ["f", "g"]
    assert said[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    "events",
    [
        [called(0, "{", "f"), called(1, "{", "g"), called(0, "}")],
        [called(0, "{")],
        [called(-1, "{", "f")],
        [called(5000, "{", "f")],
        [DEEP],
    ],
)
def test_a_stream_that_messages_cannot_tell_ends_in_an_error(events: list[Any]) -> None:
    said = told(*events, chunk({}, "stop"), DONE)
    assert said[-1]["type"] == "error"


def test_an_error_event_is_the_last_thing_said() -> None:
    said = told(chunk({"content": "a"}), {"error": {"message": "Overloaded", "type": "overloaded_error"}}, DONE)
    assert said[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def test_other_choices_are_not_told() -> None:
    other = {"id": "c", "choices": [{"index": 1, "delta": {"content": "no"}}]}
    assert [event["type"] for event in told(other, DONE)] == ["message_start", "message_delta", "message_stop"]


class Shouting:
    """A translator that says the same, and that it was told of the end."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def feed(self, chunk: bytes) -> bytes:
        return self.name + chunk

    def finish(self) -> bytes:
        return self.name + b"."


def test_two_translators_hand_on_what_they_say_and_the_end() -> None:
    class Shout:
        request = answer = error = None

        def __init__(self, name: bytes) -> None:
            self.name = name

        def stream(self, asked: dict[str, Any], now_s: int) -> Shouting:
            return Shouting(self.name)

    both = Composed(Shout(b"o"), Shout(b"i"), {})  # type: ignore[arg-type]
    translator = both.stream({}, NOW_S)
    assert translator.feed(b"x") == b"oix"
    assert translator.finish() == b"oi.o."


def test_a_client_of_messages_over_gemini() -> None:
    asked = {
        "model": "claude",
        "max_tokens": 9,
        "stream": True,
        "system": "Be brief.",
        "messages": [
            *HI,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "2"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": "u"},
    }
    said = OVER_GEMINI.request(asked, "gemini-2.5-pro")
    assert (said.path, said.query) == ("/models/gemini-2.5-pro:streamGenerateContent", b"alt=sse")
    assert orjson.loads(said.body) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "t", "name": "f", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "t", "name": "f", "response": {"output": "2"}}}]},
        ],
        "generationConfig": {"maxOutputTokens": 9},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    }
    event = {
        "responseId": "r",
        "modelVersion": "g",
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
    }
    events = data_of(run(OVER_GEMINI.stream(asked, NOW_S), sse(event)))
    assert [said["type"] for said in events] == [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert events[-2]["usage"]["input_tokens"] == 3
    error = orjson.loads(OVER_GEMINI.error(b'{"error":{"message":"Quota","status":"RESOURCE_EXHAUSTED"}}', 429))
    assert error["error"] == {"type": "rate_limit_error", "message": "Quota", "code": "RESOURCE_EXHAUSTED"}
