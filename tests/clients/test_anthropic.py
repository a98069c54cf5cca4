"""anthropic's own client, as its users use it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.places import Place, asks

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

TEXT = "Hello dear world, 水車"
USER = {"role": "user", "content": TEXT}
TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(place: Place) -> Iterator[Any]:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(
        base_url=place.url, api_key="sk-mine", max_retries=0, default_headers=place.headers
    ) as opened:
        yield opened


def ask(place: Place, scenario: str, **more: Any) -> dict[str, Any]:
    return {"model": place.model(scenario), "max_tokens": 500, "messages": [USER], **more}


@asks("messages")
def test_plain(client: Any, place: Place) -> None:
    answer = client.messages.create(**ask(place, "echo", system="Be brief."))
    assert (answer.content[0].text, answer.stop_reason) == (TEXT, "end_turn")
    assert answer.usage.output_tokens > 0
    if row := place.logged("messages"):
        assert (row["usage_source"], row["dialect"]) == ("provider", "anthropic")


@asks("messages")
def test_streamed_with_thinking(client: Any, place: Place) -> None:
    with client.messages.stream(**ask(place, "reasoning")) as stream:
        assert "".join(stream.text_stream) == TEXT
        folded = stream.get_final_message()
    assert [block.type for block in folded.content] == ["thinking", "text"]
    assert folded.content[0].signature
    assert folded.usage.output_tokens > 1


@asks("messages")
@pytest.mark.parametrize("scenario", ["tools", "text-tools", "reasoning-tools"])
def test_a_loop_of_tools(client: Any, place: Place, scenario: str) -> None:
    turns: list[Any] = [{"role": "user", "content": "Rome"}]
    with client.messages.stream(**ask(place, scenario, tools=[TOOL], messages=turns)) as stream:
        called = stream.get_final_message()
    assert called.stop_reason == "tool_use"
    use = called.content[-1]
    assert (use.name, use.input) == ("weather", {"city": "Rome"})
    turns += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in called.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "18 C"}]},
    ]
    told = client.messages.create(**ask(place, scenario, tools=[TOOL], messages=turns))
    assert told.content[-1].text == "The tool answered: 18 C"


@asks("messages")
def test_what_was_cached(client: Any, place: Place) -> None:
    usage = client.messages.create(**ask(place, "cached")).usage
    assert usage.cache_read_input_tokens > 0
    if row := place.logged("messages"):
        assert row["cached_tokens"] == usage.cache_read_input_tokens


@asks("messages")
def test_errors(client: Any, place: Place) -> None:
    anthropic = pytest.importorskip("anthropic")

    for scenario, error in (
        ("429-quota", anthropic.RateLimitError),
        ("status-418", anthropic.APIStatusError),
        ("echoo", anthropic.NotFoundError),
    ):
        with pytest.raises(error) as caught:
            client.messages.create(**ask(place, scenario))
        assert caught.value.body["type"] == "error"
    with pytest.raises(anthropic.APIStatusError), client.messages.stream(**ask(place, "error-after-3")) as stream:
        stream.get_final_message()


@asks("messages")
def test_pings_are_no_events(client: Any, place: Place) -> None:
    with client.messages.stream(**ask(place, "pings-2")) as stream:
        assert "".join(stream.text_stream) == TEXT


@asks("messages")
async def test_in_a_loop_of_events(place: Place) -> None:
    anthropic = pytest.importorskip("anthropic")
    async with anthropic.AsyncAnthropic(
        base_url=place.url, auth_token="tok", max_retries=0, default_headers=place.headers
    ) as client:
        async with client.messages.stream(**ask(place, "echo")) as stream:
            assert "".join([text async for text in stream.text_stream]) == TEXT
        stalled = await client.messages.create(**ask(place, "stall-after-3", stream=True))
        await anext(aiter(stalled))
        await stalled.close()
    place.logged("messages", "client_closed")


@asks("messages")
def test_tokens_are_counted(client: Any, place: Place) -> None:
    assert client.messages.count_tokens(model=place.model("echo"), messages=[USER]).input_tokens > 0
