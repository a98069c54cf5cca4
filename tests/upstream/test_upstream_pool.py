"""Slots, the queue and idle connections: nothing is lost by a cancellation, and no caller gets another's bytes."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import httpx
import pytest

from tailrace.upstream import http11
from tailrace.upstream.exchange import Exchange, Waits
from tailrace.upstream.pool import Origin, PoolStats, PoolTransport
from tests.upstream.rawserver import GUARD_S, Peer, RawServer, always, answer, chunked, once, settled

NONE = PoolStats(open=0, idle=0, leased=0, waiting=0)
ONE_IDLE = PoolStats(open=1, idle=1, leased=0, waiting=0)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@asynccontextmanager
async def pool_to(
    server: RawServer, *, max_connections: int = 10, keepalive_s: float = 60.0
) -> AsyncIterator[PoolTransport]:
    origin = Origin("http", "127.0.0.1", server.port)
    async with (
        asyncio.timeout(GUARD_S),
        PoolTransport(origin, max_connections=max_connections, keepalive_s=keepalive_s) as pool,
    ):
        yield pool


def ask(text: str) -> bytes:
    """A request whose path is `text`."""
    return GET.replace(b"/ ", b"/%b " % text.encode(), 1)


async def body_of(exchange: Exchange) -> bytes:
    body = b""
    while piece := await exchange.read():
        body += piece
    return body


async def get(pool: PoolTransport, head: bytes = GET, waits: Waits = Waits()) -> bytes:  # noqa: B008 - a frozen value
    return await body_of(await pool.exchange(head, b"", waits))


async def held_script(peer: Peer) -> None:
    """Begins an answer to each request and never ends it."""
    await peer.request()
    await peer.send(chunked(b"on", end=b""))
    await peer.left()


async def echo_path(peer: Peer) -> None:
    """Answers each request with its own path."""
    while True:
        request = await peer.request()
        await peer.send(answer(request.line.split(b" ")[1]))


# ---- httpx's interface


async def test_an_httpx_client_can_use_it() -> None:
    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(answer(request.body[::-1], b"X-Line: " + request.line))

    async with RawServer(script) as server, pool_to(server) as pool:
        async with httpx.AsyncClient(transport=pool, base_url=f"http://127.0.0.1:{server.port}") as client:
            response = await client.post("/a?b=1", content=b"abc")
            assert (response.status_code, response.content) == (200, b"cba")
            assert response.headers["x-line"] == "POST /a?b=1 HTTP/1.1"
            async with client.stream("POST", "/s", json={"a": 1}) as streamed:
                assert json.loads((await streamed.aread())[::-1]) == {"a": 1}
            assert pool.stats == ONE_IDLE
        assert pool.stats == NONE


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("headers", [{}, {"content-length": "6"}])
async def test_a_streamed_request_body(headers: dict[str, str]) -> None:
    bodies = []

    async def script(peer: Peer) -> None:
        while True:
            bodies.append((await peer.request()).body)
            await peer.send(answer(b"ok"))

    async with RawServer(script) as server, pool_to(server) as pool:
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(2):
            request = httpx.Request("POST", url, headers=headers, content=pieces(b"abc", b"", b"def"))
            response = await pool.handle_async_request(request)
            assert await response.aread() == b"ok"
        assert (bodies, server.accepted) == ([b"abcdef"] * 2, 1)


@pytest.mark.parametrize("length", ["5", "7"])
async def test_a_streamed_body_that_breaks_its_length_closes_the_connection(length: str) -> None:
    async with RawServer(always(answer(b"ok"))) as server, pool_to(server) as pool:
        url = f"http://127.0.0.1:{server.port}/"
        request = httpx.Request("POST", url, headers={"content-length": length}, content=pieces(b"abc", b"def"))
        with pytest.raises(httpx.LocalProtocolError):
            await pool.handle_async_request(request)
        assert pool.stats == NONE
        await server.reached(lambda: server.closed == 1)


async def test_it_speaks_to_its_own_origin_only() -> None:
    async with RawServer(always(answer(b"ok"))) as server, pool_to(server) as pool:
        for url in ("http://127.0.0.1:1/", f"https://127.0.0.1:{server.port}/", f"http://localhost:{server.port}/"):
            with pytest.raises(httpx.UnsupportedProtocol):
                await pool.handle_async_request(httpx.Request("GET", url))
        with pytest.raises(httpx.LocalProtocolError):
            await pool.handle_async_request(
                httpx.Request("GET", f"http://127.0.0.1:{server.port}/", headers=[(b"x", b"1\r\nevil: 2")])
            )
        assert server.accepted == 0


async def test_timeouts_come_as_httpx_gives_them() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.left()

    async with RawServer(script) as server, pool_to(server) as pool:
        client = httpx.AsyncClient(transport=pool, timeout=httpx.Timeout(10, read=0.05))
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://127.0.0.1:{server.port}/")


# ---- reuse


async def test_the_last_used_connection_is_used_first_and_the_rest_expire() -> None:
    async with RawServer(echo_path) as server, pool_to(server, keepalive_s=0.05) as pool:
        held = [await pool.exchange(GET, b"", Waits()) for _ in range(3)]
        assert pool.stats == PoolStats(open=3, idle=0, leased=3, waiting=0)
        for exchange in held:
            assert await body_of(exchange) == b"/"
        assert pool.stats == PoolStats(open=3, idle=3, leased=0, waiting=0)
        await server.reached(lambda: server.closed == 3)
        assert pool.stats == NONE


async def test_a_connection_that_is_used_does_not_expire() -> None:
    async with RawServer(echo_path) as server, pool_to(server, keepalive_s=0.05) as pool:
        held = [await pool.exchange(GET, b"", Waits()) for _ in range(2)]
        for exchange in held:
            await body_of(exchange)
        while server.closed == 0:
            assert await get(pool) == b"/"
        assert (server.accepted, pool.stats) == (2, ONE_IDLE)


async def test_the_connection_is_back_as_soon_as_the_last_piece_was_read() -> None:
    async with RawServer(echo_path) as server, pool_to(server) as pool:
        exchange = await pool.exchange(GET, b"", Waits())
        assert pool.stats.leased == 1
        assert await exchange.read() == b"/"
        assert pool.stats == ONE_IDLE
        assert await get(pool, ask("other")) == b"/other"
        assert [await exchange.read(), await exchange.read()] == [b"", b""]
        exchange.close()
        assert pool.stats == ONE_IDLE


async def test_what_was_closed_half_way_is_no_end() -> None:
    async with RawServer(held_script) as server, pool_to(server) as pool:
        exchange = await pool.exchange(GET, b"", Waits())
        assert await exchange.read() == b"on"
        exchange.close()
        with pytest.raises(httpx.ReadError):
            await exchange.read()
        assert pool.stats == NONE
        await server.reached(lambda: server.closed == 1)


@pytest.mark.parametrize("behind", [b"garbage", answer(b"another's"), b"HTTP/1.1 200 OK\r\nx: y"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_bytes_behind_an_answer_reach_nobody(behind: bytes, at_once: bool) -> None:
    async def script(peer: Peer) -> None:
        request = await peer.request()
        body = request.line.split(b" ")[1]
        if at_once:
            await peer.send(answer(body) + behind)
        else:
            await peer.send(answer(body))
            await asyncio.sleep(0)
            await peer.send(behind)
        await peer.left()

    async with RawServer(script) as server, pool_to(server, max_connections=1) as pool:
        for turn in range(3):
            assert await get(pool, ask(f"{turn}")) == b"/%d" % turn
            await server.reached(lambda n=turn + 1: server.closed == n)  # type: ignore[misc]  # a loop's lambda
            assert pool.stats == NONE


async def test_an_idle_connection_that_ends_leaves_the_pool_at_once() -> None:
    end = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"ok"))
        await end.wait()

    async with RawServer(script) as server, pool_to(server) as pool:
        assert await get(pool) == b"ok"
        assert pool.stats == ONE_IDLE
        end.set()
        await settled(lambda: pool.stats == NONE)


# ---- the queue


async def test_callers_wait_in_order_and_a_slot_goes_to_the_first() -> None:
    order: list[int] = []

    async def caller(name: int) -> None:
        await get(pool, ask(f"{name}"))
        order.append(name)

    async with RawServer(echo_path) as server, pool_to(server, max_connections=1) as pool:
        first = await pool.exchange(GET, b"", Waits())
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(caller(name)) for name in range(5)]
            await asyncio.sleep(0)
            assert pool.stats == PoolStats(open=1, idle=0, leased=1, waiting=5)
            started[2].cancel()
            await body_of(first)
        assert order == [0, 1, 3, 4]
        assert (server.accepted, pool.stats) == (1, ONE_IDLE)


async def test_a_caller_waits_no_longer_than_it_may() -> None:
    async with RawServer(held_script) as server, pool_to(server, max_connections=1) as pool:
        held = await pool.exchange(GET, b"", Waits())
        with pytest.raises(httpx.PoolTimeout):
            await pool.exchange(GET, b"", Waits(pool=0.02))
        assert pool.stats == PoolStats(open=1, idle=0, leased=1, waiting=0)
        held.close()
        assert pool.stats == NONE


async def test_a_slot_handed_to_a_cancelled_caller_is_passed_on() -> None:
    async with RawServer(echo_path) as server, pool_to(server, max_connections=1) as pool:
        first = await pool.exchange(GET, b"", Waits())
        async with asyncio.TaskGroup() as tasks:
            unlucky = tasks.create_task(get(pool, ask("unlucky")))
            lucky = tasks.create_task(get(pool, ask("lucky")))
            await asyncio.sleep(0)
            assert await first.read() == b"/"  # the connection is now the unlucky one's, which does not know it yet
            unlucky.cancel()
        assert unlucky.cancelled()
        assert (lucky.result(), server.accepted, pool.stats) == (b"/lucky", 1, ONE_IDLE)


async def test_a_failed_connect_passes_its_slot_on() -> None:
    async with RawServer(echo_path) as server:
        port = server.port
    pool = PoolTransport(Origin("http", "127.0.0.1", port), max_connections=1)
    results = await asyncio.gather(*(get(pool) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {httpx.ConnectError}
    assert pool.stats == NONE
    await pool.aclose()


async def test_a_cancel_storm_loses_no_slot_and_no_connection() -> None:
    seed = random.randrange(2**32)
    print_seed = f"seed {seed}"
    chance = random.Random(seed)

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(chunked(end=b""))
            for piece in (request.line.split(b" ")[1], b"-half"):
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0)
            await peer.send(b"0\r\n\r\n")

    async def caller(name: int) -> None:
        assert await get(pool, ask(f"{name}")) == b"/%d-half" % name, print_seed

    async def cancel(task: asyncio.Task[None], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

    async with RawServer(script) as server, pool_to(server, max_connections=20) as pool:
        async with asyncio.TaskGroup() as tasks:
            for name in range(500):
                task = tasks.create_task(caller(name))
                tasks.create_task(cancel(task, chance.randrange(1, 400)))
        stats = pool.stats
        assert (stats.leased, stats.waiting, stats.open) == (0, 0, stats.idle), print_seed
        await server.reached(lambda: server.accepted - server.closed == pool.stats.open)
        await caller(1)
        assert pool.stats.leased == 0
    await server.reached(lambda: server.closed == server.accepted)


# ---- the end


async def test_closing_the_pool_ends_every_call() -> None:
    async with RawServer(held_script) as server, pool_to(server, max_connections=2) as pool:
        exchange = await pool.exchange(GET, b"", Waits())
        assert await exchange.read() == b"on"
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_error_of(exchange.read()))
            asking = tasks.create_task(_error_of(get(pool)))
            waiting = tasks.create_task(_error_of(get(pool)))
            await server.reached(lambda: server.accepted == 2)
            assert pool.stats.waiting == 1
            await pool.aclose()
        assert isinstance(reading.result(), httpx.ReadError)
        assert isinstance(asking.result(), httpx.ReadError | httpx.ConnectError)
        assert isinstance(waiting.result(), httpx.ConnectError)
        assert isinstance(await _error_of(get(pool)), httpx.ConnectError)
        assert pool.stats == NONE
        await server.reached(lambda: server.closed == 2)


async def _error_of(call: Awaitable[object]) -> httpx.TransportError | None:
    try:
        await call
    except httpx.TransportError as exc:
        return exc
    return None


# ---- one connection under load


async def test_a_consumer_that_waits_holds_the_provider_back() -> None:
    size, step = 50 * 2**20, 2**16
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.send(bytes(step))
            sent += step

    async with RawServer(script) as server, pool_to(server) as pool:
        exchange = await pool.exchange(GET, b"", Waits())
        before = -1
        while before != sent:  # until neither side moves
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        connection = next(iter(pool._sockets))
        assert http11.HIGH_WATER_BYTES < connection.answer.unread < 2**20
        assert sent < size / 2
        total = largest = 0
        while piece := await exchange.read():
            total += len(piece)
            largest = max(largest, len(piece))
        assert total == size
        assert largest < 2**20
        assert pool.stats.leased == 0


async def test_a_provider_that_does_not_read_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can read
        await peer.reader.readexactly(100 * 2**20)

    async with RawServer(script) as server, pool_to(server) as pool:
        with pytest.raises(httpx.WriteTimeout):
            await pool.exchange(GET, bytes(20 * 2**20), Waits(write=0.05))
        assert pool.stats == NONE
        with pytest.raises(httpx.WriteTimeout):
            await pool.exchange(GET, _endless(), Waits(write=0.05))
        assert pool.stats == NONE


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(2**20)


async def test_an_answer_before_the_requests_end_is_read_and_the_connection_closed() -> None:
    """A provider that refuses a large body early (413) and reads no further."""

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can read
        await peer.send(answer(b"too much", status=b"413 Content Too Large"))
        await early.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await peer.left()

    early = asyncio.Event()
    async with RawServer(script) as server, pool_to(server) as pool:
        for body in (bytes(20 * 2**20), _endless()):
            exchange = await pool.exchange(GET, body, Waits())
            assert (exchange.status, await body_of(exchange)) == (413, b"too much")
            assert pool.stats == NONE
        early.set()
        await server.reached(lambda: server.closed == 2)


async def test_a_request_that_was_answered_before_its_end_leaves_no_connection_behind() -> None:
    """Nothing is left in a buffer here, only unsaid: the provider would take the next request for this one's rest."""
    answered = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"first")
        await peer.send(answer(b"enough"))
        answered.set()
        await peer.left()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await answered.wait()
        await settled(lambda: all(connection.is_done for connection in pool._sockets))
        yield b"second"

    async with RawServer(script) as server, pool_to(server) as pool:
        assert await body_of(await pool.exchange(GET, body(), Waits())) == b"enough"
        assert pool.stats == NONE
        await server.reached(lambda: server.closed == 1)


def test_a_silent_peer_is_probed() -> None:
    with socket.socket() as sock:
        http11.probe_when_silent(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_the_read_clock_begins_anew_with_each_piece() -> None:
    """The whole takes several times the read timeout, no single wait does."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(end=b""))
        loop = asyncio.get_running_loop()
        for _ in range(6):
            loop.call_later(0.1, go.set)
            await go.wait()
            go.clear()
            await peer.send(b"1\r\nx\r\n")
        await peer.left()

    async with RawServer(script) as server, pool_to(server) as pool:
        exchange = await pool.exchange(GET, b"", Waits(read=0.4))
        got = bytearray()
        with pytest.raises(httpx.ReadTimeout):
            await _read_into(got, exchange)
        assert got == b"x" * 6
        assert pool.stats == NONE


async def _read_into(got: bytearray, exchange: Exchange) -> None:
    while piece := await exchange.read():
        got += piece


async def test_a_shorter_clock_is_not_held_up_by_an_earlier_longer_one() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"ok"))
        await peer.request()
        await peer.left()

    async with RawServer(script) as server, pool_to(server) as pool:
        assert await get(pool, waits=Waits(read=3600)) == b"ok"
        with pytest.raises(httpx.ReadTimeout):
            await get(pool, waits=Waits(read=0.02))
        assert server.accepted == 1


async def test_what_came_before_a_reset_is_read_first() -> None:
    async with RawServer(once(chunked(b"first", end=b""))) as server, pool_to(server) as pool:
        exchange = await pool.exchange(GET, b"", Waits())
        await server.reached(lambda: server.closed == 1)
        await asyncio.sleep(0)
        assert await exchange.read() == b"first"
        with pytest.raises(httpx.RemoteProtocolError):
            await exchange.read()
