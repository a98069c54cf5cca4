"""What we say in OpenAI's words is what OpenAI's library reads: chunks, answers, errors and requests."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ErrorObject
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from tailrace.records import Endpoint
from tailrace.wire.dialects import DIALECTS, messages_as_chat
from tests.wire.dialects.spoken import ASKED, NOW_S, anthropic_answers, data_of, gemini_answers, run, sse

ANSWERS = {"anthropic": anthropic_answers(), "gemini": gemini_answers()}
OURS = {"pause_turn": "stop", "malformed_function_call": "stop"}
"""Words of a provider for which OpenAI has none, and which are told as they are."""

REQUEST: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)


def in_its_words(said: dict[str, Any]) -> dict[str, Any]:
    for choice in said["choices"]:
        choice["finish_reason"] = OURS.get(choice["finish_reason"], choice["finish_reason"])
    return said


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.data())
@settings(deadline=None)
def test_answers_and_chunks(name: str, data: st.DataObject) -> None:
    answer, events = data.draw(ANSWERS[name])
    translation = DIALECTS[name].translations[Endpoint.CHAT]
    whole = ChatCompletion.model_validate(in_its_words(translation.answer(answer, NOW_S)))
    *chunks, last, done = data_of(run(translation.stream(ASKED, NOW_S), sse(*events, named=name == "anthropic")))
    assert done == "[DONE]"
    usage = ChatCompletionChunk.model_validate(last).usage
    assert usage == whole.usage
    for chunk in chunks:
        assert ChatCompletionChunk.model_validate(in_its_words(chunk)).choices


@pytest.mark.parametrize("name", ANSWERS)
def test_errors(name: str) -> None:
    said = DIALECTS[name].translations[Endpoint.CHAT].error(b'{"error":{"message":"Slow down"}}', 429)
    assert ErrorObject.model_validate(orjson.loads(said)["error"]).message == "Slow down"


BLOCKS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "text", "text": "Hi"},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
        {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True},
        {"type": "tool_result", "tool_use_id": "u", "content": [{"type": "text", "text": "a"}] * 2},
    ]
)
SAID: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "text", "text": "Hi"},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}},
    ]
)
FIELDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "system": st.just([{"type": "text", "text": "Be brief."}] * 2),
        "stop_sequences": st.just(["a"]),
        "stream": st.booleans(),
        "temperature": st.just(0.5),
        "tools": st.just([{"name": "f", "input_schema": {"type": "object"}, "strict": True}]),
        "tool_choice": st.sampled_from([{"type": "any", "disable_parallel_tool_use": True}, {"type": "auto"}]),
        "thinking": st.just({"type": "enabled", "budget_tokens": 2048}),
        "output_config": st.just({"effort": "max", "format": {"type": "json_schema", "schema": {}}}),
        "metadata": st.just({"user_id": "u"}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
    },
)


@given(FIELDS, st.lists(st.tuples(st.lists(SAID), st.lists(BLOCKS, min_size=1)), max_size=3))
@settings(deadline=None)
def test_requests(fields: dict[str, Any], turns: list[tuple[list[Any], list[Any]]]) -> None:
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    for said, asked in turns:
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": asked}]
    translated = messages_as_chat.TRANSLATION.request({"max_tokens": 5, "messages": messages, **fields}, "gpt-5.6")
    assert REQUEST.validate_json(translated.body)
