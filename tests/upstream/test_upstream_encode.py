"""Nothing a caller gives may begin a header or a request of its own."""

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.upstream.encode import declared_length, framed, given_framing, own_framing, request_line


def test_lines_go_out_as_given() -> None:
    assert request_line("POST", b"/v1/chat?a=%20b") == b"POST /v1/chat?a=%20b HTTP/1.1\r\n"
    assert own_framing([(b"X-A", b"caf\xc3\xa9"), (b"b", b"")]) == b"X-A: caf\xc3\xa9\r\nb: \r\n"


@given(value=st.binary(max_size=20))
def test_a_value_is_one_line_or_refused(value: bytes) -> None:
    headers = [(b"a", value), (b"b", b"1")]
    if set(value) & set(b"\r\n\0"):
        with pytest.raises(httpx.LocalProtocolError):
            own_framing(headers)
    else:
        assert own_framing(headers).split(b"\r\n") == [b"a: " + value, b"b: 1", b""]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"a\0", b"\xe9", b" a", b"a\t"])
def test_a_name_is_a_token_or_refused(name: bytes) -> None:
    for encode in (own_framing, given_framing):
        with pytest.raises(httpx.LocalProtocolError):
            encode([(name, b"1")])


@pytest.mark.parametrize("name", [b"Host", b"content-length", b"Transfer-Encoding", b"connection", b"upgrade"])
def test_framing_is_nobody_elses(name: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        own_framing([(name, b"1")])
    assert given_framing([(name, b"1")])


@pytest.mark.parametrize("target", [b"", b"x", b"/a b", b"/a\r\nhost: evil", b"/\xe9", b"/\0", b"http://evil/"])
def test_a_target_is_a_path_or_refused(target: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        request_line("GET", target)


@pytest.mark.parametrize("method", ["", "GET /", "G\r\n", "CONNECT", "GÉT"])
def test_a_method_is_a_token_or_refused(method: str) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        request_line(method, b"/")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"transfer-encoding", b"gzip")],
        [(b"content-length", b"1"), (b"Content-Length", b"1")],
        [(b"content-length", b"+1")],
    ],
)
def test_framing_that_can_be_read_in_two_ways_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        declared_length(headers)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_bodies_are_chunked_or_held_to_their_length() -> None:
    assert [p async for p in framed(pieces(b"ab", b"", b"c" * 17), None)] == [
        b"2\r\nab\r\n", b"11\r\n" + b"c" * 17 + b"\r\n", b"0\r\n\r\n",
    ]  # fmt: skip
    assert [p async for p in framed(pieces(b"ab", b"c"), 3)] == [b"ab", b"c"]
    for length in (2, 4):
        with pytest.raises(httpx.LocalProtocolError):
            [p async for p in framed(pieces(b"ab", b"c"), length)]
