"""The official client reads the simulated provider as it reads OpenAI."""

from collections.abc import AsyncIterator

import openai
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionToolParam

from tailrace.simulate.ledger import ClosedBy
from tailrace.simulate.scenarios import SCENARIOS
from tailrace.simulate.server import Server
from tailrace.simulate.simulator import Simulator
from tests.simulate.test_scenarios import NAMES

TEXT = "Hello dear world"
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
READ_AS_ECHO = [
    "echo", "chunk-every-N", "slow-N", "crlf", "cr", "mixed-ends", "bom", "multi-line-data", "fields", "no-space",
    "split-events", "one-piece", "no-done", "two-dones", "pings-N", "drip", "drip-N", "no-usage", "usage-twice",
    "usage-with-finish", "no-content-type", "gzip", "noisy-headers", "non-ascii-header", "early-hints",
    "connection-close", "close-idle", "until-close",
]  # fmt: skip
"""Unusual ways to write an echo that a good client does not notice."""


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="sk-secret", max_retries=0) as opened:
        yield opened


async def streamed(client: AsyncOpenAI, model: str, text: str = TEXT) -> str:
    """The text of a streamed answer."""
    chunks = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True
    )
    return "".join([choice.delta.content or "" async for chunk in chunks for choice in chunk.choices])


@pytest.mark.parametrize("key", READ_AS_ECHO)
async def test_unusual_streams_read_as_an_echo(client: AsyncOpenAI, key: str) -> None:
    assert key in SCENARIOS
    assert await streamed(client, NAMES[key]) == TEXT


async def test_plain_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="sim/echo", messages=[{"role": "user", "content": TEXT}], n=2)
    assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
    assert [choice.finish_reason for choice in answer.choices] == ["stop", "stop"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert (answer.created, answer.object) == (1_700_000_000, "chat.completion")
    assert answer._request_id == "req_sim" + "1".zfill(26)


async def test_usage_and_probabilities_of_a_stream(client: AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="sim/echo",
            messages=[{"role": "user", "content": TEXT}],
            stream=True,
            stream_options={"include_usage": True},
            logprobs=True,
            top_logprobs=2,
        )
    ]
    assert (chunks[-1].choices, chunks[-1].usage is not None) == ([], True)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    told = [choice.logprobs for chunk in chunks for choice in chunk.choices if choice.logprobs]
    tokens = [token for logprobs in told for token in logprobs.content or ()]
    assert "".join(token.token for token in tokens) == TEXT
    assert all(len(token.top_logprobs) == 2 for token in tokens)


async def test_a_tool_round_trip_plain_and_streamed(client: AsyncOpenAI) -> None:
    asked = await client.chat.completions.create(
        model="sim/tools", messages=[{"role": "user", "content": "Rome"}], tools=[WEATHER]
    )
    (choice,) = asked.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert orjson.loads(call.function.arguments) == {"city": "Rome"}
    async with client.chat.completions.stream(
        model="sim/tools", messages=[{"role": "user", "content": "Rome"}], tools=[WEATHER]
    ) as stream:
        folded = (await stream.get_final_completion()).choices[0].message.tool_calls
    assert folded is not None
    assert folded[0].function.arguments == call.function.arguments
    told = await client.chat.completions.create(
        model="sim/tools",
        tools=[WEATHER],
        messages=[
            {"role": "user", "content": "Rome"},
            {
                "role": "assistant",
                "tool_calls": [{"id": call.id, "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "18 C"},
        ],
    )
    assert told.choices[0].message.content == "The tool answered: 18 C"


async def test_refusal_reasoning_and_null(client: AsyncOpenAI) -> None:
    refused = (
        await client.chat.completions.create(model="sim/refusal", messages=[{"role": "user", "content": "a"}])
    ).choices[0]
    assert (refused.message.content, refused.finish_reason) == (None, "stop")
    assert refused.message.refusal
    reasoned = (
        await client.chat.completions.create(model="sim/reasoning", messages=[{"role": "user", "content": "a"}])
    ).choices[0]
    assert (reasoned.message.model_extra or {})["reasoning_content"]
    silent = (
        await client.chat.completions.create(model="sim/content-null", messages=[{"role": "user", "content": "a"}])
    ).choices[0]
    assert (silent.message.content, silent.message.refusal) == (None, None)


async def test_wide_characters_survive_being_split(client: AsyncOpenAI) -> None:
    assert await streamed(client, "sim/split-utf8", "水") == "水 Größe, 水車, 🌊💧"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("sim/429", openai.RateLimitError),
        ("sim/401", openai.AuthenticationError),
        ("sim/503", openai.InternalServerError),
        ("sim/status-418", openai.APIStatusError),
        ("sim/echoo", openai.NotFoundError),
        ("sim/reset", openai.APIConnectionError),
    ],
)
async def test_errors_are_the_clients_errors(client: AsyncOpenAI, model: str, error: type[openai.APIError]) -> None:
    with pytest.raises(error):
        await streamed(client, model)


async def test_an_error_event_ends_the_stream(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIError, match="The server had an error"):
        await streamed(client, "sim/error-after-3")


async def test_a_retry_finds_it_well(server: Server, simulator: Simulator) -> None:
    async with AsyncOpenAI(base_url=server.url, api_key="sk-1", max_retries=1) as client:
        assert await streamed(client, "sim/close-then-ok") == TEXT
    assert [entry.status for entry in simulator.ledger.entries()] == [None, 200]


async def test_leaving_a_stream_is_the_clients_doing(client: AsyncOpenAI, simulator: Simulator) -> None:
    chunks = await client.chat.completions.create(
        model="sim/stall-after-2", messages=[{"role": "user", "content": TEXT}], stream=True
    )
    await anext(aiter(chunks))
    await chunks.close()
    (entry,) = await simulator.ledger.settled()
    assert (entry.closed_by, entry.pieces, entry.finished) == (ClosedBy.CLIENT, 2, False)


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["sim/" + key for key in SCENARIOS]
