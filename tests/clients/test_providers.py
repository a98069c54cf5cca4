"""Official clients of chat and of messages before each kind of provider: of their dialect, of another, the one inside.

Whatever the provider speaks, the client reads its own shapes, and the log has the call. What the clients do beyond
that stands in their own files.
"""

import uuid
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.running import PATIENCE_S, Proxy

pytestmark = pytest.mark.xdist_group("clients")

TEXT = "Hello dear world, 水車"
USER: ChatCompletionMessageParam = {"role": "user", "content": TEXT}
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: ChatCompletionToolParam = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


def of_chat(running: Proxy) -> OpenAI:
    return OpenAI(base_url=f"{running.url}/v1", api_key="sk-mine", max_retries=0, timeout=PATIENCE_S)


def of_messages(running: Proxy) -> Any:
    anthropic = pytest.importorskip("anthropic")
    return anthropic.Anthropic(base_url=running.url, api_key="sk-mine", max_retries=0, timeout=PATIENCE_S)


def logged(running: Proxy, user: str) -> dict[str, Any]:
    (row,) = running.rows(1, f"user = '{user}'")
    return row


@pytest.mark.parametrize("model", ["up/echo", "claude/echo", "gemini/echo", "sim/echo"])
def test_chat(running: Proxy, model: str) -> None:
    user = uuid.uuid4().hex
    with of_chat(running) as client:
        answer = client.chat.completions.create(model=model, messages=[USER], user=user)
        assert answer.choices[0].message.content == TEXT
        assert answer.usage is not None
        pieces = list(
            client.chat.completions.create(
                model=model, messages=[USER], stream=True, stream_options={"include_usage": True}
            )
        )
    assert "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices) == TEXT
    assert pieces[-1].usage is not None
    row = logged(running, user)
    assert (row["status"], row["finish_reason"], row["usage_source"]) == ("ok", "stop", "provider")


@pytest.mark.parametrize("model", ["up/tools", "claude/tools", "gemini/tools"])
def test_a_loop_of_tools_over_chat(running: Proxy, model: str) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Rome"}]
    user = uuid.uuid4().hex
    with of_chat(running) as client:
        first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL]).choices[0]
        assert first.finish_reason == "tool_calls"
        assert first.message.tool_calls is not None
        (call,) = first.message.tool_calls
        messages.append(first.message.model_dump(exclude_none=True))  # type: ignore[arg-type]  # as applications do it
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "18 C"})
        second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], user=user)
    assert "18 C" in (second.choices[0].message.content or "")  # Gemini's results are objects: `{"output":"18 C"}`
    row = logged(running, user)
    assert (row["step"], row["relation"]) == (2, "continue")


def test_what_cannot_be_translated_is_named(running: Proxy) -> None:
    with of_chat(running) as client, pytest.raises(openai.BadRequestError, match="`n`") as refused:
        client.chat.completions.create(model="claude/echo", messages=[USER], n=2)
    assert refused.value.code == "caller_cannot_translate"


@pytest.mark.clients
@pytest.mark.parametrize("model", ["claude/echo", "up/echo", "gemini/echo", "sim/echo"])
def test_messages(running: Proxy, model: str) -> None:
    user = uuid.uuid4().hex
    with of_messages(running) as client:
        answer = client.messages.create(model=model, max_tokens=100, messages=[USER], metadata={"user_id": user})
        assert (answer.content[0].text, answer.stop_reason) == (TEXT, "end_turn")
        with client.messages.stream(model=model, max_tokens=100, messages=[USER]) as stream:
            assert "".join(stream.text_stream) == TEXT
            assert stream.get_final_message().usage.output_tokens > 0
    row = logged(running, user)
    assert (row["endpoint"], row["status"], row["finish_reason"]) == ("messages", "ok", "stop")


@pytest.mark.clients
@pytest.mark.parametrize("model", ["claude/tools", "up/tools", "gemini/tools"])
def test_a_loop_of_tools_over_messages(running: Proxy, model: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "Rome"}]
    tools = [{"name": "weather", "input_schema": PARAMETERS}]
    with of_messages(running) as client:
        first = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
        assert first.stop_reason == "tool_use"
        call = next(block for block in first.content if block.type == "tool_use")
        messages.append({"role": "assistant", "content": first.content})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 C"}
        messages.append({"role": "user", "content": [result]})
        second = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
    assert "18 C" in second.content[0].text
