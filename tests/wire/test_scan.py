"""The hold-back rule, held for every stream and every chunking that hypothesis finds."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.wire.scan import StreamScan
from tailrace.wire.sse import EVENT_LIMIT_BYTES

CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
ERROR = b'data: {"error":{"message":"overloaded"}}\n\n'
PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
BOM = b"\xef\xbb\xbf"
TERMINAL_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]))(?=data: ?\[DONE\])")

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TOKENS = st.sampled_from(
    [
        *(b"data", b"data: ", b"data:", b"event: x", b": c", b"[DONE]", b"[DO", b" ", b"x", b"]"),
        *(b"\r", b"\n", b"\r\n", BOM, b"\xef", b'{"choices": [', b'{"error":1}'),
        *(b'{"choices":[],"usage":{"a":1}}', b'{"choices":[{}],"usage":{"a":1}}'),
        *(CHUNK, USAGE, ERROR, PING, DONE, b"data: [DONE]\r\n\r\n"),
    ]
)
SOUP = st.lists(TOKENS, max_size=14).map(b"".join)


@st.composite
def _streams(draw: st.DrawFn) -> list[bytes]:
    """The events of a well-formed stream, each with its blank line, all with one kind of line end."""
    kinds = st.sampled_from(
        [CHUNK, CHUNK, USAGE, PING, ERROR, b'event: x\ndata: {\ndata: "choices":[1]}\n\n', b"id: 7\n\n"]
    )
    end = draw(LINE_ENDS)
    tail = draw(
        st.sampled_from([b"", DONE, b"data:[DONE]\n\n", DONE + DONE, DONE + USAGE, b"data: [DONE]", b"data: [DONE]\n"])
    )
    return [event.replace(b"\n", end) for event in [*draw(st.lists(kinds, max_size=6)), tail]]


def _cut(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)


def _run(chunks: Iterable[bytes], *, drop: bool = False) -> tuple[bytes, StreamScan]:
    scan = StreamScan(drop_usage=drop)
    released = b"".join([scan.feed(chunk) for chunk in chunks])
    return released + scan.finish(), scan


@given(st.one_of(_streams().map(b"".join), SOUP), CUTS)
def test_what_is_released_and_held_is_what_came_and_nothing_decided_is_withheld(stream: bytes, cuts: list[int]) -> None:
    found = TERMINAL_LINE.search(stream)
    scan = StreamScan(drop_usage=False)
    released = fed = b""
    for chunk in _cut(stream, cuts):
        fed += chunk
        released += scan.feed(chunk)
        assert fed.startswith(released)
        withheld = fed.removeprefix(released).removesuffix(scan.held)
        assert not scan.held or not withheld
        assert any(line.startswith(withheld) for line in (b"data: [DONE]", b"data:[DONE]", BOM))
        assert withheld not in (b"data: [DONE]", b"data:[DONE]", BOM)
        assert found is None or len(released) <= found.end()
    released += scan.finish()
    assert released == stream[: found.end() if found else None]
    assert scan.held == (stream[found.end() :] if found else b"")
    assert scan.terminal is bool(found)


@given(_streams(), CUTS)
def test_the_usage_event_alone_is_taken_out(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(events)
    released, scan = _run(_cut(stream, cuts), drop=True)
    *before, tail = events
    assert released + scan.held == b"".join(event for event in before if b'"choices":[],' not in event) + tail
    assert scan.held == (tail if tail.startswith(b"data") else b"")
    assert scan.events == sum(b"data:" in event for event in before)
    assert scan.failed is any(b'"error"' in event for event in before)


@given(SOUP, CUTS, st.booleans())
@settings(max_examples=200)
def test_chunking_never_matters(stream: bytes, cuts: list[int], drop: bool) -> None:
    whole, one = _run([stream], drop=drop)
    pieces, two = _run(_cut(stream, cuts), drop=drop)
    assert (pieces, two.held, two.terminal, two.events, two.failed) == (
        whole,
        one.held,
        one.terminal,
        one.events,
        one.failed,
    )


@pytest.mark.parametrize("drop", [False, True])
def test_each_byte_alone(drop: bool) -> None:
    stream = BOM + CHUNK + PING + CHUNK + USAGE + DONE
    released, scan = _run((stream[at : at + 1] for at in range(len(stream))), drop=drop)
    assert released == BOM + CHUNK + PING + CHUNK + (b"" if drop else USAGE)
    assert scan.held == DONE
    assert scan.terminal
    assert scan.events == 3


def test_the_usual_chunk_flows_at_once() -> None:
    scan = StreamScan(drop_usage=True)
    for count in range(1, 4):
        assert scan.feed(CHUNK) == CHUNK
        assert scan.events == count
    assert scan.feed(PING) == PING
    assert scan.events == 3


def test_the_terminal_event_is_complete_at_its_blank_line() -> None:
    scan = StreamScan(drop_usage=False)
    assert scan.feed(CHUNK + b"data: [DONE]\r\n") == CHUNK
    before = scan.terminal
    assert scan.feed(b"\r\n") == b""
    assert (before, scan.terminal) == (False, True)
    assert scan.feed(b"data: [DONE]\n\n") == b""
    assert scan.held == b"data: [DONE]\r\n\r\ndata: [DONE]\n\n"


def test_a_terminal_line_that_goes_on_for_ever_is_complete_at_a_bound() -> None:
    scan = StreamScan(drop_usage=False)
    scan.feed(b"data: [DONE]")
    for _ in range(5):
        scan.feed(b"x" * 1024)
    assert scan.terminal


def test_done_inside_text_is_no_end() -> None:
    text = b'data: {"choices":[{"delta":{"content":"say data: [DONE]\\ndata: [DONE]"}}]}\n\n'
    released, scan = _run([text])
    assert released == text
    assert not scan.terminal


def test_a_usage_event_is_released_where_the_client_asked_for_it() -> None:
    assert _run([CHUNK, USAGE])[0] == CHUNK + USAGE


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"usage":null,"prompt_filter_results":[]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\"choices\\":[],\\"usage\\":{}"}}],"usage":{"a":1}}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":1}\n\n',  # no JSON
    ],
)
def test_other_events_are_not_taken_for_the_usage_event(event: bytes) -> None:
    for chunks in ([event], [event[:30], event[30:]], [event, CHUNK]):
        assert _run(chunks, drop=True)[0] == b"".join(chunks)


def test_an_incomplete_event_is_withheld_only_while_it_may_be_the_usage_event() -> None:
    scan = StreamScan(drop_usage=True)
    assert scan.feed(b'data: {"id":"c","choi') == b""
    assert scan.feed(b'ces":[{"index"') == b'data: {"id":"c","choices":[{"index"'
    assert scan.feed(b":0}") == b":0}"
    assert scan.feed(b"]}\n\n") == b"]}\n\n"
    assert scan.feed(b": pi") == b": pi"


@pytest.mark.parametrize("drop", [False, True])
def test_an_event_above_the_limit_flows_through(drop: bool) -> None:
    scan = StreamScan(drop_usage=drop)
    scan.feed(b'data: {"x":"')
    for _ in range(40):
        assert len(scan.feed(b"y" * 65_536)) >= 65_536
        assert sum(map(len, scan._events._parts)) <= EVENT_LIMIT_BYTES
    assert scan.feed(b'"}\n\n').endswith(b'"}\n\n')
    assert scan.events == 1
    assert scan.feed(CHUNK) == CHUNK


@pytest.mark.parametrize(
    "stream",
    [
        ERROR,
        b'event: error\ndata: {"message":"x"}\n\n',
        b'data: {"error":\ndata: "x"}\r\n\r\n',
        b'data: {"error":"cut"}\n',  # without its blank line, at the transport's end
        b'data: {"choices":[],"error":{"code":502}}\n\n',
    ],
)
def test_an_error_event_is_noted(stream: bytes) -> None:
    for size in (1, 7, len(stream)):
        scan = _run(stream[at : at + size] for at in range(0, len(stream), size))[1]
        assert scan.failed
        assert not scan.terminal


def test_an_error_inside_the_text_is_none() -> None:
    text = b'data: {"choices":[{"delta":{"content":"\\"error\\"","error":1}}],"error":null}\n\n'
    assert not _run([text])[1].failed


def test_hostile_line_ends_do_not_take_exponential_time() -> None:
    lines = b"event: x\r\n" * 3000  # 30 KB of fields and no data, withheld in this mode up to its limit
    released, scan = _run([lines[:9000], lines[9000:], b"data: x\r\n\r\n"], drop=True)
    assert released == lines + b"data: x\r\n\r\n"
    assert scan.events == 1


@pytest.mark.parametrize(
    ("chunks", "released"),
    [
        ([b"x", DONE], b"x" + DONE),  # not at the start of a line
        ([b"\xef\xbb", CHUNK, DONE], b"\xef\xbb" + CHUNK),  # part of a mark, then an event
        ([PING, b'data: {\rdata: [DONE]\r\r"}\n\n'], PING + b"data: {\r"),  # a lone CR ends a line too
        ([PING, DONE, CHUNK], PING),  # an event after the end
    ],
)
def test_an_end_where_one_would_not_look_for_it(chunks: list[bytes], released: bytes) -> None:
    passed, scan = _run(chunks)
    assert (passed, passed + scan.held) == (released, b"".join(chunks))


def test_the_end_decides_what_was_withheld_before_it() -> None:
    scan = StreamScan(drop_usage=True)
    assert scan.feed(b'data: {"choi') == b""
    assert scan.feed(b"\n" + DONE) == b'data: {"choi\n'


def test_all_of_the_usage_event_goes_where_its_last_line_end_is_split() -> None:
    usage = USAGE.replace(b"\n", b"\r\n")
    assert _run([CHUNK, usage[:-1], usage[-1:] + CHUNK], drop=True)[0] == CHUNK + CHUNK
    assert _run([CHUNK, b": p\r", b"\n" + CHUNK], drop=True)[0] == CHUNK + b": p\r\n" + CHUNK


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"usage":{"x":"' + b"y" * 20_000 + b'"}}\n\n',  # longer than any usage chunk
        b'data: {"choices":[{}],"choices":[],"usage":{"x":1}}\n\n',
    ],
)
def test_what_would_be_undecided_too_long_is_kept_in_any_chunking(event: bytes) -> None:
    assert _run([PING, event], drop=True)[0] == PING + event
    assert _run([PING + event], drop=True)[0] == PING + event
    assert _run([event[at : at + 999] for at in range(0, len(event), 999)], drop=True)[0] == event
