"""The openai package through the proxy: what applications do with it works, and is in the log."""

import asyncio
import io
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.running import PATIENCE_S, Proxy

pytestmark = pytest.mark.xdist_group("clients")

TEXT = "Hello dear world"
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    """What a structured answer is read into."""

    city: str


@pytest.fixture
def client(running: Proxy) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{running.url}/v1", api_key="mine", max_retries=0, timeout=PATIENCE_S) as opened:
        yield opened


def logged(running: Proxy, user: str) -> dict[str, Any]:
    (row,) = running.rows(1, f"user = '{user}'")
    return row


@pytest.mark.parametrize("model", ["echo", "claude/echo", "gemini/echo", "sim/echo"])
def test_chat_plain_and_streamed(running: Proxy, client: OpenAI, model: str) -> None:
    user = uuid.uuid4().hex
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": TEXT}], user=user)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None
    chunks = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": TEXT}], stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    pieces = list(chunks)
    assert "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices) == TEXT
    assert pieces[-1].usage is not None
    row = logged(running, user)
    assert (row["status"], row["finish_reason"], row["usage_source"]) == ("ok", "stop", "provider")


@pytest.mark.parametrize("model", ["tools", "claude/tools", "gemini/tools"])
def test_the_tools_loop(running: Proxy, client: OpenAI, model: str) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "weather in Bonn"}]
    first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL]).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    call = first.message.tool_calls[0]
    messages.append(first.message.model_dump(exclude_none=True))  # type: ignore[arg-type]  # as applications do it
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "wet"})
    user = uuid.uuid4().hex
    second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], user=user)
    assert "wet" in (second.choices[0].message.content or "")
    row = logged(running, user)
    assert (row["step"], row["relation"]) == (2, "continue")


def test_structured_output(client: OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="length", messages=[{"role": "user", "content": "x y z w"}], response_format=City
        )
    answer = client.chat.completions.parse(
        model="echo", messages=[{"role": "user", "content": '{"city": "Bonn"}'}], response_format=City
    )
    assert answer.choices[0].message.parsed == City(city="Bonn")


def test_responses_plain_streamed_and_continued(running: Proxy, client: OpenAI) -> None:
    first = client.responses.create(model="echo", input=TEXT, instructions="Be brief.")
    assert first.output_text == TEXT
    with client.responses.stream(model="reasoning", input=TEXT) as stream:
        kinds = [event.type for event in stream]
        whole = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert whole.output_text == TEXT
    second = client.responses.create(model="echo", input="more", previous_response_id=first.id, user="responses-1")
    assert second.output_text == "more"
    row = logged(running, "responses-1")
    assert (row["link_kind"], row["step"]) == ("exact", 2)
    assert client.responses.retrieve(first.id) is not None


def test_completions_embeddings_and_models(client: OpenAI) -> None:
    assert client.completions.create(model="echo", prompt=TEXT).choices[0].text == TEXT
    vectors = client.embeddings.create(model="echo", input=["one", "two"])
    assert len(vectors.data) == 2
    assert isinstance(vectors.data[0].embedding[0], float)
    assert "sim/echo" in {model.id for model in client.models.list()}


def test_files_and_audio(client: OpenAI) -> None:
    data = bytes(range(256)) * 5000
    uploaded = client.files.create(file=("data.jsonl", io.BytesIO(data)), purpose="fine-tune")
    assert uploaded.bytes == len(data) or uploaded.model_extra is not None
    heard = client.audio.transcriptions.create(file=("a.wav", io.BytesIO(data)), model="whisper-1")
    assert heard is not None
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    assert len(spoken.read()) > 1000


def test_errors_are_the_clients_own(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="429-quota", messages=[{"role": "user", "content": "x"}])
    assert limited.value.code == "insufficient_quota"
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="claude/echo", messages=[{"role": "user", "content": "x"}], n=2)
    assert refused.value.code == "caller_cannot_translate"


async def test_async_and_aborted(running: Proxy) -> None:
    async with AsyncOpenAI(base_url=f"{running.url}/v1", api_key="mine", max_retries=0) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model="echo", messages=[{"role": "user", "content": str(n)}])
                for n in range(8)
            )
        )
        assert [answer.choices[0].message.content for answer in answers] == [str(n) for n in range(8)]
        user = uuid.uuid4().hex
        stream = await client.chat.completions.create(
            model="chunk-every-50", messages=[{"role": "user", "content": TEXT * 20}], stream=True, user=user
        )
        await anext(aiter(stream))
        await stream.close()
    assert logged(running, user)["status"] == "client_closed"
