"""Where a stream of typed events ends, however its server writes it, and that nothing else waits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.wire.fold_messages import KINDS as MESSAGES
from tailrace.wire.fold_responses import KINDS as RESPONSES
from tailrace.wire.sse import EVENT_LIMIT_BYTES
from tailrace.wire.typed import Kinds
from tailrace.wire.typed_scan import TypedScan
from tests.wire.streams import CUTS, cut, data, typed

DELTA = typed({"type": "response.output_text.delta", "delta": "hi"})
COMPLETED = typed({"type": "response.completed", "response": {}})
FAILED = typed({"type": "response.failed", "response": {"error": {"code": "x"}}})
STOP = typed({"type": "message_stop"})
MARK = b"\xef\xbb\xbf"
PING = typed({"type": "ping"})


def run(stream: bytes | list[bytes], kinds: Kinds = RESPONSES) -> tuple[bytes, TypedScan]:
    scan = TypedScan(kinds)
    chunks = [stream] if isinstance(stream, bytes) else stream
    released = b"".join([scan.feed(chunk) for chunk in chunks])
    return released + scan.finish(), scan


@pytest.mark.parametrize("kind", ["response.completed", "response.failed", "response.incomplete"])
def test_each_end_of_a_response(kind: str) -> None:
    for last in (typed({"type": kind, "response": {}}), data({"type": kind, "response": {}})):
        released, scan = run(DELTA + last)
        assert (released, scan.held, scan.terminal, scan.events) == (DELTA, last, True, 1)
        assert scan.failed is (kind == "response.failed")


@pytest.mark.parametrize(
    "last",
    [
        data({"type": "response.completed", "response": {"x": "y" * 5000}}),
        data({"response": {"x": "y" * 5000}, "sequence_number": 7, "type": "response.completed"}),
        b'data:{ "type" :"response.completed"}\n\n',
        b'data: {\ndata: "type":\ndata: "response.completed"}\n\n',
        b'id: 7\nretry: 1\nevent: response.completed\ndata: {"type":"response.completed"}\n\n',
        b'data: {"type":"response.completed"}\nevent: response.completed\n\n',
        b'event: message\ndata: {"type":"response.completed"}\n\n',
        b'event:\ndata: {"type":"response.completed"}\n\n',
        b"event:response.completed\ndata: {}\n\n",
        b'data: {"\\u0074ype":"response.\\u0063ompleted"}\n\n',
        b"data: [DONE]\n\n",
        b"data:[DONE] \n\n",
        b"event: done\ndata: [DONE]\n\n",
        b"event: response.completed\ndata: no json\n\n",
    ],
)
def test_the_end_in_all_its_spellings(last: bytes) -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        spelt = last.replace(b"\n", end)
        for size in (1, 3, 10_000):
            released, scan = run([(DELTA + spelt)[at : at + size] for at in range(0, len(DELTA + spelt), size)])
            assert (released, scan.held, scan.terminal) == (DELTA, spelt, True)
            assert scan.events == 1


@pytest.mark.parametrize(
    "event",
    [
        typed({"type": "response.output_text.delta", "delta": "event: response.completed"}),
        typed({"type": "response.output_text.delta", "delta": '{"type":"response.completed"}'}),
        data({"type": "response.output_text.delta", "delta": "\nevent: response.completed\n"}),
        data({"item": {"type": "response.completed"}, "type": "response.output_item.added"}),
        b": event: response.completed\n\n",
        b"event: response.completed_not\ndata: {}\n\n",
        b"event: response.complete\ndata: {}\n\n",
        b"events: response.completed\ndata: {}\n\n",
        b'data: ["response.completed"]\n\n',
        b'event: other\ndata: {"type":"response.completed"}\n\n',
        b'data: {"type":7}\n\n',
    ],
)
def test_what_only_looks_like_an_end(event: bytes) -> None:
    for size in (1, 7, 10_000):
        stream = event + DELTA
        released, scan = run([stream[at : at + size] for at in range(0, len(stream), size)])
        assert (released, scan.held, scan.terminal) == (stream, b"", False)


def test_a_name_is_enough_to_wait() -> None:
    released, scan = run(b"event: response.completed\n\n" + DELTA)
    assert (released, scan.held) == (b"", b"event: response.completed\n\n" + DELTA)


def test_a_decided_event_flows_while_it_is_written() -> None:
    scan = TypedScan(RESPONSES)
    assert scan.feed(b"event: response.out") == b""
    assert scan.feed(b"put_text.delta\nda") == b"event: response.output_text.delta\nda"
    assert scan.feed(b"ta: {") == b"ta: {"
    assert scan.feed(b"}\n\n") == b"}\n\n"
    assert scan.feed(b'data: {"type":"resp') == b""
    assert scan.feed(b'onse.created"') == b'data: {"type":"response.created"'
    assert scan.feed(b"}\n") == b"}\n"
    assert scan.events == 1
    assert scan.feed(b"\n: pi") == b"\n: pi"
    assert scan.feed(b"ng\n") == b"ng\n"
    assert scan.events == 2


def test_an_undecided_event_waits_until_it_is_whole() -> None:
    scan = TypedScan(RESPONSES)
    assert scan.feed(b'data: {"sequence_number":1,') == b""
    assert scan.feed(b'"x":"' + b"y" * 100_000) == b""
    assert len(scan.feed(b'","type":"response.created"}\n\n')) > 100_000
    assert scan.events == 1


def test_an_event_too_long_to_look_into_flows_through() -> None:
    scan = TypedScan(RESPONSES)
    released = scan.feed(b'data: {"x":"')
    for _ in range(40):
        released += scan.feed(b"y" * 65_536)
        assert sum(map(len, scan._parts)) <= EVENT_LIMIT_BYTES
    assert len(released) == 12 + 40 * 65_536
    assert scan.feed(b'"}\n\n') == b'"}\n\n'
    assert scan.events == 1
    assert scan.feed(DELTA) == DELTA


def test_a_last_event_of_any_length_is_held_whole() -> None:
    last = typed({"type": "response.completed", "response": {"image": "x" * 3 * EVENT_LIMIT_BYTES}})
    for size in (EVENT_LIMIT_BYTES, 10 * EVENT_LIMIT_BYTES):
        released, scan = run([last[at : at + size] for at in range(0, len(last), size)])
        assert (released, scan.held, scan.terminal) == (b"", last, True)


def test_the_end_of_the_transport_decides() -> None:
    for last in (COMPLETED, data({"response": {}, "type": "response.completed"})):
        released, scan = run(DELTA + last[:-1])
        assert (released, scan.held, scan.terminal) == (DELTA, last[:-1], True)
        released, scan = run(DELTA + last[:-4])
        assert (released + scan.held, scan.terminal) == (DELTA + last[:-4], False)
    released, scan = run(DELTA + b"data: [DONE]")
    assert (released, scan.held, scan.terminal) == (DELTA, b"data: [DONE]", True)
    assert run(b"event: response.completed\n")[1].terminal is False
    assert run(b"\xef\xbb")[0] == b"\xef\xbb"


def test_pings_are_no_progress() -> None:
    released, scan = run([PING, DELTA, PING, b": ping\n\n", data({"type": "ping"})], MESSAGES)
    assert released == PING + DELTA + PING + b": ping\n\n" + data({"type": "ping"})
    assert scan.events == 1
    assert run(typed({"type": "keepalive", "sequence_number": 1}))[1].events == 0


@pytest.mark.parametrize(
    ("stream", "failed"),
    [
        (typed({"type": "error", "message": "x"}), True),
        (data({"type": "error", "message": "x"}), True),
        (data({"error": {"message": "x"}}), True),
        (b'event: error\ndata: {"type":"error"', True),
        (DELTA + b'event: x\ndata: {"error":{"message":"x"}}\n\n', True),
        (FAILED, True),
        (typed({"type": "response.created", "response": {"error": None}, "error": None}), False),
        (typed({"type": "response.output_text.delta", "delta": '"error"'}), False),
        (typed({"type": "response.created", "response": {"error": {"x": 1}}}), False),
    ],
)
def test_an_error_is_noted(stream: bytes, failed: bool) -> None:
    for size in (1, 10_000):
        _, scan = run([stream[at : at + size] for at in range(0, len(stream), size)])
        assert scan.failed is failed


@pytest.mark.parametrize(
    ("chunks", "released"),
    [
        ([DELTA, b": comm", b'event: x\ndata: {"type":"response.completed"}\n\n'], DELTA + b": commevent: x\n"),
        ([DELTA, b"event: x\ndata: {\r\rdata: [DONE]\n\n"], DELTA + b"event: x\ndata: {\r\r"),  # lone CRs end lines
        ([DELTA, MARK + b"data: [DONE]\n\n"], DELTA + MARK + b"data: [DONE]\n\n"),  # no mark inside a stream
        ([MARK[:2], MARK[2:] + COMPLETED], MARK),
        ([DELTA, b'data: {"x\nevent: response.completed\n'], DELTA + b'data: {"x\nevent: response.completed\n'),
        ([COMPLETED, DELTA, b": ping\n\n"], b""),
        ([DELTA, DELTA + COMPLETED], DELTA * 2),
    ],
)
def test_an_end_where_one_would_not_look_for_it(chunks: list[bytes], released: bytes) -> None:
    for one in (chunks, [b"".join(chunks)]):
        passed, scan = run(one)
        assert (passed, passed + scan.held) == (released, b"".join(chunks))
        assert scan.terminal is bool(scan.held)


def test_the_usual_chunk_flows_at_once() -> None:
    scan = TypedScan(RESPONSES)
    for count in range(1, 4):
        assert scan.feed(DELTA) == DELTA
        assert scan.events == count


def test_many_events_in_one_chunk() -> None:
    released, scan = run(DELTA * 5000 + STOP, MESSAGES)
    assert (released, scan.held, scan.events) == (DELTA * 5000, STOP, 5000)


PIECES = st.sampled_from(
    [
        *(b"event: ", b"event:", b"message_stop", b"message", b"ping", b"error", b"x", b"data: ", b"data:", b"[DONE]"),
        *(b"\n", b"\n\n", b"\r", b"\r\n", b": c\n", b" ", b"id: 1\n", b"\xef\xbb\xbf", b"\xef"),
        *(b'{"type":"message_stop"}', b'{"type":"x"}', b'{"error":1}', b'{"a":1,"type":"message_stop"}', b"{", b'"'),
        *(STOP, PING, DELTA, data({"type": "message_stop"}), data({"a": "b" * 600, "type": "message_stop"})),
    ]
)


@given(st.lists(PIECES, max_size=14).map(b"".join), CUTS)
@settings(max_examples=400)
def test_any_bytes_in_any_chunks(stream: bytes, cuts: list[int]) -> None:
    whole, one = run(stream, MESSAGES)
    assert whole + one.held == stream
    scan = TypedScan(MESSAGES)
    released = fed = b""
    for chunk in cut(stream, cuts):
        fed += chunk
        released += scan.feed(chunk)
        assert fed.startswith(released)
        assert not scan.held or released + scan.held == fed
    released += scan.finish()
    assert (released, scan.held) == (whole, one.held)
    assert (scan.terminal, scan.events, scan.failed) == (one.terminal, one.events, one.failed)
    if scan.terminal and not stream.count(b"\r"):
        assert b"message_stop" in scan.held or b"[DONE]" in scan.held
