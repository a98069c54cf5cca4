"""Chat completions over Gemini: golden requests, answers and streams, each way."""

from typing import Any

import orjson
import pytest

from tailrace.errors import Refused
from tailrace.wire.dialects.chat_as_gemini import TRANSLATION
from tailrace.wire.dialects.chat_as_gemini.contents import NO_SIGNATURE
from tests.wire.dialects.spoken import ASKED, NOW_S, data_of, run, sse

HI = [{"role": "user", "content": "Hi"}]
MODEL = "gemini-3.8-flash"
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Outside", "parameters": {"type": "object"}},
}
STRICT = {"type": "function", "function": {"name": "weather", "strict": True}}


def body_of(model: str = MODEL, **asked: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(TRANSLATION.request({"model": "alias", "messages": HI, **asked}, model).body)
    return body


def config_of(model: str = MODEL, **asked: Any) -> Any:
    return body_of(model, **asked).get("generationConfig")


def call(name: str, arguments: str, call_id: str, signature: str = "") -> dict[str, Any]:
    said: dict[str, Any] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {**said, "extra_content": {"google": {"thought_signature": signature}}} if signature else said


@pytest.mark.parametrize(
    ("model", "stream", "path", "query"),
    [
        (MODEL, False, "/models/gemini-3.8-flash:generateContent", b""),
        (MODEL, None, "/models/gemini-3.8-flash:generateContent", b""),
        ("models/gemini-2.5-pro", True, "/models/gemini-2.5-pro:streamGenerateContent", b"alt=sse"),
        ("../../admin?x#y", True, "/models/..%2F..%2Fadmin%3Fx%23y:streamGenerateContent", b"alt=sse"),
    ],
)
def test_the_model_and_the_wish_for_a_stream_stand_in_the_path(
    model: str, stream: bool | None, path: str, query: bytes
) -> None:
    said = TRANSLATION.request({"model": "alias", "messages": HI, "stream": stream}, model)
    assert (said.path, said.query) == (path, query)
    assert orjson.loads(said.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_messages() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.JPG?x=1"}},
                {"type": "image_url", "image_url": {"url": "gs://bucket/a"}},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "CCCC"}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [call("weather", '{"city":"Ulm"}', "a", "c2ln"), call("time", "", "b")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Rain"},
        {"role": "developer", "content": "In verse."},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}],
        },
        {
            "role": "assistant",
            "content": "So",
            "reasoning_content": "thinking",
            "extra_content": {"google": {"thought_signature": "ZW5k"}},
        },
        {"role": "user", "content": "And?"},
    ]
    assert body_of(messages=messages) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In verse."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is it?"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"fileData": {"fileUri": "https://example.org/a.JPG?x=1", "mimeType": "image/jpeg"}},
                    {"fileData": {"fileUri": "gs://bucket/a"}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "CCCC"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"id": "a", "name": "weather", "args": {"city": "Ulm"}},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"id": "b", "name": "time", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "a", "name": "weather", "response": {"output": "Rain"}}},
                    {"functionResponse": {"id": "b", "name": "time", "response": {"output": "1\n2"}}},
                ],
            },
            {"role": "model", "parts": [{"text": "So", "thoughtSignature": "ZW5k"}]},
            {"role": "user", "parts": [{"text": "And?"}]},
        ],
    }


def test_a_lost_signature_is_made_good_where_the_model_asks_for_one() -> None:
    messages = [*HI, {"role": "assistant", "tool_calls": [call("f", "{}", "a"), call("f", "{}", "b")]}]
    first, second = body_of(messages=messages)["contents"][1]["parts"]
    assert first["thoughtSignature"] == NO_SIGNATURE
    assert "thoughtSignature" not in second
    for part in body_of("gemini-2.5-pro", messages=messages)["contents"][1]["parts"]:
        assert "thoughtSignature" not in part


def test_a_tool_s_image_is_part_of_its_answer() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call("f", "{}", "a")]},
        {"role": "tool", "tool_call_id": "a", "content": [image]},
    ]
    said = body_of(messages=messages)["contents"][2]["parts"][0]["functionResponse"]
    assert said["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    assert said["response"] == {"output": ""}


@pytest.mark.parametrize(
    ("asked", "config"),
    [
        ({"max_tokens": 7}, {"maxOutputTokens": 7}),
        ({"max_completion_tokens": 7}, {"maxOutputTokens": 7}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"n": 2, "seed": 1}, {"candidateCount": 2, "seed": 1}),
        ({"temperature": 1.5, "top_p": 0.1, "top_k": 3}, {"temperature": 1.5, "topP": 0.1, "topK": 3}),
        ({"frequency_penalty": 1, "presence_penalty": -1}, {"frequencyPenalty": 1, "presencePenalty": -1}),
        ({"logprobs": True, "top_logprobs": 2}, {"responseLogprobs": True, "logprobs": 2}),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
        ({"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
        ({"reasoning_effort": "low"}, {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}),
        ({"reasoning_effort": "max"}, {"thinkingConfig": {"thinkingLevel": "XHIGH", "includeThoughts": True}}),
        (
            {
                "extra_body": {"google": {"thinking_config": {"thinking_budget": 5}}},
                "reasoning_effort": "low",
            },
            {"thinkingConfig": {"thinking_budget": 5}},
        ),
        ({"user": "u", "safety_identifier": "u", "store": True, "metadata": {"a": "b"}}, None),
        ({"parallel_tool_calls": True, "verbosity": "medium"}, None),
    ],
)
def test_what_becomes_of_a_field(asked: dict[str, Any], config: Any) -> None:
    assert config_of(**asked) == config


def test_models_before_gemini_3_think_by_budget() -> None:
    said = config_of("gemini-2.5-flash", reasoning_effort="medium")
    assert said == {"thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True}}


@pytest.mark.parametrize(
    ("tool", "choice", "calling"),
    [
        (TOOL, None, None),
        (TOOL, "auto", {"mode": "AUTO"}),
        (TOOL, "none", {"mode": "NONE"}),
        (TOOL, "required", {"mode": "ANY"}),
        (STRICT, None, {"mode": "VALIDATED"}),
        (STRICT, "required", {"mode": "ANY"}),
        (
            TOOL,
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (
            TOOL,
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tools(tool: Any, choice: Any, calling: Any) -> None:
    body = body_of(tools=[tool], tool_choice=choice)
    said = {"name": "weather"}
    if tool is TOOL:
        said |= {"description": "Outside", "parametersJsonSchema": {"type": "object"}}  # type: ignore[dict-item]
    assert body["tools"] == [{"functionDeclarations": [said]}]
    assert body.get("toolConfig") == (None if calling is None else {"functionCallingConfig": calling})


@pytest.mark.parametrize(
    ("tier", "said"), [("auto", None), ("default", "standard"), ("flex", "flex"), ("priority", "priority")]
)
def test_service_tiers(tier: str, said: str | None) -> None:
    assert body_of(service_tier=tier).get("serviceTier") == said


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"verbosity": "low"}, "verbosity"),
        ({"prediction": {"type": "content", "content": "a"}}, "prediction"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"extra_body": {"google": {"cached_content": "c"}}}, "extra_body.google.cached_content"),
        ({"extra_body": {"other": 1, "google": {}}}, "extra_body.other"),
        ({"messages": [*HI, {"role": "tool", "tool_call_id": "x", "content": "1"}]}, "messages[1].tool_call_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///a"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "AAAA"}}]}]},
            "messages[0].content[0].file.file_data",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(asked: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as refused:
        body_of(**asked)
    assert refused.value.message.split("`")[1] == path


ANSWER: dict[str, Any] = {
    "responseId": "r1",
    "modelVersion": MODEL,
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Look outside.", "thought": True},
                    {"text": "Let me "},
                    {"text": "look.", "thoughtSignature": "ZW5k"},
                    {"functionCall": {"name": "weather", "args": {"city": "Ulm"}}, "thoughtSignature": "c2ln"},
                    {"functionCall": {"id": "own", "name": "time", "args": {}}},
                ],
            },
            "finishReason": "STOP",
            "logprobsResult": {
                "chosenCandidates": [{"token": "ü", "tokenId": 5, "logProbability": -0.5}],
                "topCandidates": [{"candidates": [{"token": "u", "logProbability": -1.5}]}],
            },
        },
        {"index": 1, "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
    ],
    "usageMetadata": {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 1,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 36,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 2}],
    },
}


def test_an_answer() -> None:
    assert TRANSLATION.answer(ANSWER, NOW_S) == {
        "id": "r1",
        "object": "chat.completion",
        "created": NOW_S,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me look.",
                    "refusal": None,
                    "reasoning_content": "Look outside.",
                    "tool_calls": [
                        call("weather", '{"city":"Ulm"}', "call_r1_0_0", "c2ln"),
                        call("time", "{}", "own"),
                    ],
                    "extra_content": {"google": {"thought_signature": "ZW5k"}},
                },
                "logprobs": {
                    "content": [
                        {
                            "token": "ü",
                            "logprob": -0.5,
                            "bytes": [0xC3, 0xBC],
                            "top_logprobs": [{"token": "u", "logprob": -1.5, "bytes": [0x75]}],
                        }
                    ],
                    "refusal": None,
                },
                "finish_reason": "tool_calls",
            },
            {
                "index": 1,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
                },
                "logprobs": None,
                "finish_reason": None,
            },
        ],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 25,
            "total_tokens": 36,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
        ("FINISH_REASON_UNSPECIFIED", None),
        (None, None),
    ],
)
def test_why_it_ended(reason: str | None, finish_reason: str | None) -> None:
    answer = TRANSLATION.answer({"candidates": [{"finishReason": reason}]}, NOW_S)
    assert answer["choices"][0]["finish_reason"] == finish_reason
    assert "usage" not in answer


BLOCKED = {"responseId": "r1", "modelVersion": MODEL, "promptFeedback": {"blockReason": "SAFETY"}}


def test_a_blocked_prompt_is_a_refusal() -> None:
    answer = TRANSLATION.answer(BLOCKED, NOW_S)
    assert answer["choices"][0]["message"]["refusal"] == "The prompt was blocked: SAFETY."
    assert answer["choices"][0]["finish_reason"] == "content_filter"
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(BLOCKED)))
    assert told[0]["choices"][0]["delta"]["refusal"] == "The prompt was blocked: SAFETY."
    assert told[1]["choices"][0]["finish_reason"] == "content_filter"
    assert told[2:] == ["[DONE]"]


def test_errors() -> None:
    body = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": []}}
    said = {"error": {"message": "Quota", "type": "rate_limit_error", "param": None, "code": "RESOURCE_EXHAUSTED"}}
    assert orjson.loads(TRANSLATION.error(orjson.dumps(body), 429)) == said
    assert orjson.loads(TRANSLATION.error(orjson.dumps([body]), 429)) == said
    assert TRANSLATION.answer(body, NOW_S) == said
    assert data_of(run(TRANSLATION.stream({}, NOW_S), sse(piece("a"), body, piece("b", "STOP"))))[1:] == [said]


def piece(text: str, reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": index, "content": {"parts": [{"text": text}]}}
    if reason:
        candidate["finishReason"] = reason
    return {"responseId": "r1", "modelVersion": MODEL, "candidates": [candidate], **more}


def chunk(said: dict[str, Any], finish_reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": said, "logprobs": None, "finish_reason": finish_reason}
    whole = {"id": "r1", "object": "chat.completion.chunk", "created": NOW_S, "model": MODEL}
    return {**whole, "choices": [choice], **more}


FIRST = {"role": "assistant", "content": None, "refusal": None}


def test_a_stream() -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2}
    stream = sse(piece("Hel"), piece("lo", "STOP", usageMetadata=usage)).replace(b"\n", b"\r\n")
    translator = TRANSLATION.stream(ASKED, NOW_S)
    told = translator.feed(stream)
    assert b"[DONE]" not in told
    assert data_of(told + translator.finish()) == [
        chunk({**FIRST, "content": "Hel"}, usage=None),
        chunk({"content": "lo"}, usage=None),
        chunk({}, "stop", usage=None),
        chunk({}, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}) | {"choices": []},
        "[DONE]",
    ]


def test_an_answer_has_ended_when_each_candidate_has() -> None:
    begun = [piece("a"), piece("b", index=1), piece("c", "STOP")]
    assert "[DONE]" not in data_of(run(TRANSLATION.stream({}, NOW_S), sse(*begun)))
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(*begun, piece("d", "MAX_TOKENS", 1))))
    assert told[-2:] == [chunk({}, "length", 1), "[DONE]"]
    assert data_of(run(TRANSLATION.stream({}, NOW_S), b"")) == []


def test_calls_of_a_stream_are_counted_over_its_events() -> None:
    def calling(name: str, reason: str | None = None) -> dict[str, Any]:
        said = piece("", reason)
        said["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": name, "args": {}}}]
        return said

    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(calling("f"), calling("g", "STOP"))))
    calls = [c for said in told[:-1] for c in said["choices"][0]["delta"].get("tool_calls", ())]
    assert calls == [
        {"index": 0, **call("f", "{}", "call_r1_0_0")},
        {"index": 1, **call("g", "{}", "call_r1_0_1")},
    ]
    assert told[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_what_came_with_an_answer_goes_back_with_it() -> None:
    message = TRANSLATION.answer(ANSWER, NOW_S)["choices"][0]["message"]
    parts = body_of(messages=[*HI, message])["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["ZW5k", "c2ln", None]


@pytest.mark.parametrize("index", [-1, 1024, "0", 0.5])
def test_a_candidate_without_a_valid_index_ends_the_stream(index: Any) -> None:
    told = data_of(run(TRANSLATION.stream({}, NOW_S), sse(piece("a", "STOP", index))))
    assert told[-1]["error"]["code"] == "provider_protocol"
