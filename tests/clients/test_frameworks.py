"""What is built on the official clients: langchain-openai and instructor."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.places import Place, asks

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

TEXT = "Hello dear world"


class City(BaseModel):
    """A city."""

    name: str
    days: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 C in {city}"


def langchain(place: Place, model: str, **more: Any) -> Any:
    module = pytest.importorskip("langchain_openai")
    return module.ChatOpenAI(
        base_url=place.base_url, api_key="sk-mine", model=model, max_retries=0, default_headers=place.headers, **more
    )


@asks("chat")
def test_langchain_says_and_streams(place: Place) -> None:
    said = langchain(place, "echo").invoke(TEXT)
    assert (said.content, said.usage_metadata["output_tokens"] > 0) == (TEXT, True)
    assert "".join(chunk.content for chunk in langchain(place, "echo").stream(TEXT)) == TEXT
    place.logged("chat.completions")


@asks("chat")
async def test_langchain_in_a_loop_of_events(place: Place) -> None:
    async with openai.DefaultAsyncHttpxClient() as http:  # langchain leaves one of its own open
        model = langchain(place, "echo", http_async_client=http)
        assert (await model.ainvoke(TEXT)).content == TEXT
        assert "".join([chunk.content async for chunk in model.astream(TEXT)]) == TEXT


@asks("chat")
def test_langchain_calls_tools(place: Place) -> None:
    model = langchain(place, "tools").bind_tools([weather])
    called = model.invoke("Rome")
    assert called.tool_calls[0]["args"] == {"city": "Rome"}
    result = {"role": "tool", "tool_call_id": called.tool_calls[0]["id"], "content": weather(city="Rome")}
    assert model.invoke([("user", "Rome"), called, result]).content == "The tool answered: 18 C in Rome"


@asks("chat")
@pytest.mark.parametrize(("method", "model"), [("json_schema", "json"), ("function_calling", "tools")])
def test_langchain_gives_values(place: Place, method: str, model: str) -> None:
    structured = langchain(place, model).with_structured_output(City, method=method)
    assert structured.invoke(TEXT) == City(name=TEXT, days=1)


@asks("responses")
def test_langchain_over_responses(place: Place) -> None:
    said = langchain(place, "echo", use_responses_api=True).invoke(TEXT)
    assert said.text == TEXT
    place.logged("responses")


@asks("embeddings")
def test_langchain_embeds(place: Place) -> None:
    module = pytest.importorskip("langchain_openai")
    embed = module.OpenAIEmbeddings(
        base_url=place.base_url,
        api_key="sk-mine",
        model="echo",
        check_embedding_ctx_length=False,
        default_headers=place.headers,
    )  # with the check it would fetch the model's vocabulary
    one, other = embed.embed_documents(["one", "other"])
    assert one == embed.embed_query("one") != other
    place.logged("embeddings")


@asks("chat")
@pytest.mark.parametrize(("mode", "model"), [("TOOLS", "tools"), ("JSON_SCHEMA", "json")])
def test_instructor_gives_values(place: Place, mode: str, model: str) -> None:
    instructor = pytest.importorskip("instructor")
    with openai.OpenAI(
        base_url=place.base_url, api_key="sk-mine", max_retries=0, default_headers=place.headers
    ) as inner:
        client = instructor.from_openai(inner, mode=instructor.Mode[mode])
        found = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": TEXT}], response_model=City
        )
    assert (found.name, found.days) == (TEXT, 1)
