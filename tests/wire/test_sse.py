"""Events, as the standard reads them, from any chunking."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.wire.sse import TOO_LONG, Event, Splitter, split

TOKENS = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data:  c",
        b"event: e",
        b"id: 1",
        b": ping",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"x",
    ]
)
STREAMS = st.lists(TOKENS, max_size=20).map(b"".join)


def _reference(stream: bytes) -> list[Event]:
    """WHATWG HTML 9.2.6, step by step; latin-1 keeps each byte."""
    text = stream.decode("latin-1").removeprefix("\xef\xbb\xbf").replace("\r\n", "\n").replace("\r", "\n")
    *lines, _ = text.split("\n")
    events: list[Event] = []
    name, data = "", ""
    for line in lines:
        if not line:
            if data:
                events.append(Event(name.encode("latin-1"), data[:-1].encode("latin-1")))
            name, data = "", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data += value + "\n"
        elif field == "event":
            name = value
    return events


@given(STREAMS)
def test_as_the_standard_reads_them(stream: bytes) -> None:
    assert [event for event in split(stream) if event.closed] == _reference(stream)


@example(b"data: a\r\n", [8])
@example(b"\xef\xbb\xbfdata: a\r\n\r\n", [1, 2, 11, 13])
@given(STREAMS, st.lists(st.integers(0, 200), max_size=10))
def test_chunking_never_matters(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    splitter = Splitter()
    events = [event for a, b in pairwise(places) for event in splitter.feed(stream[a:b])]
    rest = splitter.finish()
    assert [*events, *([rest] if rest else [])] == list(split(stream))


def test_an_event_that_the_end_left_open_says_so() -> None:
    assert list(split(b"data: a\n\ndata: b\n")) == [Event(b"", b"a"), Event(b"", b"b", closed=False)]


@pytest.mark.parametrize("length", [43, 44, 45, 46, 100])
@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
def test_the_place_of_an_event_above_the_limit_is_marked(size: int, length: int) -> None:
    stream = b"data: a\n\ndata: " + b"x" * length + b"\n\ndata: b\r\n\r\n"
    splitter = Splitter(limit=50)
    events = [event for at in range(0, len(stream), size) for event in splitter.feed(stream[at : at + size])]
    middle = Event(b"", b"x" * length) if length <= 44 else TOO_LONG
    assert events == [Event(b"", b"a"), middle, Event(b"", b"b")]


def test_an_endless_line_is_not_kept() -> None:
    splitter = Splitter(limit=1000)
    events = [event for _ in range(100) for event in splitter.feed(b"x" * 500)]
    assert events == [TOO_LONG]
    assert sum(map(len, splitter._parts)) <= 1000
    assert splitter.finish() is None
