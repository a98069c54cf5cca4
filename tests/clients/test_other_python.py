"""anthropic, google-genai, langchain-openai and instructor through the proxy (`make test-clients`)."""

import uuid
from typing import Any

import pytest
from pydantic import BaseModel

from tests.running import PATIENCE_S, Proxy

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

TEXT = "Hello dear world"
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


class City(BaseModel):
    """What a structured answer is read into."""

    city: str


def anthropic_client(running: Proxy) -> Any:
    anthropic = pytest.importorskip("anthropic")
    return anthropic.Anthropic(base_url=running.url, api_key="mine", max_retries=0, timeout=PATIENCE_S)


@pytest.mark.parametrize("model", ["claude/echo", "up/echo", "gemini/echo", "sim/echo"])
def test_anthropic_messages(running: Proxy, model: str) -> None:
    client = anthropic_client(running)
    user = uuid.uuid4().hex
    said = [{"role": "user", "content": TEXT}]
    answer = client.messages.create(model=model, max_tokens=100, messages=said, metadata={"user_id": user})
    assert answer.content[0].text == TEXT
    assert answer.stop_reason == "end_turn"
    with client.messages.stream(model=model, max_tokens=100, messages=said) as stream:
        assert "".join(stream.text_stream) == TEXT
        assert stream.get_final_message().usage.output_tokens > 0
    (row,) = running.rows(1, f"user = '{user}'")
    assert (row["endpoint"], row["status"], row["finish_reason"]) == ("messages", "ok", "stop")


@pytest.mark.parametrize("model", ["claude/tools", "up/tools", "gemini/tools"])
def test_anthropic_tools_loop(running: Proxy, model: str) -> None:
    client = anthropic_client(running)
    messages: list[Any] = [{"role": "user", "content": "weather in Bonn"}]
    first = client.messages.create(model=model, max_tokens=100, messages=messages, tools=[TOOL])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    messages.append({"role": "assistant", "content": first.content})
    messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "wet"}]})
    second = client.messages.create(model=model, max_tokens=100, messages=messages, tools=[TOOL])
    assert "wet" in second.content[0].text


def test_anthropic_thinking_counting_and_errors(running: Proxy) -> None:
    anthropic = pytest.importorskip("anthropic")
    client = anthropic_client(running)
    said = [{"role": "user", "content": TEXT}]
    answer = client.messages.create(model="claude/reasoning", max_tokens=100, messages=said)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert client.messages.count_tokens(model="claude/echo", messages=said).input_tokens > 0
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model="claude/429-quota", max_tokens=10, messages=said)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="claude/echo", max_tokens=10, messages=[])


def test_langchain(running: Proxy) -> None:
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(base_url=f"{running.url}/v1", api_key="mine", model="echo", max_retries=0)
    assert model.invoke(TEXT).content == TEXT
    assert "".join(chunk.content for chunk in model.stream(TEXT)) == TEXT
    vectors = langchain.OpenAIEmbeddings(
        base_url=f"{running.url}/v1", api_key="mine", model="echo", check_embedding_ctx_length=False
    )
    assert len(vectors.embed_documents(["a", "b"])) == 2


def test_instructor(running: Proxy) -> None:
    instructor = pytest.importorskip("instructor")
    openai = pytest.importorskip("openai")
    plain = openai.OpenAI(base_url=f"{running.url}/v1", api_key="mine", max_retries=0)
    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    found = client.chat.completions.create(
        model="tools", messages=[{"role": "user", "content": "Bonn"}], response_model=City, max_retries=0
    )
    assert found.city == "Bonn"
