"""Answers of providers, whole and as the streams that say the same, for all that hypothesis can think of."""

from itertools import pairwise
from typing import Any

import orjson
from hypothesis import strategies as st

from tailrace.wire.dialect import StreamTranslator

Json = Any
ASKED = {"stream": True, "stream_options": {"include_usage": True}}
NOW_S = 1_764_000_000

_CHARS = st.characters(codec="utf-8")
WORDS = st.text(_CHARS, max_size=12)
SOME_WORDS = st.text(_CHARS, min_size=1, max_size=12)
NAMES = st.text("abc_", min_size=1, max_size=4)
COUNTS = st.integers(0, 2**40)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS
ARGUMENTS = st.dictionaries(
    WORDS, SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(WORDS, SCALARS), max_size=3
)
ANYTHING = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
CUTS = st.lists(st.integers(0, 100_000), max_size=12)


def sse(*events: Json, named: bool = False) -> bytes:
    """A stream of these events, bytes as they are; `named` after their type, as Anthropic does."""
    return b"".join(event if isinstance(event, bytes) else _event(event, named=named) for event in events)


def _event(event: Json, *, named: bool) -> bytes:
    name = b"event: %s\n" % event["type"].encode() if named else b""
    return name + b"data: " + orjson.dumps(event) + b"\n\n"


def run(translator: StreamTranslator, stream: bytes, cuts: list[int] | None = None) -> bytes:
    """What the client is told of `stream`, cut anywhere."""
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts or []), len(stream)]
    return b"".join([translator.feed(stream[a:b]) for a, b in pairwise(places)]) + translator.finish()


def data_of(stream: bytes) -> list[Json]:
    """What each event says; text where it is no JSON."""
    said = []
    for block in stream.split(b"\n\n"):
        for line in block.splitlines():
            if line.startswith(b"data: "):
                data = line[6:]
                said.append("[DONE]" if data == b"[DONE]" else orjson.loads(data))
    return said


def same(answer: Json) -> Json:
    """`answer` with its tool calls' arguments as JSON: a stream keeps the provider's spaces."""
    if isinstance(answer, dict):
        return {k: orjson.loads(v) if k == "arguments" else same(v) for k, v in answer.items()}
    return [same(item) for item in answer] if isinstance(answer, list) else answer


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """`text` in pieces."""
    places = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=3))), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


_BLOCKS = st.one_of(
    st.builds(lambda t: {"type": "text", "text": t}, WORDS),
    st.builds(lambda t, s: {"type": "thinking", "thinking": t, "signature": s}, WORDS, WORDS),
    st.builds(lambda d: {"type": "redacted_thinking", "data": d}, WORDS),
    st.builds(lambda i, n, a: {"type": "tool_use", "id": i, "name": n, "input": a}, WORDS, NAMES, ARGUMENTS),
    st.builds(lambda d: {"type": "server_tool_use", "id": "s", "name": d, "input": {}}, NAMES),
)


@st.composite
def anthropic_answers(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """A message, and the events that say it."""
    content = draw(st.lists(_BLOCKS, max_size=5))
    reason = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn"]))
    end: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
    if reason == "refusal":
        end["stop_details"] = {"type": "refusal", "category": None, "explanation": draw(st.none() | SOME_WORDS)}
    begun = {"input_tokens": draw(COUNTS), "cache_read_input_tokens": draw(st.none() | COUNTS), "output_tokens": 1}
    total = {"output_tokens": draw(COUNTS), "output_tokens_details": {"thinking_tokens": draw(COUNTS)}}
    message = {"id": draw(WORDS), "type": "message", "role": "assistant", "model": draw(WORDS)}
    events: list[Json] = [{"type": "message_start", "message": {**message, "content": [], "usage": begun}}]
    for index, block in enumerate(content):
        events += _block_events(draw, index, block)
    events += [{"type": "message_delta", "delta": end, "usage": total}, {"type": "message_stop"}]
    return {**message, "content": content, **end, "usage": {**begun, **total}}, events


def _block_events(draw: st.DrawFn, index: int, block: dict[str, Any]) -> list[Json]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    deltas: list[Json] = []
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(draw, block["text"])]
    elif block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(draw, block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "tool_use" and block["input"]:
        written = pieces(draw, orjson.dumps(block["input"]).decode())
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in written]
    begun = {name: empty.get(name, value) for name, value in block.items()}
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        *([{"type": "ping"}] if draw(st.booleans()) else []),
        {"type": "content_block_stop", "index": index},
    ]


def _signed(part: dict[str, Any], signature: str | None) -> dict[str, Any]:
    return part if signature is None else {**part, "thoughtSignature": signature}


_PARTS = st.one_of(
    st.builds(lambda t, s: _signed({"text": t}, s), WORDS, st.none() | SOME_WORDS),
    st.builds(lambda t: {"text": t, "thought": True}, WORDS),
    st.builds(
        lambda i, n, a, s: _signed({"functionCall": {"id": i, "name": n, "args": a}}, s),
        st.none() | SOME_WORDS,
        NAMES,
        ARGUMENTS,
        st.none() | SOME_WORDS,
    ),
    st.builds(lambda d: {"inlineData": {"mimeType": "image/png", "data": d}}, NAMES),
)


def _order(part: Any) -> int:
    return 0 if part.get("thought") else 2 if "functionCall" in part else 1


@st.composite
def gemini_answers(draw: st.DrawFn, *, ordered: bool = False) -> tuple[Json, list[Json]]:
    """An answer of generateContent, and the events that say it: each a piece of some candidates.

    `ordered`: thoughts come first, calls last, which is the only order that chat can tell.
    """
    whole = {"responseId": draw(WORDS), "modelVersion": draw(WORDS)}
    usage = {"promptTokenCount": draw(COUNTS), "candidatesTokenCount": draw(COUNTS), "thoughtsTokenCount": draw(COUNTS)}
    candidates: list[dict[str, Any]] = []
    events: list[Json] = []
    for index in range(draw(st.integers(1, 2))):
        parts = draw(st.lists(_PARTS, max_size=5))
        parts = sorted(parts, key=_order) if ordered else parts
        reason = draw(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL"]))
        candidates.append({"index": index, "content": {"parts": parts}, "finishReason": reason})
        at = draw(st.integers(0, len(parts)))
        first = {"index": index, "content": {"role": "model", "parts": parts[:at]}}
        last = {"index": index, "content": {"parts": parts[at:]}, "finishReason": reason}
        events += [{**whole, "candidates": [first]}, {**whole, "candidates": [last], "usageMetadata": usage}]
    return {**whole, "candidates": candidates, "usageMetadata": usage}, events


@st.composite
def chat_answers(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """A chat completion with one choice, and the chunks that say it."""
    whole = {"id": draw(WORDS), "model": draw(WORDS), "created": 1}
    calls: list[dict[str, Any]] = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": orjson.dumps(arguments).decode()}}
        for i, (name, arguments) in enumerate(draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3)))
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "reasoning_content": draw(st.none() | WORDS),
        "content": draw(st.none() | WORDS),
        "refusal": draw(st.none() | SOME_WORDS),
        "tool_calls": calls,
    }
    reason = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "other"]))
    usage = {
        "prompt_tokens": draw(COUNTS),
        "completion_tokens": draw(COUNTS),
        "prompt_tokens_details": {"cached_tokens": draw(st.integers(0, 5))},
        "completion_tokens_details": {"reasoning_tokens": draw(COUNTS)},
    }
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        deltas += [{name: piece} for piece in pieces(draw, message[name] or "")]
    for index, call in enumerate(calls):
        deltas.append({"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": ""}}]})
        written = pieces(draw, call["function"]["arguments"])
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in written]
    said: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    said.append({"index": 0, "delta": {}, "finish_reason": reason})
    events: list[Json] = [{**whole, "choices": [piece], "usage": None} for piece in said]
    events += [{**whole, "choices": [], "usage": usage}, b"data: [DONE]\n\n"]
    return {
        **whole,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": usage,
    }, events
