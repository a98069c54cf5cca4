"""Answers in any chunking; what of HTTP/1.1 is refused; what may follow on the same connection."""

from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.upstream.response import (
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INFORMATIONAL,
    Disconnected,
    Response,
    Stage,
)
from tests.upstream.rawserver import answer, chunked

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


def begun(*, expects_body: bool = True) -> Response:
    response = Response()
    response.begin(expects_body=expects_body)
    return response


def fed(data: bytes, *, expects_body: bool = True) -> Response:
    response = begun(expects_body=expects_body)
    response.feed(data)
    return response


def feed_all(response: Response, parts: list[bytes]) -> None:
    for part in parts:
        response.feed(part)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


framings = st.sampled_from(["length", "chunks", "close"])


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=6), framing=framings,
       places=st.lists(st.integers(min_value=0), max_size=12), before=st.integers(0, 2))  # fmt: skip
def test_any_chunking_yields_the_same_body(pieces: list[bytes], framing: str, places: list[int], before: int) -> None:
    body = b"".join(pieces)
    whole = {"length": answer(body, b"X-Id: 7"), "chunks": chunked(*pieces), "close": UNTIL_CLOSE + body}[framing]
    response = begun()
    taken = b""
    for part in cut(CONTINUE * before + whole, places):
        response.feed(part)
        taken += response.take()
    if framing == "close":
        assert response.stage is not Stage.DONE
        response.end()
    assert (response.status, taken, response.stage) == (200, body, Stage.DONE)
    assert response.recycle() is (framing != "close")


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300), places=st.lists(st.integers(min_value=0), max_size=5))
def test_noise_is_refused_or_waited_for_but_nothing_else(data: bytes, places: list[int]) -> None:
    response = begun()
    try:
        for part in cut(b"HTTP/1.1 200 OK\r\n" + data, places):
            response.feed(part)
            if response.stage is Stage.DONE:
                return
    except httpx.RemoteProtocolError:
        return
    assert response.stage in (Stage.HEAD, Stage.BODY)


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 1000 OK\r\n\r\n",
        b"HTTP/1.1 099 Early\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\nb: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
    ],
)
def test_what_is_not_plain_http_is_refused(wire: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        fed(wire)


def test_header_values_are_kept_as_bytes_and_names_lowered() -> None:
    response = fed(answer(b"", b"X-Name: caf\xc3\xa9 \xff", b"X-Empty:", b"x-name: again"))
    assert response.headers == [
        (b"x-name", b"caf\xc3\xa9 \xff"), (b"x-empty", b""), (b"x-name", b"again"), (b"content-length", b"0"),
    ]  # fmt: skip


def test_trailers_are_not_headers() -> None:
    response = fed(chunked(b"ab", end=b"0\r\nx-sum: 9\r\n\r\n"))
    assert (response.take(), response.headers) == (b"ab", [(b"transfer-encoding", b"chunked")])
    assert response.recycle()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_without_a_body_end_with_their_head(status: bytes) -> None:
    response = fed(b"HTTP/1.1 " + status + b"\r\ncontent-length: 3\r\n\r\n")
    assert response.stage is Stage.DONE
    assert response.recycle()


@pytest.mark.parametrize("tail", [b"", b"abc"])
def test_an_answer_to_head_ends_with_its_head_and_its_connection(tail: bytes) -> None:
    response = fed(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n" + tail, expects_body=False)
    assert (response.stage, response.take()) == (Stage.DONE, b"")
    assert not response.recycle()


@pytest.mark.parametrize(
    "wire",
    [
        answer(b"abc", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        answer(b"abc") + b"garbage",
        answer(b"abc") + answer(b"of another"),
        answer(b"abc") + b"HTTP/1.1 200 OK\r\nx-half: a head",
        chunked(b"abc") + chunked(b"of another"),
    ],
)
def test_such_a_connection_is_not_used_again_and_nothing_foreign_is_read(wire: bytes) -> None:
    response = fed(wire)
    assert (response.stage, response.take()) == (Stage.DONE, b"abc")
    assert b"x-half" not in dict(response.headers)
    assert not response.recycle()


def test_one_answer_after_the_other_share_nothing() -> None:
    response = fed(answer(b"one", b"x: 1"))
    first = response.headers
    assert response.take() == b"one"
    assert response.recycle()
    response.begin(expects_body=True)
    assert (response.status, response.headers) == (0, [])
    response.feed(chunked(b"two"))
    assert response.take() == b"two"
    assert (b"x", b"1") in first


def test_informational_heads_are_skipped_up_to_a_bound() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    response = fed(hint * MAX_INFORMATIONAL + answer(b"ok"))
    assert (response.status, response.headers, response.take()) == (200, [(b"content-length", b"2")], b"ok")
    with pytest.raises(httpx.RemoteProtocolError):
        fed(hint * (MAX_INFORMATIONAL + 1) + answer(b"ok"))


@pytest.mark.parametrize("step", [997, 10**9])
def test_a_head_is_bounded_in_bytes(step: int) -> None:
    wire = answer(b"", b"x-a: " + b"a" * (MAX_HEAD_BYTES // 2), b"x-b: " + b"b" * (MAX_HEAD_BYTES // 2))
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        feed_all(begun(), [wire[start : start + step] for start in range(0, len(wire), step)])


def test_a_large_body_behind_a_small_head_is_no_large_head() -> None:
    body = b"a" * (2 * MAX_HEAD_BYTES)
    assert fed(answer(body)).take() == body


def test_a_head_is_bounded_in_headers() -> None:
    fed(answer(b"", *[b"x: 1"] * (MAX_HEADERS - 1)))
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        fed(answer(b"", *[b"x: 1"] * MAX_HEADERS))


@pytest.mark.parametrize("flood", [b"1;ext=" + b"e" * 100, b"0\r\nx-trailer: " + b"t" * 100])
def test_framing_without_a_body_is_bounded(flood: bytes) -> None:
    response = fed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + flood)
    with pytest.raises(httpx.RemoteProtocolError, match="framing"):
        feed_all(response, [b"e" * 1024] * (2 * MAX_FRAMING_BYTES // 1024))


@pytest.mark.parametrize("wire", [b"", CONTINUE, b"HTTP/1.1 200 OK\r\nx", answer(b"abc")[:-1], chunked(b"a")[:-2]])
def test_an_end_before_the_answers_end_is_no_answer(wire: bytes) -> None:
    response = fed(wire)
    with pytest.raises(Disconnected):
        response.end()
