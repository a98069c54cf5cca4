"""A folded stream of a response's events is the response that a plain call would have answered with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.endpoint import Folded
from tailrace.wire.fold_responses import fold_responses
from tests.wire.streams import BEGUN, CALL, MESSAGE, REASONING, RESPONSE, data, numbered, response_events, typed

EVENTS = list(response_events())
COMPLETED = {"type": "response.completed", "response": RESPONSE}
AT = {"output_index": 0, "content_index": 0, "item_id": "x"}


def fold(*events: dict[str, Any]) -> Folded:
    return fold_responses(b"".join(typed(event) for event in numbered(events)))


def without(kind: str) -> list[dict[str, Any]]:
    return [event for event in EVENTS if event["type"] != kind]


def changed(kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [event | fields if event["type"] == kind else event for event in EVENTS]


def test_the_last_event_is_the_answer() -> None:
    assert fold(*EVENTS, COMPLETED) == Folded(RESPONSE, terminal=True, error=None, lossless=True)
    assert fold(COMPLETED) == Folded(RESPONSE, terminal=True, error=None, lossless=True)


def test_without_names_and_with_done_after_it() -> None:
    stream = b"".join(data(event) for event in (*EVENTS, COMPLETED)) + b"data: [DONE]\n\n"
    assert fold_responses(stream) == fold(*EVENTS, COMPLETED)


def test_the_other_ends() -> None:
    incomplete = RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    folded = fold(*EVENTS, {"type": "response.incomplete", "response": incomplete})
    assert folded == Folded(incomplete, terminal=True, error=None, lossless=True)
    failed = BEGUN | {"status": "failed", "error": {"code": "server_error", "message": "x"}}
    folded = fold(EVENTS[0], {"type": "response.failed", "response": failed})
    assert folded == Folded(failed, terminal=True, error=None, lossless=True)


@given(st.integers(0, len(EVENTS)))
def test_a_stream_that_broke_off_keeps_all_that_was_said(count: int) -> None:
    folded = fold(*EVENTS[:count])
    assert (folded.terminal, folded.lossless, folded.reason) == (False, True, "")
    if not count:
        assert folded.answer is None
        return
    assert folded.answer is not None
    assert folded.answer["status"] == "in_progress"
    said = "".join(event["delta"] for event in EVENTS[:count] if isinstance(event.get("delta"), str))
    assert all(
        text in str(folded.answer["output"])
        for text in ("hm", "Hel", "No", '{"a"')
        if text in said and folded.answer["output"]
    )
    whole = fold(*EVENTS).answer
    assert whole is not None
    assert whole == BEGUN | {"output": [REASONING, MESSAGE, CALL]}


def test_the_text_so_far() -> None:
    upto = next(at for at, event in enumerate(EVENTS) if event.get("delta") == "lo")
    folded = fold(*EVENTS[: upto + 1])
    assert folded.answer is not None
    message = folded.answer["output"][1]
    assert (message["status"], message["content"][0]["text"]) == ("in_progress", "Hello")
    assert [one["token"] for one in message["content"][0]["logprobs"]] == ["Hel"]


@pytest.mark.parametrize(
    ("kind", "holder", "field", "name"),
    [
        ("response.output_text", "message", "content", "text"),
        ("response.refusal", "message", "content", "refusal"),
        ("response.reasoning_text", "reasoning", "content", "text"),
        ("response.reasoning_summary_text", "reasoning", "summary", "text"),
        ("response.function_call_arguments", "function_call", None, "arguments"),
        ("response.mcp_call_arguments", "mcp_call", None, "arguments"),
        ("response.custom_tool_call_input", "custom_tool_call", None, "input"),
        ("response.code_interpreter_call_code", "code_interpreter_call", None, "code"),
    ],
)
def test_each_text_that_comes_in_pieces(kind: str, holder: str, field: str | None, name: str) -> None:
    at = {"output_index": 0, "content_index": 0, "summary_index": 0}
    events = [{"type": f"{kind}.delta", **at, "delta": piece} for piece in "ab"]
    folded = fold(*events)
    assert folded.lossless
    assert folded.answer is not None
    item = folded.answer["output"][0]
    assert item["type"] == holder
    assert (item if field is None else item[field][0])[name] == "ab"
    done = {"type": f"{kind}.done", **at, name: "ab"}
    assert fold(*events, done) == folded
    assert not fold(*events, done | {name: "other"}).lossless
    for last, lossless in ((item, True), (item | {"type": "x"}, True)):
        response = {"type": "response.completed", "response": RESPONSE | {"output": [last]}}
        assert fold(*events, done, response).lossless is lossless
    response = {"type": "response.completed", "response": RESPONSE | {"output": [{"type": holder}]}}
    assert not fold(*events, response).lossless
    assert not fold(done, response).lossless


@pytest.mark.parametrize(
    "events",
    [
        changed("response.output_text.delta", delta="other"),
        changed("response.output_text.delta", logprobs=[{"token": "other"}]),
        changed("response.output_text.done", text="other"),
        changed("response.content_part.done", part={"type": "output_text", "text": "other"}),
        changed("response.output_item.done", item={"type": "message", "content": []} | {"id": "other"}),
        changed("response.output_text.annotation.added", annotation={"url": "other"}),
        changed("response.reasoning_summary_text.delta", delta="other"),
        changed("response.function_call_arguments.done", name="other"),
        changed("response.output_text.delta", output_index=7),
        changed("response.output_text.delta", content_index=7),
        changed("response.output_text.delta", output_index="1"),
        changed("response.output_text.delta", output_index=10**6),
        changed("response.output_text.delta", delta=["x"]),
        changed("response.output_text.delta", unknown="x"),
        changed("response.output_item.added", item=7),
        changed("response.created", response=7),
        [*EVENTS, {"type": "response.image_generation_call.partial_image", "partial_image_b64": "QUJD", **AT}],
        [*EVENTS, {"type": "response.of_tomorrow", "text": "x"}],
        [*EVENTS, {"type": "response.output_text.delta", **AT, "output_index": 3, "delta": "x"}],
    ],
)
def test_what_the_last_event_does_not_say_is_said_to_be_lost(events: list[dict[str, Any]]) -> None:
    folded = fold(*events, COMPLETED)
    assert (folded.answer, folded.terminal, folded.lossless) == (RESPONSE, True, False)
    assert folded.reason


@pytest.mark.parametrize(
    "events",
    [
        without("response.output_text.delta"),
        without("response.output_item.added"),
        without("response.content_part.added"),
        without("response.output_item.done"),
        without("response.created"),
        changed("response.created", response=BEGUN | {"service_tier": "flex", "model": "other"}),
        changed("response.output_text.done", logprobs=[]),
        [*EVENTS, {"type": "response.web_search_call.searching", "output_index": 3, "item_id": "ws_1"}],
        [*EVENTS, {"type": "keepalive"}],
        [*EVENTS, {"type": "response.completed.of_tomorrow"}],
    ],
)
def test_what_adds_nothing_loses_nothing(events: list[dict[str, Any]]) -> None:
    assert fold(*events, COMPLETED) == Folded(RESPONSE, terminal=True, error=None, lossless=True)


@pytest.mark.parametrize("output", [[], None])
def test_a_last_event_without_its_output_is_completed_from_the_others(output: Any) -> None:
    folded = fold(*EVENTS, COMPLETED | {"response": RESPONSE | {"output": output}})
    assert folded.answer == RESPONSE
    assert (folded.terminal, folded.lossless) == (True, False)
    nothing = {"type": "response.completed", "response": RESPONSE | {"output": output}}
    assert fold(EVENTS[0], nothing).lossless


def test_an_item_that_is_done_without_its_text_keeps_the_text() -> None:
    events = [event for event in _bare() if event["type"] != "response.content_part.done"]
    folded = fold(*events, {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE | {"content": []}})
    assert folded.answer is not None
    assert folded.answer["output"][0]["content"][0]["text"] == "Hel"


def _bare() -> list[dict[str, Any]]:
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE | {"content": []}},
        {"type": "response.output_text.delta", **AT, "delta": "Hel"},
    ]


def test_a_response_that_had_items_when_its_stream_began() -> None:
    folded = fold({"type": "response.created", "response": BEGUN | {"output": [REASONING]}}, *_bare()[1:])
    assert folded.answer is not None
    assert folded.answer["output"][0]["id"] == "rs_1"

    again = {"type": "response.in_progress", "response": BEGUN | {"output": [REASONING]}}
    assert fold(*EVENTS, again).answer == BEGUN | {"output": [REASONING, MESSAGE, CALL]}


def test_what_is_done_twice() -> None:
    item = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    assert fold(item, item).lossless
    assert not fold(item, item | {"item": CALL}).lossless
    text = {"type": "response.output_text.done", **AT, "text": "x"}
    assert fold(text, text).lossless
    assert not fold(text, text | {"text": "y"}).lossless


def test_errors() -> None:
    plain = {"type": "error", "code": "rate_limited", "message": "x", "param": None}
    folded = fold(EVENTS[0], plain)
    assert folded.error == {"code": "rate_limited", "message": "x", "param": None}
    assert (folded.answer, folded.terminal, folded.lossless) == (BEGUN, False, True)
    nested = {"type": "error", "error": {"code": "x"}}
    assert fold(nested).error == {"code": "x"}
    failed = {"type": "response.failed", "response": BEGUN | {"error": {"code": "x"}}}
    assert fold(EVENTS[0], nested, failed).lossless
    assert not fold(EVENTS[0], nested, failed | {"response": BEGUN | {"error": {"code": "y"}}}).lossless
    assert not fold(nested, plain).lossless
    assert not fold(nested | {"request_id": "r"}).lossless
    assert fold_responses(b"event: error\ndata: broken\n\n").error == "broken"


@pytest.mark.parametrize(
    "event",
    [
        b"data: {broken\n\n",
        b"data: [1]\n\n",
        b'data: {"type":"response.in_progress","response":{"a":1,"a":1}}\n\n',
        b'event: response.in_progress\ndata: {"type":"response.queued","response":{}}\n\n',
        b'event: ping\ndata: {"type":"ping","x":1}\n\n',
        b'data: {"type":"response.in_progress","response":{"x":' + b"[" * 300 + b"]" * 300 + b"}}\n\n",
        b'data: {"text":"x"}\n\n',
    ],
)
def test_what_cannot_be_folded_is_said_and_does_not_spoil_the_rest(event: bytes) -> None:
    folded = fold_responses(typed(EVENTS[0]) + event + typed(COMPLETED))
    assert (folded.answer, folded.terminal, folded.lossless) == (RESPONSE, True, False)
    assert fold_responses(typed(COMPLETED) + typed(EVENTS[0])).reason == "data after the terminal event"


def test_the_end_of_the_stream_inside_its_last_event() -> None:
    cut = fold_responses(typed(EVENTS[0]) + typed(COMPLETED)[:-9])
    assert (cut.answer, cut.terminal, cut.reason) == (BEGUN, False, "the stream ends inside an event")
    assert fold_responses(typed(EVENTS[0]) + typed(COMPLETED)[:-1]).terminal
    broken = fold_responses(b"event: response.completed\ndata: {\n\n")
    assert (broken.answer, broken.terminal, broken.lossless) == (None, True, False)
