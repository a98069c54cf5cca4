"""Whatever was accepted is rebuilt JSON-equal, or its bytes are kept; streams as the answer they fold to."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.records import Endpoint
from tailrace.simulate import chat, completions, messages, responses
from tailrace.simulate.answer import Answer, Asked, Stamp, ToolCall
from tailrace.simulate.wire import Wire
from tailrace.wire.endpoints import ENDPOINTS
from tests.writer.filing import kept, made, store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
CONTENT = (
    JSON
    | st.text("ab \x00\ud83d", max_size=300)
    | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=300)}), min_size=1, max_size=2)
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "developer", "tool", 7])},
    optional={"content": CONTENT, "tool_calls": JSON, "refusal": JSON, "\x00": JSON, "cache_control": JSON},
)
ENDPOINT = st.sampled_from([Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.RESPONSES, Endpoint.COMPLETIONS, Endpoint.OTHER])


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A request that some endpoint may have accepted."""
    body: dict[str, Any] = {"model": "m"}
    for name in ("messages", "input", "prompt", "tools", "system"):
        if draw(st.booleans()):
            body[name] = draw(st.lists(MESSAGE, max_size=4) | JSON)
    return body | draw(st.dictionaries(st.text(max_size=6), JSON, max_size=3))


@st.composite
def answers(draw: st.DrawFn) -> Any:
    """An answer of some kind."""
    choices = st.lists(
        st.fixed_dictionaries({"index": JSON, "message": MESSAGE | JSON}, optional={"finish_reason": JSON}) | JSON,
        max_size=3,
    )
    return draw(
        JSON
        | st.fixed_dictionaries({"id": st.text(max_size=40), "choices": choices, "usage": JSON})
        | st.fixed_dictionaries({"role": st.just("assistant"), "content": CONTENT, "usage": JSON})
        | st.fixed_dictionaries({"id": st.text(max_size=40), "output": st.lists(MESSAGE, max_size=3)})
    )


def dumped(value: Any) -> bytes:
    """JSON as a client may write it: other spaces than ours, escapes where it likes."""
    return json.dumps(value).encode()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batch=st.lists(st.tuples(ENDPOINT, requests(), answers()), min_size=1, max_size=4))
async def test_what_was_accepted_is_rebuilt(tmp_path_factory: pytest.TempPathFactory, batch: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("store")
    calls = [
        made(n, dumped(asked), dumped(answer), endpoint=endpoint) for n, (endpoint, asked, answer) in enumerate(batch)
    ]
    async with store(folder) as (_, ingest):
        await ingest.file(calls)
    found = await kept(folder)
    assert len(found) == len(calls)
    for (_, exchange), call in zip(found, calls, strict=True):
        for rebuilt, raw, body in (
            (exchange.request, exchange.request_raw, call.request),
            (exchange.answer, exchange.answer_raw, call.answer),
        ):
            if raw is None:
                assert orjson.dumps(rebuilt, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
                    orjson.loads(body), option=orjson.OPT_SORT_KEYS
                )
                assert json.loads(orjson.dumps(rebuilt)) == json.loads(body)
            else:
                assert raw == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}',
        b'{"model":"m","messages":[{"role":"user","content":1180591620717411303424}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[{"role":"user","content":NaN}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}',
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"",
        b"<html>",
    ],
)
async def test_what_cannot_be_proven_keeps_its_bytes(tmp_path: Path, body: bytes) -> None:
    async with store(tmp_path) as (_, ingest):
        filed = await ingest.file([made(1, body, body or b" "), made(2, b'{"model":"m"}', b"{}")])
    assert (filed.rows, filed.dead_letters) == (2, 0)
    (_, first), (_, second) = await kept(tmp_path)
    assert first.request_raw == body
    assert first.answer_raw == (body or b" ")
    assert (second.request, second.answer, second.request_raw) == ({"model": "m"}, {}, None)


def stream(endpoint: Endpoint, answer: Any) -> bytes:
    """A stream of the simulator's, whose words are `answer`."""
    wires: dict[Endpoint, Wire] = {
        Endpoint.CHAT: chat, Endpoint.COMPLETIONS: completions, Endpoint.MESSAGES: messages,
        Endpoint.RESPONSES: responses,
    }  # fmt: skip
    wire = wires[endpoint]
    asked = Asked("m", (), stream=True, stream_usage=True)
    calls = (ToolCall("f", orjson.dumps({"x": answer}).decode()),) if endpoint is not Endpoint.COMPLETIONS else ()
    events = wire.events(asked, Answer(answer, calls=calls), Stamp(1, 1))
    return b"".join(wire.frame(event) for event in events) + wire.TERMINAL


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(endpoint=st.sampled_from([Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.MESSAGES, Endpoint.RESPONSES]),
       answer=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), cut=st.floats(0, 1))  # fmt: skip
async def test_a_stream_is_kept_as_what_it_folds_to_or_with_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint, answer: str, cut: float
) -> None:
    folder = tmp_path_factory.mktemp("store")
    whole = stream(endpoint, answer)
    bodies = [whole, whole[: int(len(whole) * cut)]]
    async with store(folder) as (_, ingest):
        await ingest.file(
            [
                made(n, b'{"model":"m"}', body, endpoint=endpoint, content_type="text/event-stream; charset=utf-8")
                for n, body in enumerate(bodies)
            ]
        )
    fold = ENDPOINTS[endpoint].fold
    assert fold is not None
    for (row, exchange), body in zip(await kept(folder), bodies, strict=True):
        if exchange.answer_raw is not None:
            assert exchange.answer_raw == body
        elif body:
            assert exchange.answer == fold(body).answer
            assert fold(body).lossless
        if body is whole:
            assert exchange.answer_raw is None
            assert row.usage_source == "provider"
