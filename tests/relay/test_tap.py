"""Taps: what may go out now, what waits for the log, and how an answer ended."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import OPENAI
from tailrace.relay.tap import ERROR_BODY_LIMIT, BodyTap, Ending, ErrorTap, Spool, StreamTap, readable_error
from tailrace.wire.scan import StreamScan

CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{}}]}\n\n',
]
DONE = b"data: [DONE]\n\n"


def test_stream_holds_its_terminal_event() -> None:
    tap = StreamTap(StreamScan(drop_usage=False))
    released = b"".join(tap.feed(chunk) for chunk in [*CHUNKS, DONE])
    assert tap.at_end
    assert (released, tap.close(clean=True)) == (b"".join(CHUNKS), (Ending.WHOLE, b"", DONE))


def test_stream_without_terminal_event_is_truncated_and_gives_up_what_it_withheld() -> None:
    tap = StreamTap(StreamScan(drop_usage=False))
    released = tap.feed(CHUNKS[0] + b"data: [DO")
    ending, last, held = tap.close(clean=True)
    assert (released, ending, last, held) == (CHUNKS[0], Ending.TRUNCATED, b"data: [DO", b"")


def test_error_event_fails_the_answer_even_with_done() -> None:
    tap = StreamTap(StreamScan(drop_usage=False))
    tap.feed(b'data: {"error":{"message":"no"}}\n\n' + DONE)
    assert tap.close(clean=True)[0] is Ending.FAILED


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9))
def test_body_is_held_one_piece_back(pieces: list[bytes]) -> None:
    tap = BodyTap()
    released = b"".join(tap.feed(piece) for piece in pieces)
    ending, last, held = tap.close(clean=True)
    assert released + last + held == b"".join(pieces)
    assert held == (pieces[-1] if pieces else b"")
    assert ending is Ending.WHOLE


def test_cut_body_is_truncated() -> None:
    tap = BodyTap()
    tap.feed(b"{")
    assert tap.close(clean=False)[0] is Ending.TRUNCATED


def test_json_error_passes_untouched() -> None:
    tap = ErrorTap(429, OPENAI)
    assert tap.feed(b'{"error":') + tap.feed(b'{"message":"slow down"}}') == b""
    assert tap.close(clean=True)[2] == b'{"error":{"message":"slow down"}}'


@pytest.mark.parametrize(
    "body", [b"<html>bad gateway</html>", b"", b'{"error":', b'"text"', b"x" * (ERROR_BODY_LIMIT + 9)]
)
def test_other_error_bodies_become_an_error_of_ours(body: bytes) -> None:
    told = orjson.loads(readable_error(body, 502, OPENAI))["error"]
    assert told["code"] == "provider_status"
    assert "502" in told["message"]
    assert len(told["message"]) < 600


def test_error_tap_keeps_a_bounded_copy() -> None:
    tap = ErrorTap(500, OPENAI)
    for _ in range(100):
        tap.feed(b"x" * 10_000)
    assert tap.at_end
    assert len(tap.close(clean=True)[2]) < 1000


def test_spool_hands_on_by_size_and_by_time() -> None:
    parts: list[bytes] = []

    class Log:
        def part(self, body: bytes) -> None:
            parts.append(body)

    spool = Spool(Log(), limit=10, interval_s=1.0)
    spool.add(b"12345", 0.0)
    spool.add(b"67890", 0.1)
    assert parts == [b"1234567890"]
    spool.add(b"a", 0.2)
    spool.tick(1.1)
    assert len(parts) == 1
    spool.tick(1.2)
    assert parts[1:] == [b"a"]
    spool.add(b"b", 5.0)
    assert (spool.rest(), spool.rest(), spool.total) == (b"b", b"", 12)
