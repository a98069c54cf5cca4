"""Each wire: what a stream says is what a plain answer says, in shapes that are refused where they do not fit."""

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace.simulate import chat, completions, embeddings, gemini, gemini_array, messages, responses
from tailrace.simulate.answer import Answer, Asked, BadRequest, Counts, Reports, Said, Stamp, ToolCall
from tailrace.simulate.server import Server
from tailrace.simulate.wire import Wire
from tests.simulate.asking import ASKING, TEXT
from tests.simulate.rawclient import RawClient, Seen, head

STAMP = Stamp(7, 1_700_000_000)
STREAMING: list[Wire] = [chat, completions, responses, messages, gemini, gemini_array]
CALL = ToolCall("book", '{"city":"Rome"}')


def named(wire: Wire) -> str:
    return wire.MANNER.name


def values(wire: Wire, stream: bytes) -> list[Any]:
    """The JSON values of a stream."""
    if wire is gemini_array:
        found: list[Any] = orjson.loads(stream)
        return found
    lines = [line[6:] for line in stream.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line) for line in lines if line != b"[DONE]"]


def texts(wire: Wire, shapes: list[Any]) -> str:
    """The text of a stream, or of a document alone."""
    said: dict[str, Any] = {
        "chat": lambda one: [c.get("delta", c.get("message", {})).get("content") for c in one["choices"]],
        "completions": lambda one: [c["text"] for c in one["choices"]],
        "responses": lambda one: [one["delta"]] if one.get("type") == "response.output_text.delta" else [],
        "messages": lambda one: [one.get("delta", {}).get("text")],
        "gemini": lambda one: [p.get("text") for p in one["candidates"][0]["content"]["parts"] if not p.get("thought")],
    }
    read = said[named(wire).removesuffix("-array")]
    return "".join(piece or "" for shape in shapes for piece in read(shape))


def whole(wire: Wire, document: Any) -> str:
    """The text of a document."""
    if wire is responses:
        return "".join(p["text"] for item in document["output"] if item["type"] == "message" for p in item["content"])
    if wire is messages:
        return "".join(block["text"] for block in document["content"] if block["type"] == "text")
    return texts(wire, [document])


@pytest.mark.parametrize("wire", STREAMING, ids=named)
@given(text=st.text(min_size=1, max_size=80), reasoning=st.none() | st.text(max_size=20), calls=st.integers(0, 2))
def test_a_stream_says_what_a_document_says(wire: Wire, text: str, reasoning: str | None, calls: int) -> None:
    asked = Asked("m", (Said("user", "x"),), stream=True, stream_usage=True)
    answer = Answer(text, reasoning=reasoning, calls=(CALL,) * calls)
    stream = b"".join(wire.frame(event, n) for n, event in enumerate(wire.events(asked, answer, STAMP))) + wire.TERMINAL
    document = wire.document(asked, answer, STAMP)
    assert whole(wire, document) == text
    assert texts(wire, values(wire, stream)) == text
    assert wire.MANNER.member in orjson.dumps(document)
    assert all(wire.MANNER.member in orjson.dumps(value) for value in values(wire, stream))


@pytest.mark.parametrize("wire", [*STREAMING, embeddings], ids=named)
def test_usage_is_told_unless_it_is_not(wire: Wire) -> None:
    asked = Asked("m", (Said("user", "x"),), stream=True, stream_usage=True, body={"input": "x"})
    for reports in (Reports.ONCE, Reports.NEVER):
        answer = Answer("a", reports=reports, counts=Counts(10, 5, cached=3))
        shapes = [wire.document(asked, answer, STAMP), *wire.events(asked, answer, STAMP)]
        told = [shape for shape in shapes if wire.MANNER.usage + b"{" in orjson.dumps(shape)]
        assert bool(told) is (reports is Reports.ONCE)
        assert told == [] or wire.MANNER.usage in orjson.dumps(shapes[0])


def test_every_event_of_a_response_has_its_number_and_its_name() -> None:
    answer = Answer("a b", reasoning="c", calls=(CALL,), sources=("https://x",))
    events = list(responses.events(Asked("m", (), stream=True), answer, STAMP))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert (kinds[:2], kinds[-1]) == (["response.created", "response.in_progress"], "response.completed")
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 3
    assert "response.output_text.annotation.added" in kinds
    assert responses.frame(events[0]).startswith(b"event: response.created\ndata: {")
    error = responses.frame(responses.failure("no", kind="server_error"), 4)
    assert error.startswith(b'event: error\ndata: {"type":"error","sequence_number":4,"error":{')


def test_a_response_gives_back_what_was_asked() -> None:
    asked = responses.read(
        {"model": "m", "input": "x", "metadata": {"a": "b"}, "include": ["reasoning.encrypted_content"]}, ""
    )
    document = responses.document(asked, Answer("a", reasoning="r"), STAMP)
    assert (document["metadata"], document["temperature"]) == ({"a": "b"}, 1.0)
    assert document["output"][0]["encrypted_content"]


def test_arguments_that_stop_in_the_middle_are_streamed_as_they_are() -> None:
    answer = Answer(None, calls=(ToolCall("f", '{"a": "b'),), finish="length")
    deltas = [event["delta"] for event in messages.events(Asked("m", ()), answer, STAMP) if "delta" in event]
    assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"a": "b'


@pytest.mark.parametrize(
    ("status", "anthropic", "google"),
    [
        (400, "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "UNAUTHENTICATED"),
        (404, "not_found_error", "NOT_FOUND"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (503, "api_error", "UNAVAILABLE"),
        (529, "overloaded_error", "INTERNAL"),
    ],
)
def test_errors_have_the_words_of_each_dialect(status: int, anthropic: str, google: str) -> None:
    told = messages.failure("no", kind="x", status=status)
    assert (told["type"], told["error"]["type"]) == ("error", anthropic)
    told = gemini.failure("no", kind="x", status=status)
    assert (told["error"]["code"], told["error"]["status"]) == (status, google)


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("model", ["sim/529", "sim/nothing"])
async def test_an_error_says_the_status_it_comes_with(server: Server, name: str, model: str) -> None:
    if name == "others" and model == "sim/nothing":
        return  # what is no scenario is a provider's model there
    path, body = ASKING[name](model, False, TEXT)
    async with RawClient(server.port) as client:
        seen = await client.ask(body, path=path)
    told = orjson.loads(seen.body)
    assert seen.status == (529 if model == "sim/529" else 404)
    assert told["error"].get("code", seen.status) in {seen.status, None, "model_not_found"}


@given(dimensions=st.integers(1, 300), text=st.text(max_size=20))
def test_a_vector_is_the_same_in_both_codings(dimensions: int, text: str) -> None:
    vectors: list[Any] = []
    for coding in ("float", "base64"):
        asked = embeddings.read(
            {"model": "m", "input": [text, [1, 2]], "dimensions": dimensions, "encoding_format": coding}, ""
        )
        vectors.append([one["embedding"] for one in embeddings.document(asked, Answer(""), STAMP)["data"]])
    for numbers, packed in zip(*vectors, strict=True):
        assert len(numbers) == dimensions
        assert sum(number**2 for number in numbers) == pytest.approx(1)
        assert struct.unpack(f"<{dimensions}f", base64.b64decode(packed)) == pytest.approx(numbers, abs=1e-6)


def test_a_vector_is_its_texts_own() -> None:
    asked = embeddings.read({"model": "m", "input": ["a", "b", "a", [1], [2]]}, "")
    a, b, again, *tokens = (one["embedding"] for one in embeddings.document(asked, Answer(""), STAMP)["data"])
    assert a == again
    assert len({tuple(vector) for vector in (a, b, *tokens)}) == 4


@pytest.mark.parametrize(
    ("wire", "body", "param"),
    [
        (embeddings, {"model": "m"}, "input"),
        (embeddings, {"model": "m", "input": []}, "input"),
        (embeddings, {"model": "m", "input": [[]]}, "input"),
        (embeddings, {"model": "m", "input": [[True]]}, "input"),
        (embeddings, {"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
        (embeddings, {"model": "m", "input": "a", "encoding_format": "x"}, "encoding_format"),
        (responses, {"model": "m"}, "input"),
        (responses, {"model": "m", "input": [{"role": "robot"}]}, "input"),
        (messages, {"model": "m", "messages": [{"role": "user", "content": "a"}]}, "max_tokens"),
        (messages, {"model": "m", "max_tokens": 1, "messages": []}, "messages"),
        (completions, {"prompt": "a"}, "model"),
        (gemini, {}, "contents"),
    ],
)
def test_bad_requests_name_the_parameter(wire: Wire, body: Json, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        wire.read(body, "/v1beta/models/m:generateContent")
    assert caught.value.param == param


def test_gemini_is_read_in_both_of_its_spellings() -> None:
    path = "/v1beta/models/sim%2Fecho:generateContent"
    schema = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}
    contents = [{"role": "user", "parts": [{"text": "x"}]}]
    camel = gemini.read(
        {"contents": contents, "systemInstruction": {"parts": [{"text": "s"}]},
         "generationConfig": {"maxOutputTokens": 5, "responseSchema": schema},
         "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]}, path,
    )  # fmt: skip
    snake = gemini.read(
        {"contents": contents, "system_instruction": {"parts": [{"text": "s"}]},
         "generation_config": {"max_output_tokens": 5, "response_schema": schema},
         "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": schema}]}]}, path,
    )  # fmt: skip
    assert (camel.model, camel.max_tokens, camel.schema, camel.messages[0].text) == ("sim/echo", 5, schema, "s")
    assert (snake.messages, snake.tools, snake.max_tokens, snake.schema) == (
        camel.messages, camel.tools, camel.max_tokens, camel.schema,
    )  # fmt: skip


async def test_a_stream_of_gemini_is_an_array_unless_asked_otherwise(server: Server) -> None:
    bodies = []
    for name in ("gemini", "gemini-array"):
        path, body = ASKING[name]("sim/echo", True, TEXT)
        async with RawClient(server.port) as client:
            client.writer.write(head(body, path=path) + body)
            seen = await client.read(Seen())
        bodies.append(seen)
    assert dict(bodies[0].headers)[b"content-type"].startswith(b"text/event-stream")
    assert dict(bodies[1].headers)[b"content-type"] == b"application/json"
    assert texts(gemini, values(gemini, bodies[0].body)) == texts(gemini_array, values(gemini_array, bodies[1].body))
