"""Calls as the relay makes them, over each transport: the same bytes, the same errors, in our own words."""

import asyncio
import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tailrace.errors import (
    CallError,
    Code,
    ProviderFailed,
    ProviderTimeout,
    ProviderTruncated,
    Refused,
    SettingsError,
    error_answer,
)
from tailrace.settings import Provider, Timeouts
from tailrace.upstream.client import Answer, Outgoing, open_upstream
from tests.upstream.rawserver import (
    GUARD_S,
    TIMEOUTS,
    Peer,
    RawServer,
    always,
    answer,
    body_of,
    chunked,
    fetch,
    once,
    opened,
    post,
)

KEY = (b"authorization", b"Bearer sk-secret")
HASTY = Timeouts(connect_s=0.05, ping_idle_s=0.05)

both = pytest.mark.parametrize("transport", ["pool", "httpx"])


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def read_into(body: bytearray, answer: Answer) -> None:
    async for piece in answer:
        body += piece


@both
async def test_a_call_arrives_as_it_was_given(transport: str) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(answer(b'{"ok": 1}', b"X-Request-ID: r1", b"X-Name: caf\xe9"))

    headers = (KEY, (b"X-A", b"\xc3\xa9"), (b"x-a", b"2"))
    async with RawServer(script) as server, opened(server.port, transport) as upstream:
        got = await upstream.call(
            post(b'{"model": 1}', "/chat/completions", query=b"a=%201", headers=headers), TIMEOUTS
        )
        assert await body_of(got) == b'{"ok": 1}'
    assert (got.status, upstream.name) == (200, "acme")
    assert got.headers == [(b"x-request-id", b"r1"), (b"x-name", b"caf\xe9"), (b"content-length", b"9")]
    (request,) = seen
    assert request.line == b"POST /v1/chat/completions?a=%201 HTTP/1.1"
    lines = [line.partition(b": ") for line in request.head.split(b"\r\n")[1:-2]]
    assert sorted((name.lower(), value) for name, _, value in lines) == [
        KEY, (b"content-length", b"12"), (b"host", b"127.0.0.1:%d" % server.port),
        (b"x-a", b"2"), (b"x-a", b"\xc3\xa9"),
    ]  # fmt: skip
    assert request.body == b'{"model": 1}'


@both
@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (answer(b"abc"), b"abc"),
        (answer(b""), b""),
        (chunked(b"a", b"bc"), b"abc"),
        (chunked(), b""),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer(b"abc"), b"abc"),
        (answer(gzip.compress(b"x", mtime=0), b"content-encoding: gzip"), gzip.compress(b"x", mtime=0)),
        (answer(b"", b"location: http://127.0.0.1:1/", status=b"307 Temporary Redirect"), b""),
        (answer(b"no", status=b"500 Internal Server Error"), b"no"),
    ],
    ids=["length", "empty", "chunks", "no-chunks", "until-close", "http10", "204", "1xx", "gzip", "redirect", "500"],
)
async def test_a_body_is_passed_on_as_it_is(transport: str, wire: bytes, body: bytes) -> None:
    async with RawServer(once(wire)) as server, opened(server.port, transport) as upstream:
        got = await upstream.call(post(), TIMEOUTS)
        assert await body_of(got) == body
        assert got.status == int(wire.split(b"HTTP/1.")[-1][2:5])


@both
async def test_head_has_a_length_and_no_body(transport: str) -> None:
    wire = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"
    async with RawServer(always(wire)) as server, opened(server.port, transport) as upstream:
        assert await fetch(upstream, Outgoing("HEAD", "/x", b"", (), b"")) == b""
        assert await fetch(upstream, Outgoing("HEAD", "/x", b"", (), b"")) == b""


@both
async def test_pieces_come_as_soon_as_they_were_sent(transport: str) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(end=b""))
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await go.wait()
            go.clear()
        await peer.send(b"0\r\n\r\n")

    pieces = []
    async with RawServer(script) as server, opened(server.port, transport) as upstream:
        async for piece in await upstream.call(post(), TIMEOUTS):
            pieces.append(piece)
            go.set()
    assert pieces == [b"data: 1\n\n", b"data: 2\n\n"]


@both
@pytest.mark.parametrize("wire", [answer(b"abc"), chunked(b"ab", b"c")])
async def test_a_connection_serves_one_call_after_the_other(transport: str, wire: bytes) -> None:
    async with RawServer(always(wire)) as server, opened(server.port, transport) as upstream:
        for _ in range(3):
            assert await fetch(upstream) == b"abc"
        assert server.accepted == 1


@both
async def test_a_connection_that_says_close_is_closed(transport: str) -> None:
    wire = answer(b"abc", b"Connection: close")
    async with RawServer(always(wire)) as server, opened(server.port, transport) as upstream:
        assert await fetch(upstream) == await fetch(upstream) == b"abc"
        await server.reached(lambda: server.closed == 2)


@both
async def test_an_idle_connection_that_the_provider_closed_is_not_used(transport: str) -> None:
    async with RawServer(once(answer(b"abc"))) as server, opened(server.port, transport) as upstream:
        for count in range(1, 4):
            assert await fetch(upstream) == b"abc"
            await server.reached(lambda n=count: server.closed == n)  # type: ignore[misc]  # a loop's lambda
            for _ in range(10):  # the provider's FIN is on its way
                await asyncio.sleep(0)


@both
async def test_an_answer_given_up_closes_its_connection(transport: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(b"first", end=b""))
        await peer.left()

    async with RawServer(script) as server, opened(server.port, transport) as upstream:
        got = await upstream.call(post(), TIMEOUTS)
        assert await anext(got) == b"first"
        got.close()
        got.close()
        await server.reached(lambda: server.closed == 1)


@both
@pytest.mark.parametrize(
    "wire", [answer(b"x" * 100)[:-50], chunked(b"x" * 50, end=b""), chunked(b"x" * 50, end=b"7\r\n")]
)
async def test_an_answer_cut_short_is_never_whole(transport: str, wire: bytes) -> None:
    async with RawServer(once(wire)) as server, opened(server.port, transport) as upstream:
        got = await upstream.call(post(headers=(KEY,)), TIMEOUTS)
        body = bytearray()
        with pytest.raises(ProviderTruncated, match="acme") as caught:
            await read_into(body, got)
        assert body == b"x" * 50
    assert caught.value.code == Code.PROVIDER_TRUNCATED


@both
@pytest.mark.parametrize("wire", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
async def test_what_is_not_http_is_a_protocol_error(transport: str, wire: bytes) -> None:
    async with RawServer(once(wire)) as server, opened(server.port, transport) as upstream:
        with pytest.raises(ProviderFailed, match="acme") as caught:
            await upstream.call(post(headers=(KEY,)), TIMEOUTS)
    assert (caught.value.code, caught.value.status, caught.value.sent) == (Code.PROVIDER_PROTOCOL, 502, True)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
        answer(b"", *[b"x: " + b"a" * 1000] * 100),
        answer(b"", b"x: " + b"a" * 100_000),
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["1xx flood", "large head", "large header", "upgrade"],
)
async def test_a_head_beyond_its_bounds_is_a_protocol_error(wire: bytes) -> None:
    async with RawServer(once(wire)) as server, opened(server.port) as upstream:
        with pytest.raises(ProviderFailed, match="acme") as caught:
            await upstream.call(post(), TIMEOUTS)
        assert caught.value.code == Code.PROVIDER_PROTOCOL
        await server.reached(lambda: server.closed == 1)


async def test_a_chunk_broken_in_mid_body_ends_the_answer_after_what_came() -> None:
    async with RawServer(once(chunked(b"good", end=b"zz\r\n"))) as server, opened(server.port) as upstream:
        got = await upstream.call(post(), TIMEOUTS)
        assert await anext(got) == b"good"
        with pytest.raises(ProviderTruncated):
            await anext(got)


@both
@pytest.mark.parametrize("gracefully", [True, False])
async def test_a_request_is_never_sent_a_second_time(transport: str, gracefully: bool) -> None:
    """The provider answers once, then ends the same connection when the next request is in its hands."""
    requests = 0

    async def script(peer: Peer) -> None:
        nonlocal requests
        while True:
            await peer.request()
            requests += 1
            if requests == 2:
                if not gracefully:
                    peer.reset()
                return
            await peer.send(answer(b"abc"))

    async with RawServer(script) as server, opened(server.port, transport) as upstream:
        assert await fetch(upstream) == b"abc"
        with pytest.raises(ProviderFailed, match="acme") as caught:
            await upstream.call(post(), TIMEOUTS)
        assert (requests, server.accepted, caught.value.sent) == (2, 1, True)
        assert (b"x-should-retry", b"false") in error_answer(caught.value).headers
        assert await fetch(upstream) == b"abc"


@both
async def test_a_refused_connection(transport: str) -> None:
    with refusing_port() as port:
        async with opened(port, transport) as upstream:
            with pytest.raises(ProviderFailed, match="acme could not be reached") as caught:
                await upstream.call(post(headers=(KEY,)), TIMEOUTS)
    error = caught.value
    assert (error.code, error.status, error.sent) == (Code.PROVIDER_UNREACHABLE, 502, False)
    assert "sk-secret" not in str(error)
    assert "127.0.0.1" not in str(error)


@both
async def test_a_host_without_an_address(transport: str) -> None:
    async with opened(0, transport, base_url="http://tailrace.invalid/v1") as upstream:
        with pytest.raises(ProviderFailed, match="could not be reached") as caught:
            await upstream.call(post(), TIMEOUTS)
    assert not caught.value.sent


@both
async def test_a_black_hole_times_out(transport: str) -> None:
    """Nobody accepts, and the backlog is full: the kernel drops the SYN."""
    fillers = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        async with opened(listener.getsockname()[1], transport) as upstream:
            with pytest.raises(ProviderTimeout, match="acme") as caught:
                await upstream.call(post(), HASTY)
        for filler in fillers:
            filler.close()
    assert (caught.value.status, caught.value.sent) == (504, False)


@both
@pytest.mark.parametrize("wire", [b"", chunked(b"some", end=b"")], ids=["no head", "half a body"])
async def test_silence_times_out(transport: str, wire: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(wire)
        await peer.left()

    async with RawServer(script) as server, opened(server.port, transport) as upstream:
        with pytest.raises(ProviderTimeout, match="acme") as caught:
            await fetch(upstream, timeouts=Timeouts(ping_idle_s=0.05))
        await server.reached(lambda: server.closed == 1)
    assert (caught.value.code, caught.value.sent) == (Code.PROVIDER_TIMEOUT, True)


@both
async def test_with_all_connections_in_use_a_call_is_turned_away(transport: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(b"on", end=b""))
        await peer.left()

    async with RawServer(script) as server, opened(server.port, transport, max_connections=1) as upstream:
        held = await upstream.call(post(), TIMEOUTS)
        with pytest.raises(CallError, match="acme") as caught:
            await upstream.call(post(), HASTY)
        await held.aclose()
    assert (caught.value.code, caught.value.status) == (Code.OVERLOADED, 503)
    assert not isinstance(caught.value, ProviderFailed)


@both
@pytest.mark.parametrize(
    "outgoing",
    [
        post(headers=((b"x", b"1\r\nevil: 2"),)),
        post(headers=((b"x", b"1\nevil: 2"),)),
        post(headers=((b"x", b"1\0"),)),
        post(headers=((b"x\r\nevil", b"2"),)),
        post(headers=((b"Content-Length", b"0"),)),
        post(headers=((b"transfer-encoding", b"chunked"),)),
        post(headers=((b"host", b"elsewhere"),)),
        post(path="/x HTTP/1.1\r\nevil: 2\r\n\r\n"),
        post(query=b"a=1 HTTP/1.1"),
        Outgoing("PO ST", "/x", b"", (), b""),
    ],
)
async def test_what_would_break_the_framing_is_refused_and_nothing_is_sent(transport: str, outgoing: Outgoing) -> None:
    async with RawServer(always(answer(b"abc"))) as server, opened(server.port, transport) as upstream:
        with pytest.raises(Refused) as caught:
            await upstream.call(outgoing, TIMEOUTS)
        assert (caught.value.code, caught.value.status, server.accepted) == (Code.INVALID_REQUEST, 400, 0)
        assert await fetch(upstream) == b"abc"


@both
async def test_a_cancelled_call_closes_its_connection_before_the_first_byte(transport: str) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.left()

    async with RawServer(script) as server, opened(server.port, transport, max_connections=1) as upstream:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(upstream.call(post(), TIMEOUTS))
            await asked.wait()
            task.cancel()
        await server.reached(lambda: server.closed == 1)


async def test_any_httpx_transport_will_do() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sk-secret"
        return httpx.Response(201, headers={"X-Path": request.url.path}, content=request.content + b"!")

    provider = Provider(base_url="https://api.example/v1/")
    upstream = open_upstream("acme", provider, httpx.MockTransport(handler))
    got = await upstream.call(post(b"hello", headers=(KEY,)), TIMEOUTS)
    assert (got.status, await body_of(got), upstream.stats) == (201, b"hello!", None)
    assert (b"x-path", b"/v1/x") in got.headers
    await upstream.aclose()


async def test_httpx_goes_through_the_systems_proxy_and_the_pool_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []

    async def script(peer: Peer) -> None:
        lines.append((await peer.request()).line)
        await peer.send(answer(b"via proxy"))

    async with RawServer(script) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        async with opened(0, "httpx", base_url="http://provider.example/v1") as upstream:
            assert await fetch(upstream) == b"via proxy"
        assert lines == [b"POST http://provider.example/v1/x HTTP/1.1"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with RawServer(always(answer(b"direct"))) as server:
            for transport in ("httpx", "pool"):
                async with opened(server.port, transport) as upstream:
                    assert await fetch(upstream) == b"direct"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"base_url": "https://user:pw@host/v1"}, "base_url"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "ca_file"),
        ({"ca_file": Path(__file__)}, "ca_file"),
        ({"ca_file": Path(__file__), "transport": "httpx"}, "ca_file"),
        ({"http2": True, "transport": "httpx"}, "http2"),
    ],
)
def test_a_wrong_table_says_which_key(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=rf"^providers\.acme\.{named}: ") as caught:
        open_upstream("acme", Provider(**{"base_url": "https://host/v1", **settings}))
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)


@both
async def test_interleaved_slow_readers_get_each_their_own_body(transport: str) -> None:
    """40 calls over 5 connections: each body repeats its own request, in pieces of its own size, in step with the
    other streams only as far as a turn-taking gate lets it."""
    calls, gate = 40, asyncio.Semaphore(0)

    async def script(peer: Peer) -> None:
        while True:
            seed = int((await peer.request()).body)
            await peer.send(chunked(end=b""))
            for turn in range(8):
                await gate.acquire()
                piece = b"%d/%d;" % (seed, turn) * (1 + seed * (turn + 3) % 97)
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await peer.send(b"0\r\n\r\n")

    async def one(seed: int) -> bool:
        got = await upstream.call(post(b"%d" % seed), TIMEOUTS)
        body = b""
        async for piece in got:
            body += piece
            gate.release()
            for _ in range(seed % 5):  # a reader slower than the others by some turns of the loop
                await asyncio.sleep(0)
        gate.release()
        return body == b"".join(b"%d/%d;" % (seed, turn) * (1 + seed * (turn + 3) % 97) for turn in range(8))

    async with RawServer(script) as server, opened(server.port, transport, max_connections=5) as upstream:
        for _ in range(5):
            gate.release()
        async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:
            done = [tasks.create_task(one(seed)) for seed in range(calls)]
            for _ in range(calls * 8):
                gate.release()
        assert all(task.result() for task in done)
        assert server.accepted == 5
