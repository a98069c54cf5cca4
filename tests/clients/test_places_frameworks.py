"""What is built on the official clients: langchain-openai, instructor; and google-genai, which speaks to no proxy."""

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


@asks("gemini")
def test_google_genai(place: Place) -> None:
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="key", http_options=genai.types.HttpOptions(base_url=place.url))
    plain = client.models.generate_content(model="echo", contents=TEXT)
    assert (plain.text, plain.candidates[0].finish_reason.value) == (TEXT, "STOP")
    pieces = list(client.models.generate_content_stream(model="reasoning", contents=TEXT))
    assert "".join(piece.text or "" for piece in pieces) == TEXT
    assert pieces[-1].usage_metadata.thoughts_token_count > 0
    structured = client.models.generate_content(
        model="json", contents=TEXT, config={"response_mime_type": "application/json", "response_schema": City}
    )
    assert structured.parsed == City(name=TEXT, days=1)
    told = client.models.generate_content(model="tools", contents="Rome", config={"tools": [weather]})
    assert told.text is not None
    assert "18 C in Rome" in told.text
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model="429", contents=TEXT)
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    client.close()
