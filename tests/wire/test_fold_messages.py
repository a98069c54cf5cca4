"""A folded stream of Anthropic's events is the message that a plain call would have answered with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.endpoint import Folded
from tailrace.wire.fold_messages import fold_messages
from tests.wire.streams import ANTHROPIC, anthropic_events, data, typed

EVENTS = list(anthropic_events())
STOP = {"type": "message_stop"}


def fold(*events: dict[str, Any]) -> Folded:
    return fold_messages(b"".join(typed(event) for event in events))


def block(start: dict[str, Any], *deltas: dict[str, Any]) -> Folded:
    """A message of one block."""
    events = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    return fold(EVENTS[0], {"type": "content_block_start", "index": 0, "content_block": start}, *events, STOP)


def content(folded: Folded) -> dict[str, Any]:
    assert folded.answer is not None
    only: dict[str, Any] = folded.answer["content"][0]
    return only


def test_the_whole_message() -> None:
    assert fold(*EVENTS, STOP) == Folded(ANTHROPIC, terminal=True, error=None, lossless=True)
    assert fold_messages(b"".join(data(event) for event in (*EVENTS, STOP))).answer == ANTHROPIC


@given(st.integers(1, len(EVENTS)))
def test_a_stream_that_broke_off_keeps_the_text_so_far(count: int) -> None:
    folded = fold(*EVENTS[:count])
    assert not folded.terminal
    assert folded.answer is not None
    said = [event["delta"] for event in EVENTS[:count] if event["type"] == "content_block_delta"]
    for name in ("text", "thinking"):
        text = "".join(delta.get(name, "") for delta in said)
        assert text in {one.get(name, "") for one in folded.answer["content"]} | {""}
    inside_input = 0 < sum(len(delta.get("partial_json", "")) for delta in said) < len('{"a": 1, "b": [2]}')
    assert folded.lossless is not inside_input
    if inside_input:
        assert folded.answer["content"][2]["input"] == '{"a": 1,'


def test_input_that_is_no_json_or_not_exactly() -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    for text, parsed in (('{"a":1,"a":2}', {"a": 2}), ("[1", "[1"), ("1e400", "1e400")):
        folded = block(start, {"type": "input_json_delta", "partial_json": text})
        assert (content(folded)["input"], folded.lossless) == (parsed, False)
    folded = block(start, {"type": "input_json_delta", "partial_json": '"x"'})
    assert (content(folded)["input"], folded.lossless) == ("x", True)
    twice = block(start | {"input": {"a": 1}}, {"type": "input_json_delta", "partial_json": "{}"})
    assert (content(twice)["input"], twice.lossless) == ({}, False)


def test_what_a_block_began_with_is_continued() -> None:
    folded = block({"type": "text", "text": "a", "citations": [1]}, {"type": "text_delta", "text": "b"},
                   {"type": "citations_delta", "citation": 2})  # fmt: skip
    assert content(folded) == {"type": "text", "text": "ab", "citations": [1, 2]}
    assert folded.lossless
    compaction = block({"type": "compaction", "content": None},
                       {"type": "compaction_delta", "content": "sum", "encrypted_content": "x"})  # fmt: skip
    assert content(compaction) == {"type": "compaction", "content": "sum", "encrypted_content": "x"}
    assert compaction.lossless


def test_blocks_that_come_whole() -> None:
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]}
    folded = block(result)
    assert (content(folded), folded.lossless) == (result, True)


def test_usage_and_the_end_are_the_last_words() -> None:
    more = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": {"id": "c"}},
            "usage": {"output_tokens": 30, "server_tool_use": {"web_search_requests": 1}},
            "context_management": {"applied_edits": []}}  # fmt: skip
    folded = fold(*EVENTS, more, STOP)
    assert folded.lossless
    assert folded.answer == ANTHROPIC | {
        "stop_reason": "end_turn",
        "container": {"id": "c"},
        "context_management": {"applied_edits": []},
        "usage": ANTHROPIC["usage"] | {"output_tokens": 30, "server_tool_use": {"web_search_requests": 1}},
    }


def test_errors() -> None:
    error = {"type": "overloaded_error", "message": "x"}
    folded = fold(EVENTS[0], {"type": "error", "error": error})
    assert (folded.error, folded.terminal, folded.lossless) == (error, False, True)
    assert folded.answer is not None
    assert fold({"type": "error", "error": error}) == Folded(None, terminal=False, error=error, lossless=True)
    assert not fold({"type": "error", "error": error, "request_id": "req_1"}).lossless


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": {}},
        {"type": "message_start"},
        {"type": "message_delta", "delta": 7},
        {"type": "message_delta", "delta": {}, "usage": []},
        {"type": "content_block_start", "index": 1, "content_block": {}},
        {"type": "content_block_start", "index": -1, "content_block": {}},
        {"type": "content_block_start", "index": 9, "content_block": 7},
        {"type": "content_block_delta", "index": 10**6, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 1, "delta": "x"},
        {"type": "content_block_delta", "index": 1, "delta": {"text": "x"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": 7}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "", "more": 1}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}, "more": 1}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "delta_of_tomorrow"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "other"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "", "x": 1}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": ""}, "more": 1},
        {"type": "content_block_stop", "index": 1, "more": 1},
        {"type": "event_of_tomorrow", "text": "x"},
    ],
)
def test_what_cannot_be_folded_is_said(event: dict[str, Any]) -> None:
    folded = fold(*EVENTS, event, STOP)
    assert (folded.terminal, folded.lossless) == (True, False)
    assert folded.reason
    assert folded.answer is not None
    assert folded.answer["content"][1]["text"] == "Hello"


def test_what_a_last_event_says_beside_its_type_is_lost() -> None:
    assert not fold(*EVENTS, STOP | {"amazon-bedrock-invocationMetrics": {"latency": 1}}).lossless


def test_deltas_without_a_start() -> None:
    folded = fold({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}})
    assert folded.answer == {"type": "message", "role": "assistant", "content": [{"text": "x"}]}
    changed = block({"type": "text", "text": 7}, {"type": "text_delta", "text": "x"})
    assert not changed.lossless
