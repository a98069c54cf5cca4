"""A provider in raw bytes: each accepted connection runs a script that reads requests and sends what it likes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from tailrace.settings import Provider, Timeouts
from tailrace.upstream.client import Answer, Outgoing, Upstream, open_upstream

GUARD_S: Final = 20.0
"""No test waits longer; it guards against hanging and is never what a test waits for."""
TIMEOUTS: Final = Timeouts(connect_s=10, ping_idle_s=10)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    def header(self, name: bytes) -> bytes | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return None


class Peer:
    """One accepted connection, as its script sees it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> Received:
        """The next request, whole. Raises IncompleteReadError where the client leaves."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        received = Received(head, b"")
        if received.header(b"transfer-encoding") == b"chunked":
            return Received(head, await self._chunks())
        return Received(head, await self.reader.readexactly(int(received.header(b"content-length") or 0)))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Returns when the client has closed its side."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """A server on a free loopback port. A script's end closes its connection; the client's leaving ends a script."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self.closed = 0
        self.requests: list[Received] = []
        self._script = script
        self._context = context
        self._tasks: set[asyncio.Task[Any]] = set()
        self._errors: list[Exception] = []
        self._change = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._run, "127.0.0.1", 0, ssl=self._context, backlog=512)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors and error is None:
            raise self._errors[0]

    async def reached(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; it is asked again at each accepted and each closed connection."""
        async with asyncio.timeout(GUARD_S), self._change:
            await self._change.wait_for(condition)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        await self._changed()
        try:
            await self._script(Peer(self.accepted, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as exc:  # noqa: BLE001 - the test itself is told, when the server closes
            self._errors.append(exc)
        finally:
            self._tasks.discard(task)
            self.closed += 1
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            await self._changed()

    async def _changed(self) -> None:
        async with self._change:
            self._change.notify_all()


async def settled(condition: Callable[[], bool]) -> None:
    """Lets the event loop turn until `condition` holds, or long enough to see that it will not."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


def answer(body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with a length."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"content-length: %d" % len(body), b"", body])


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def always(data: bytes) -> Script:
    """A script that answers every request with `data` and keeps the connection."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(data)

    return script


def once(data: bytes) -> Script:
    """A script that answers one request with `data` and ends the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    return script


@asynccontextmanager
async def opened(port: int, transport: str = "pool", **settings: Any) -> AsyncIterator[Upstream]:
    """An upstream of a loopback server."""
    settings.setdefault("base_url", f"http://127.0.0.1:{port}/v1")
    upstream = open_upstream("acme", Provider(transport=transport, **settings))
    try:
        async with asyncio.timeout(GUARD_S):
            yield upstream
    finally:
        await upstream.aclose()


def post(body: bytes = b"{}", path: str = "/x", **fields: Any) -> Outgoing:
    """A call."""
    return Outgoing("POST", path, fields.get("query", b""), tuple(fields.get("headers", ())), body)


async def body_of(answer: Answer) -> bytes:
    """The whole body."""
    return b"".join([piece async for piece in answer])


async def fetch(upstream: Upstream, outgoing: Outgoing | None = None, timeouts: Timeouts = TIMEOUTS) -> bytes:
    """A call and its whole body."""
    answer = await upstream.call(outgoing or post(), timeouts)
    try:
        return await body_of(answer)
    finally:
        answer.close()
