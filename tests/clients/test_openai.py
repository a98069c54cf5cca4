"""openai-python as its users use it: the newest in `make test`, the one the others go with in `make test-clients`."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from tests.clients.places import Place, asks

pytestmark = pytest.mark.xdist_group("clients")

TEXT = "Hello dear world, 水車"
USER: ChatCompletionMessageParam = {"role": "user", "content": TEXT}
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: FunctionToolParam = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}


class Stop(BaseModel):
    name: str
    minutes: int


class Trip(BaseModel):
    to: str
    stops: list[Stop]


@pytest.fixture
async def client(place: Place) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=place.base_url, api_key="sk-mine", max_retries=0, default_headers=place.headers
    ) as opened:
        yield opened


@asks("chat")
async def test_chat_plain(client: AsyncOpenAI, place: Place) -> None:
    answer = await client.chat.completions.create(model="echo", messages=[USER], n=2, logprobs=True, top_logprobs=2)
    assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
    assert answer.choices[0].logprobs is not None
    assert answer.usage is not None
    if row := place.logged("chat.completions"):
        assert row["usage_source"] == "provider"


@asks("chat")
def test_chat_without_a_loop(place: Place) -> None:
    with OpenAI(base_url=place.base_url, api_key="sk-mine", max_retries=0, default_headers=place.headers) as client:
        assert client.chat.completions.create(model="echo", messages=[USER]).choices[0].message.content == TEXT
        with client.chat.completions.create(model="echo", messages=[USER], stream=True) as chunks:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


@asks("chat")
async def test_a_stream_has_usage_only_where_asked(client: AsyncOpenAI) -> None:
    for wants in (False, True):
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if wants else {}
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(model="echo", messages=[USER], stream=True, **more)
        ]
        assert [chunk.usage is not None for chunk in chunks if not chunk.choices] == [True] * wants
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


@asks("chat")
@pytest.mark.parametrize("model", ["tools-2", "text-tools-2", "reasoning-tools"])
async def test_a_loop_of_tools(client: AsyncOpenAI, model: str) -> None:
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": PARAMETERS, "strict": True}}
        for name in ("a", "b")
    ]
    messages: list[Any] = [{"role": "user", "content": "Rome"}]
    async with client.chat.completions.stream(model=model, messages=messages, tools=tools) as stream:
        message = (await stream.get_final_completion()).choices[0].message
    assert message.tool_calls is not None
    assert {call.function.arguments for call in message.tool_calls} == {'{"city":"Rome"}'}
    messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "18 C"} for call in message.tool_calls]
    told = await client.chat.completions.create(model=model, messages=messages, tools=tools)
    assert told.choices[0].message.content == "The tool answered: 18 C"


@asks("chat")
async def test_structured_output(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model="json", messages=[USER], response_format=Trip)
    assert answer.choices[0].message.parsed == Trip(to=TEXT, stops=[Stop(name=TEXT, minutes=1)])
    with pytest.raises(openai.LengthFinishReasonError):
        await client.chat.completions.parse(model="length", messages=[USER], response_format=Trip)


@asks("chat")
async def test_a_refusal_and_sources(client: AsyncOpenAI) -> None:
    refused = await client.chat.completions.create(model="refusal", messages=[USER])
    assert (refused.choices[0].message.content, bool(refused.choices[0].message.refusal)) == (None, True)
    cited = await client.chat.completions.create(model="cited", messages=[USER])
    assert next(note.url_citation.url for note in cited.choices[0].message.annotations or ()).startswith("https://")


@asks("chat")
async def test_leaving_a_stream(client: AsyncOpenAI, place: Place) -> None:
    chunks = await client.chat.completions.create(model="stall-after-3", messages=[USER], stream=True)
    await anext(aiter(chunks))
    await chunks.close()
    if row := place.logged("chat.completions", "client_closed"):
        assert row["stream"] == 1


@asks("chat")
async def test_many_at_once(client: AsyncOpenAI) -> None:
    texts = [f"number {i}" for i in range(20)]
    calls = [
        client.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}]) for text in texts
    ]
    assert [answer.choices[0].message.content for answer in await asyncio.gather(*calls)] == texts


@asks("chat")
@pytest.mark.parametrize(
    ("model", "error"),
    [("429-quota", openai.RateLimitError), ("status-418", openai.APIStatusError), ("echoo", openai.NotFoundError)],
)
async def test_errors(client: AsyncOpenAI, model: str, error: type[openai.APIError]) -> None:
    with pytest.raises(error):
        await client.chat.completions.create(model=model, messages=[USER])


@asks("completions")
async def test_completions(client: AsyncOpenAI, place: Place) -> None:
    plain = await client.completions.create(model="echo", prompt=TEXT)
    assert plain.choices[0].text == TEXT
    chunks = await client.completions.create(model="echo", prompt=TEXT, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in chunks if chunk.choices]) == TEXT
    place.logged("completions")


@asks("embeddings")
async def test_embeddings(client: AsyncOpenAI, place: Place) -> None:
    as_usual = await client.embeddings.create(model="echo", input=["one", "two"], dimensions=8)
    as_floats = await client.embeddings.create(
        model="echo", input=["one", "two"], dimensions=8, encoding_format="float"
    )
    assert [len(one.embedding) for one in as_usual.data] == [8, 8]
    for one, other in zip(as_usual.data, as_floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert as_usual.data[0].embedding != as_usual.data[1].embedding
    tokens = await client.embeddings.create(model="echo", input=[[1, 2, 3], [4]])
    assert (len(tokens.data), tokens.usage.prompt_tokens) == (2, 4)
    place.logged("embeddings")


@asks("responses")
async def test_responses_plain_and_streamed(client: AsyncOpenAI, place: Place) -> None:
    plain = await client.responses.create(model="reasoning", input=TEXT, instructions="Be brief.")
    assert (plain.output_text, plain.status, plain.instructions) == (TEXT, "completed", "Be brief.")
    assert [item.type for item in plain.output] == ["reasoning", "message"]
    events = [event async for event in await client.responses.create(model="reasoning", input=TEXT, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    place.logged("responses")


@asks("responses")
async def test_a_loop_of_tools_over_responses(client: AsyncOpenAI, place: Place) -> None:
    async with client.responses.stream(model="tools", input="Rome", tools=[WEATHER]) as stream:
        answer = await stream.get_final_response()
    (call,) = answer.output
    assert call.type == "function_call"
    assert call.arguments == '{"city":"Rome"}'
    told = await client.responses.create(
        model="tools",
        tools=[WEATHER],
        previous_response_id=answer.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "18 C"}],
    )
    assert told.output_text == "The tool answered: 18 C"
    if rows := place.all_logged("responses", 2):
        assert [(row["step"], row["link_kind"]) for row in rows] == [(1, None), (2, "exact")]


@asks("responses")
async def test_structured_output_over_responses(client: AsyncOpenAI) -> None:
    answer = await client.responses.parse(model="json", input=TEXT, text_format=Trip)
    assert answer.output_parsed == Trip(to=TEXT, stops=[Stop(name=TEXT, minutes=1)])


@asks("responses")
async def test_a_kept_response(client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="echo", input=TEXT)
    assert (await client.responses.retrieve(made.id)).output_text == TEXT
    items = await client.responses.input_items.list(made.id)
    assert [item.type for item in items.data] == ["message"]
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        await client.responses.cancel(made.id)
    later = await client.responses.create(model="echo", input=TEXT, background=True)
    assert (await client.responses.cancel(later.id)).status == "cancelled"
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        await client.responses.create(model="echo", input=TEXT, previous_response_id=made.id)


@asks("responses")
async def test_an_error_in_a_stream_of_responses(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIError, match="The server had an error"):
        async for _ in await client.responses.create(model="error-after-3", input=TEXT, stream=True):
            pass


@asks("models")
async def test_models(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()]


@asks("files")
async def test_files(client: AsyncOpenAI) -> None:
    data = bytes(range(256)) * 4000
    made = await client.files.create(file=("train.jsonl", data), purpose="fine-tune")
    assert (made.bytes, made.filename, made.purpose) == (len(data), "train.jsonl", "fine-tune")
    assert (made.model_extra or {})["sha256"] == hashlib.sha256(data).hexdigest()
    content = await client.files.content(made.id)
    assert len(content.content) == 65_536
    assert [file.id async for file in client.files.list()] == []
    assert (await client.files.delete(made.id)).deleted


@asks("audio")
async def test_audio(client: AsyncOpenAI) -> None:
    heard = await client.audio.transcriptions.create(file=("a.wav", bytes(5000)), model="whisper-1")
    assert heard.text == "a.wav, 5000 bytes."
    async with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Hi") as spoken:
        assert spoken.headers["content-type"] == "audio/mpeg"
        assert len(await spoken.read()) == 65_536


@asks("images")
async def test_images_and_moderations(client: AsyncOpenAI) -> None:
    painted = await client.images.generate(model="gpt-image-1", prompt="a weir", n=2)
    assert [bool(image.b64_json) for image in painted.data or ()] == [True, True]
    judged = await client.moderations.create(model="omni-moderation-latest", input=["a", "b"])
    assert [result.flagged for result in judged.results] == [False, False]


@asks("jobs")
async def test_jobs(client: AsyncOpenAI) -> None:
    batch = await client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert (batch.status, batch.input_file_id) == ("validating", "file-1")
    assert (await client.vector_stores.create(name="docs")).name == "docs"
    job = await client.fine_tuning.jobs.create(model="gpt-4.1-mini", training_file="file-1")
    assert (job.status, job.training_file) == ("queued", "file-1")
    assert [job.id async for job in client.fine_tuning.jobs.list()] == []
