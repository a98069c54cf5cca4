"""What holds for every parsed endpoint, so also for one that is added tomorrow."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.chains.links import answer_links, links_of
from tailrace.errors import Refused
from tailrace.records import Endpoint, UsageSource
from tailrace.wire.endpoint import EndpointWire, Read, Scan
from tailrace.wire.endpoints import ENDPOINTS
from tests.wire.streams import CUTS, EVENTS, cut

WIRES = list(ENDPOINTS.values())
STREAMING = [wire for wire in WIRES if wire.scan is not None]
ERROR = b'event: error\ndata: {"type":"error","error":{"message":"overloaded"}}\n\n'
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])

WORDS = st.sampled_from(
    [
        *("assistant", "user", "message", "text", "completed", "incomplete", "function_call", "function_call_output"),
        *("tool_use", "tool_result", "reasoning", "item_reference", "max_output_tokens", "end_turn", "rs_1"),
    ]
)
NAMES = st.sampled_from(
    [
        *("usage", "prompt_tokens", "input_tokens", "input_tokens_details", "cached_tokens", "choices", "message"),
        *("messages", "role", "content", "type", "text", "input", "output", "status", "incomplete_details", "reason"),
        *("stop_reason", "name", "arguments", "id", "prompt", "tool_calls", "function", "finish_reason"),
        *("cache_read_input_tokens", "output_tokens_details", "stream", "stream_options"),
    ]
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=3), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=25,
)


def ids(wire: EndpointWire) -> str:
    return wire.endpoint


def run(scan: Scan, chunks: list[bytes]) -> tuple[bytes, bytes]:
    released = b"".join([scan.feed(chunk) for chunk in chunks]) + scan.finish()
    return released, scan.held


def new_scan(wire: EndpointWire) -> Scan:
    assert wire.scan is not None
    return wire.scan(False)


def test_each_endpoint_but_the_rest_has_a_wire() -> None:
    assert set(ENDPOINTS) == set(Endpoint) - {Endpoint.OTHER}
    assert all(wire.path.startswith("/") for wire in WIRES)
    assert {wire.endpoint for wire in STREAMING} == EVENTS.keys()
    assert all((wire.scan is None) is (wire.fold is None) for wire in WIRES)


@pytest.mark.parametrize("wire", WIRES, ids=ids)
@given(value=JSON)
@settings(max_examples=150)
def test_no_json_makes_the_readers_of_answers_fail(wire: EndpointWire, value: Any) -> None:
    for ended in (True, False):
        usage = wire.usage(value, ended)
        assert usage.source in {UsageSource.NONE, UsageSource.PROVIDER if ended else UsageSource.PARTIAL}
        assert usage.input_tokens is None or 0 <= usage.input_tokens <= 2**53
    reason = wire.finish_reason(value)
    assert reason is None or 0 < len(reason) <= 64
    links = links_of(wire.turns_of(value))
    for index, message in wire.answers_of(value):
        assert index >= 0
        answer_links(links, message)


@pytest.mark.parametrize("wire", WIRES, ids=ids)
@given(value=st.dictionaries(NAMES, JSON, max_size=6))
@settings(max_examples=150)
def test_no_json_makes_the_reader_of_requests_fail(wire: EndpointWire, value: dict[str, Any]) -> None:
    try:
        read = wire.read(value)
    except Refused:
        pass
    else:
        assert isinstance(read, Read)
        assert read.step >= 1
        assert len(read.first_user) <= 512
        turns = links_of(wire.turns_of(value))
        assert wire.endpoint is Endpoint.COMPLETIONS or read.step == turns.step


@pytest.mark.parametrize("wire", WIRES, ids=ids)
def test_nesting_without_end_makes_nothing_fail(wire: EndpointWire) -> None:
    for name in ("content", "input", "arguments", "output", "error"):
        deep = orjson.loads(b'{"%s":' % name.encode() + b"[" * 1000 + b"]" * 1000 + b"}")
        message = {"role": "assistant", "type": "tool_use", "input": deep, "content": [deep, {"type": "tool_use"}]}
        value = {"messages": [message], "input": [deep, message], "output": [deep], **message}
        assert wire.usage(value, True).source is UsageSource.NONE
        assert wire.finish_reason(value) is None
        links_of(wire.turns_of(value))
        for _, answer in wire.answers_of(value):
            answer_links(links_of(()), answer)


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
@given(cuts=CUTS, end=LINE_ENDS, tail=st.sampled_from([b"", b": bye\n\n", b"data: [DONE]\n\n"]))
@settings(max_examples=60)
def test_a_good_stream_in_any_chunks(wire: EndpointWire, cuts: list[int], end: bytes, tail: bytes) -> None:
    events, last = EVENTS[wire.endpoint]
    before = b"".join([events[0], b": ping\n\n", *events[1:]]).replace(b"\n", end)
    after = (last + tail).replace(b"\n", end)
    scan = new_scan(wire)
    released, held = run(scan, cut(before + after, cuts))
    assert (released, held) == (before, after)
    assert (scan.terminal, scan.failed) == (True, False)
    assert scan.events == sum(b"ping" not in event for event in events)
    assert wire.fold is not None
    folded = wire.fold(released + held)
    assert (folded.terminal, folded.lossless, folded.reason, folded.error) == (True, True, "", None)
    assert folded.answer == wire.fold(b"".join((*events, last))).answer
    assert wire.finish_reason(folded.answer) in {"stop", "tool_calls"}
    assert len(wire.answers_of(folded.answer)) == (wire.endpoint is not Endpoint.COMPLETIONS)


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
@given(data=st.data(), cuts=CUTS, other=CUTS)
@settings(max_examples=150)
def test_chunking_never_matters(wire: EndpointWire, data: st.DataObject, cuts: list[int], other: list[int]) -> None:
    events, last = EVENTS[wire.endpoint]
    pieces = [*events[:4], last, last[:-1], last[: len(last) // 2], ERROR, b"event: ping\ndata: {}\n\n", b": c\n\n"]
    pieces += [b"data: [DONE]\n\n", b"\n", b"\r", b"event: x\n", b"data: {\n", b"id: 1\n", b"\xef\xbb\xbf", b"x"]
    stream = b"".join(data.draw(st.lists(st.sampled_from(pieces), max_size=8)))
    one, two = new_scan(wire), new_scan(wire)
    parts = run(one, cut(stream, cuts))
    assert parts == run(two, cut(stream, other))
    assert b"".join(parts) == stream
    assert (one.terminal, one.events, one.failed) == (two.terminal, two.events, two.failed)
    assert wire.fold is not None
    wire.fold(stream)


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
def test_the_last_event_waits_from_its_first_byte_on(wire: EndpointWire) -> None:
    events, last = EVENTS[wire.endpoint]
    scan = new_scan(wire)
    for event in events:
        assert scan.feed(event) == event
    for at in range(len(last)):
        assert not scan.feed(last[at : at + 1])
        assert scan.terminal is (at == len(last) - 1)
    assert scan.held == last
    assert scan.feed(b"data: more\n\n") == scan.finish() == b""
    assert scan.held == last + b"data: more\n\n"


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
def test_a_stream_that_was_cut_is_said_to_be(wire: EndpointWire) -> None:
    events, last = EVENTS[wire.endpoint]
    stream = b"".join(events)
    assert wire.fold is not None
    for cut_stream in (stream, stream + last[:11], stream[: len(stream) // 2]):
        scan = new_scan(wire)
        assert b"".join(run(scan, [cut_stream])) == cut_stream
        assert not scan.terminal
        folded = wire.fold(cut_stream)
        assert not folded.terminal
        assert folded.answer is not None


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
def test_an_error_in_the_stream(wire: EndpointWire) -> None:
    events, _ = EVENTS[wire.endpoint]
    stream = events[0] + ERROR
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        scan = new_scan(wire)
        assert run(scan, chunks) == (stream, b"")
        assert (scan.failed, scan.terminal) == (True, False)
    assert wire.fold is not None
    folded = wire.fold(stream)
    assert folded.error == {"message": "overloaded"}
    assert folded.answer is not None


@pytest.mark.parametrize("wire", STREAMING, ids=ids)
@pytest.mark.parametrize(
    "piece",
    [
        b"x",
        b"\n",
        b"\r",
        b": c\n",
        b"data: [",
        b"data: {}\n\n",
        b"event: \n",
        b"event: message\n",
        b'data: {"type":"response.output_text.delta","delta":"x","output_index":1023,"content_index":1023}\n\n',
        b'data: {"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"x"}}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"x"},"text":"x"}]}\n\n',
        b'data: {"error":' + b"[" * 500 + b"]" * 500 + b"}\n\n",
    ],
)
def test_a_hostile_stream_takes_no_more_than_its_length(wire: EndpointWire, piece: bytes) -> None:
    """Were it quadratic, this would run into the guard against hanging: it is some MB in tiny chunks."""
    stream = piece * (400_000 // len(piece))
    scan = new_scan(wire)
    assert b"".join(run(scan, [stream[at : at + 3] for at in range(0, len(stream), 3)])) == stream
    assert b"".join(run(new_scan(wire), [b"data: {", stream, b"\n\n"])) == b"data: {" + stream + b"\n\n"
    assert wire.fold is not None
    wire.fold(stream * 4)
