"""The simulated provider on a socket: pieces, connections, who closed first, and its bounds."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
import uvloop

from tailrace.errors import UserError
from tailrace.simulate.acts import Act, Close, Data, Early, Fin, Raw, Wait, chunked, sized, until_close
from tailrace.simulate.ledger import ClosedBy, Entry, SimRequest
from tailrace.simulate.player import Player
from tailrace.simulate.server import Server, run, serve
from tailrace.simulate.simulator import Exchange, Simulator
from tests.simulate.conftest import make_simulator
from tests.simulate.rawclient import GUARD_S, RawClient, Seen, chat, head


class Writes(asyncio.Transport):
    """A transport that keeps each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.ended = asyncio.Event()

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True
        self.ended.set()


async def played(*acts: Act) -> tuple[Writes, Entry]:
    """What a script writes, when each pause is over at once."""
    transport = Writes()
    entry = Entry(1, 0.0, SimRequest("", "", "", (), b""), None, None)
    Player(transport, make_simulator(), Exchange(acts, entry), transport.ended.set).step()
    async with asyncio.timeout(GUARD_S):
        await transport.ended.wait()
    return transport, entry


async def test_each_piece_is_a_write_and_the_head_goes_with_the_first() -> None:
    transport, entry = await played(chunked(200, ()), Data(b"one"), Data(b"three"), Fin())
    assert transport.writes == [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
        b"5\r\nthree\r\n",
        b"0\r\n\r\n",
    ]
    assert (entry.pieces, entry.sent_bytes, entry.finished) == (2, 8, True)


async def test_the_head_does_not_wait_for_a_pause() -> None:
    transport, _ = await played(sized(200, (), 1), Wait(9), Data(b"x"), Fin())
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", b"x"]


async def test_what_stands_beside_an_answer_is_written_as_it_is() -> None:
    transport, entry = await played(Early(103), until_close(599, ()), Data(b"x"), Fin(), Raw(b"never played"))
    assert transport.writes == [
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 599 Simulated\r\nconnection: close\r\n\r\nx",
    ]
    assert (transport.closed, entry.closed_by) == (True, ClosedBy.PROVIDER)


async def test_a_close_sends_the_head_that_was_promised() -> None:
    transport, entry = await played(sized(200, (), 5), Close())
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]
    assert (transport.closed, entry.finished, entry.closed_by) == (True, False, ClosedBy.PROVIDER)


async def test_a_connection_is_kept_and_its_requests_are_numbered(server: Server, simulator: Simulator) -> None:
    async with RawClient(server.port) as client:
        for _ in range(2):
            assert (await client.ask(chat("sim/echo"))).end == "well"
    async with RawClient(server.port) as client:
        await client.ask(chat("sim/echo"))
    numbers = [(entry.request.connection, entry.request.on_connection) for entry in simulator.ledger.entries()]
    assert numbers == [(1, 1), (1, 2), (2, 1)]


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    bodies = [chat("sim/echo", text=text, stream=stream) for text, stream in (("a", True), ("b", False), ("c", True))]
    async with RawClient(server.port) as client:
        *first, last = bodies
        client.writer.write(b"".join(head(body) + body for body in first) + head(last, "connection: close") + last)
        async with asyncio.timeout(GUARD_S):
            everything = await client.reader.read(-1)
    assert everything.index(b'"a"') < everything.index(b'"b"') < everything.index(b'"c"')


async def test_a_chunked_request_that_expects_to_be_asked_on(server: Server) -> None:
    body = chat("sim/echo", text="in chunks")
    async with RawClient(server.port) as client:
        start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\n"
        client.writer.write(start + b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        seen = await client.read(Seen())
    assert orjson.loads(seen.body)["choices"][0]["message"]["content"] == "in chunks"


@pytest.mark.parametrize("raw", [b"\0\0\0\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n"])
async def test_what_is_no_request_is_refused_and_others_are_served(server: Server, raw: bytes) -> None:
    async with RawClient(server.port) as client, RawClient(server.port) as other:
        client.writer.write(raw)
        assert (await client.read(Seen())).status == 400
        async with asyncio.timeout(GUARD_S):
            assert await client.reader.read() == b""
        assert (await other.ask(chat("sim/echo"))).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b'{"model": 1}', 400),
        ("POST", "/v1/chat/completions", chat("sim/nothing"), 404),
        ("GET", "/v1/nothing", b"", 404),
        ("POST", "/v1/files?sim_bytes=x", b"", 400),
        ("POST", "/v1/completions", b'{"model": "sim/obfuscation", "prompt": "a"}', 400),
        ("POST", "/v1/embeddings", b"{}", 400),
        ("GET", "/v1/models", b"", 200),
        ("GET", "/_sim/nothing", b"", 404),
        ("GET", "/_sim/ledger?since=x", b"", 400),
    ],
)
async def test_what_cannot_be_answered(server: Server, method: str, path: str, body: bytes, status: int) -> None:
    async with RawClient(server.port) as client:
        seen = await client.ask(body, method=method, path=path)
    assert (seen.status, seen.end) == (status, "well")
    assert "error" in orjson.loads(seen.body) or status == 200


async def leave_by_fin(client: RawClient) -> None:
    client.writer.close()


async def leave_by_rst(client: RawClient) -> None:
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


@pytest.mark.parametrize("leave", [leave_by_fin, leave_by_rst])
@pytest.mark.parametrize("model", ["sim/stall", "sim/stall-after-2", "sim/pings-only"])
async def test_a_client_that_leaves_is_noticed(
    server: Server, simulator: Simulator, model: str, leave: Callable[[RawClient], Coroutine[Any, Any, None]]
) -> None:
    body = chat(model, stream=True)
    async with RawClient(server.port) as client:
        client.writer.write(head(body) + body)
        async with asyncio.timeout(GUARD_S):
            await simulator.ledger.reached(lambda: simulator.ledger.in_flight(model) == 1)
            await leave(client)
            (entry,) = await simulator.ledger.settled(model)
            await simulator.ledger.reached(lambda: simulator.ledger.connections == 0)
    assert (entry.closed_by, entry.finished) == (ClosedBy.CLIENT, False)


async def test_a_client_that_does_not_read_stops_the_provider(server: Server, simulator: Simulator) -> None:
    body = chat("sim/chunks-200000", stream=True)  # 50 MB
    async with RawClient(server.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio's is a full transport
        client.writer.write(head(body) + body)
        async with asyncio.timeout(GUARD_S):
            await simulator.ledger.reached(lambda: simulator.ledger.in_flight() == 1)
            (entry,) = simulator.ledger.entries()
            sent = -1
            while sent != entry.sent_bytes:  # the kernel's buffers fill, then nothing moves however long we look
                sent = entry.sent_bytes
                for _ in range(200):
                    await asyncio.sleep(0)
    assert entry.sent_bytes < 32 * 2**20


async def test_closing_the_server_drops_what_runs(simulator: Simulator) -> None:
    body = chat("sim/stall-after-1", stream=True)
    async with await serve("127.0.0.1", 0, simulator) as server, RawClient(server.port) as client:
        client.writer.write(head(body) + body)
        seen = await client.read(Seen(), until_bytes=1)
        await server.aclose()
        assert (await client.read(seen)).end in {"cut", "reset"}
    (entry,) = simulator.ledger.entries()
    assert (entry.closed_by, simulator.ledger.connections) == (ClosedBy.PROVIDER, 0)


async def test_a_taken_port_is_one_clear_line(server: Server) -> None:
    says = rf"^127\.0\.0\.1:{server.port}: cannot listen \(Address already in use\); choose another"
    with pytest.raises(UserError, match=says):
        await serve("127.0.0.1", server.port, make_simulator())


async def test_the_command_runs_until_a_signal() -> None:
    def ready(url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v1")
        os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.timeout(GUARD_S):
        await run("127.0.0.1", 0, None, (), ready)


async def _under_uvloop() -> list[tuple[str | None, int]]:
    simulator = make_simulator()
    ends = []
    async with await serve("127.0.0.1", 0, simulator) as server:
        for model in (
            "sim/echo",
            "sim/chunks-500",
            "sim/cut-after-3",
            "sim/reset-after-3",
            "sim/drip",
            "sim/1xx-flood",
        ):
            async with RawClient(server.port) as client:
                seen = await client.ask(chat(model, stream=True))
            ends.append((seen.end, simulator.ledger.entries(model)[0].sent_bytes - len(seen.body)))
    return ends


def test_uvloop_sends_the_same() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ends = runner.run(_under_uvloop())
    assert ends == [("well", 0), ("well", 0), ("cut", 0), ("reset", 0), ("well", 0), ("well", 0)]
