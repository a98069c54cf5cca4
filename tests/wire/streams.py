"""Streams as the providers of each endpoint write them, and cuts of them, for the tests of scans and folds."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import orjson
from hypothesis import strategies as st

from tailrace.records import Endpoint

CUTS: Final = st.lists(st.integers(min_value=0, max_value=100_000), max_size=12)


def cut(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`stream` in chunks, cut at `cuts` (modulo its length)."""
    places = [0, *sorted(place % (len(stream) + 1) for place in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


def data(value: Any) -> bytes:
    """An event without a name."""
    return b"data: %b\n\n" % orjson.dumps(value)


def typed(value: dict[str, Any]) -> bytes:
    """An event with the name that its type is."""
    return b"event: %b\n" % value["type"].encode() + data(value)


def numbered(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events with sequence numbers, as OpenAI gives them."""
    return [{"sequence_number": number, **event} for number, event in enumerate(events)]


TOKEN_LOGPROBS: Final = [{"token": "Hel", "logprob": -0.25, "top_logprobs": [{"token": "Hel", "logprob": -0.25}]}]
MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {
            "type": "output_text",
            "text": "Hello",
            "annotations": [{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 5}],
            "logprobs": [{"token": "Hel", "bytes": [72], "logprob": -0.25, "top_logprobs": [
                {"token": "Hel", "bytes": [72], "logprob": -0.25}]}],
        },
        {"type": "refusal", "refusal": "No."},
    ],
}  # fmt: skip
REASONING: Final[dict[str, Any]] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "hm, so"}],
    "content": [{"type": "reasoning_text", "text": "deep"}],
    "encrypted_content": "gAAAA2",
}
CALL: Final[dict[str, Any]] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "arguments": '{"a": 1}',
    "call_id": "call_1",
    "name": "f",
}
RESPONSE: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [REASONING, MESSAGE, CALL],
    "service_tier": "default",
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    },
}
BEGUN: Final = RESPONSE | {"status": "in_progress", "output": [], "usage": None, "service_tier": "auto"}


def response_events(*, deltas: bool = True) -> Iterator[dict[str, Any]]:
    """What comes before the last event of the stream that says RESPONSE."""
    yield {"type": "response.created", "response": BEGUN}
    yield {"type": "response.in_progress", "response": BEGUN}
    yield from _reasoning_events()
    yield from _message_events()
    at = {"output_index": 2, "item_id": "fc_1"}
    yield {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": CALL | {"status": "in_progress", "arguments": ""},
    }
    if deltas:
        for piece in ('{"a"', ": 1}"):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece, "obfuscation": "xyz"}
    yield {"type": "response.function_call_arguments.done", **at, "arguments": '{"a": 1}', "name": "f"}
    yield {"type": "response.output_item.done", "output_index": 2, "item": CALL}


def _reasoning_events() -> Iterator[dict[str, Any]]:
    at = {"output_index": 0, "item_id": "rs_1", "summary_index": 0}
    yield {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA1"},
    }
    yield {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}}
    for piece in ("hm,", " so"):
        yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **at, "text": "hm, so"}
    yield {"type": "response.reasoning_summary_part.done", **at, "part": REASONING["summary"][0]}
    at = {"output_index": 0, "item_id": "rs_1", "content_index": 0}
    yield {"type": "response.reasoning_text.delta", **at, "delta": "deep"}
    yield {"type": "response.reasoning_text.done", **at, "text": "deep"}
    yield {"type": "response.output_item.done", "output_index": 0, "item": REASONING}


def _message_events() -> Iterator[dict[str, Any]]:
    text, refusal = MESSAGE["content"]
    at = {"output_index": 1, "item_id": "msg_1", "content_index": 0}
    yield {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": MESSAGE | {"status": "in_progress", "content": []},
    }
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield {"type": "response.content_part.added", **at, "part": part}
    yield {"type": "response.output_text.delta", **at, "delta": "Hel", "logprobs": TOKEN_LOGPROBS}
    yield {"type": "response.output_text.delta", **at, "delta": "lo", "logprobs": []}
    yield {
        "type": "response.output_text.annotation.added",
        **at,
        "annotation_index": 0,
        "annotation": text["annotations"][0],
    }
    yield {"type": "response.output_text.done", **at, "text": "Hello", "logprobs": TOKEN_LOGPROBS}
    yield {"type": "response.content_part.done", **at, "part": text}
    at = at | {"content_index": 1}
    yield {"type": "response.refusal.delta", **at, "delta": "No"}
    yield {"type": "response.refusal.delta", **at, "delta": "."}
    yield {"type": "response.refusal.done", **at, "refusal": "No."}
    yield {"type": "response.content_part.done", **at, "part": refusal}
    yield {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE}


ANTHROPIC: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm, so", "signature": "c2ln"},
        {"type": "text", "text": "Hello", "citations": [{"type": "char_location", "cited_text": "x"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1, "b": [2]}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
        "output_tokens": 25,
        "output_tokens_details": {"thinking_tokens": 6},
        "service_tier": "standard",
    },
}


def anthropic_events() -> Iterator[dict[str, Any]]:
    """What comes before the last event of the stream that says ANTHROPIC."""
    thinking, text, call, other = ANTHROPIC["content"]
    usage = {name: value for name, value in ANTHROPIC["usage"].items() if name != "output_tokens_details"}
    begun = ANTHROPIC | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield _block(0, thinking | {"thinking": "", "signature": ""})
    yield {"type": "ping"}
    yield _delta(0, {"type": "thinking_delta", "thinking": "hm,"})
    yield _delta(0, {"type": "thinking_delta", "thinking": " so"})
    yield _delta(0, {"type": "signature_delta", "signature": "c2ln"})
    yield {"type": "content_block_stop", "index": 0}
    yield _block(1, {"type": "text", "text": "", "citations": None})
    yield _delta(1, {"type": "text_delta", "text": "Hel"})
    yield _delta(1, {"type": "citations_delta", "citation": text["citations"][0]})
    yield _delta(1, {"type": "text_delta", "text": "lo"})
    yield {"type": "content_block_stop", "index": 1}
    yield _block(2, call | {"input": {}})
    for piece in ("", '{"a": 1,', ' "b": [2]}'):
        yield _delta(2, {"type": "input_json_delta", "partial_json": piece})
    yield {"type": "content_block_stop", "index": 2}
    yield _block(3, other)
    yield _delta(3, {"type": "input_json_delta", "partial_json": ""})
    yield {"type": "content_block_stop", "index": 3}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 25, "input_tokens": None, "output_tokens_details": {"thinking_tokens": 6}},
    }


def _block(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


_CHAT: Final = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m"}
_TEXT: Final = {"id": "c", "object": "text_completion", "created": 7, "model": "m"}

EVENTS: Final[dict[Endpoint, tuple[list[bytes], bytes]]] = {
    Endpoint.CHAT: (
        [
            data(_CHAT | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}),
            data(_CHAT | {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]}),
        ],
        b"data: [DONE]\n\n",
    ),
    Endpoint.COMPLETIONS: (
        [
            data(_TEXT | {"choices": [{"index": 0, "text": "Hel", "logprobs": None, "finish_reason": None}]}),
            data(_TEXT | {"choices": [{"index": 0, "text": "lo", "logprobs": None, "finish_reason": "stop"}]}),
        ],
        b"data: [DONE]\n\n",
    ),
    Endpoint.RESPONSES: (
        [typed(event) for event in numbered(response_events())],
        typed({"type": "response.completed", "sequence_number": 99, "response": RESPONSE}),
    ),
    Endpoint.MESSAGES: ([typed(event) for event in anthropic_events()], typed({"type": "message_stop"})),
}
"""For each endpoint that streams: the events of a good stream, and its last one."""
