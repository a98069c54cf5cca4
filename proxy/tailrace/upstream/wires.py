"""The two ways a call reaches a provider: our pool, beneath httpx's objects, or any other httpx transport.

Both send the same bytes and raise httpx's errors; `client.py` turns those into ours. Bodies are never decompressed.
"""

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from tailrace.settings import Timeouts
from tailrace.upstream.encode import Header, framed, own_framing, request_line
from tailrace.upstream.exchange import Waits
from tailrace.upstream.pool import PoolTransport

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A request body that is passed on as it comes. `length` None: unknown, so it goes out in chunks."""

    pieces: AsyncIterable[bytes]
    length: int | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call of a provider. Framing headers (`host`, `content-length`, `connection`, …) are not its business."""

    method: str
    path: str  # behind the base URL's path: `/chat/completions`; percent-encoded
    query: bytes  # without the `?`
    headers: tuple[Header, ...]
    body: bytes | Upload

    def target(self, base_path: bytes) -> bytes:
        """The request's path and query on the wire."""
        path = base_path + self.path.encode()
        return path + b"?" + self.query if self.query else path


class Incoming(Protocol):
    """An answer whose head has come."""

    status: int
    headers: list[Header]  # names in lower case, values as they came

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end."""

    def close(self) -> None:
        """Gives the connection up now, if the body was not read to its end."""


class Wire(Protocol):
    """What carries a call. Raises httpx's errors."""

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """Sends the call; returns when the answer's head is there."""

    async def aclose(self) -> None:
        """Closes all connections."""


def _waits(timeouts: Timeouts) -> Waits:
    """The transport's clocks: connecting and queueing are bounded here, the rest of the call by the relay's guard."""
    longest = timeouts.ping_idle_s
    return Waits(timeouts.connect_s, longest, longest, timeouts.connect_s)


class PoolWire:
    """Our own pool, without an httpx object on the way."""

    def __init__(self, base_url: httpx.URL, pool: PoolTransport) -> None:
        self.pool = pool
        self._base_path = base_url.raw_path.rstrip(b"/")
        self._host = b"host: " + base_url.netloc + b"\r\n"

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """As `Wire.send`."""
        body: bytes | AsyncIterable[bytes]
        head = request_line(outgoing.method, outgoing.target(self._base_path)) + self._host
        if isinstance(outgoing.body, Upload):
            body, length = framed(outgoing.body.pieces, outgoing.body.length), outgoing.body.length
            head += b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length
        else:
            body = outgoing.body
            if body or outgoing.method in _WITH_BODY:
                head += b"content-length: %d\r\n" % len(body)
        head += own_framing(outgoing.headers) + b"\r\n"
        return await self.pool.exchange(head, body, _waits(timeouts), expects_body=outgoing.method != "HEAD")

    async def aclose(self) -> None:
        """As `Wire.aclose`."""
        await self.pool.aclose()


class _HttpxIncoming:
    """A response of an httpx transport."""

    def __init__(self, response: httpx.Response, closing: set[asyncio.Task[None]]) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: list[Header] = [(name.lower(), value) for name, value in response.headers.raw]
        self._stream = response.stream
        self._pieces = aiter(response.stream)
        self._closing = closing
        self._is_closed = False

    async def read(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        if not self._is_closed:
            self._is_closed = True
            await self._aclose()
        return b""

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        # httpx closes asynchronously, and whoever closes may be under cancellation, where no await returns. The wire's
        # `aclose` waits for these tasks.
        task = asyncio.get_running_loop().create_task(self._aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _aclose(self) -> None:
        with suppress(httpx.TransportError):
            await self._stream.aclose()


class HttpxWire:
    """Any httpx transport: httpx's own, the simulator, a test's `MockTransport`."""

    def __init__(self, base_url: httpx.URL, transport: httpx.AsyncBaseTransport) -> None:
        self._base_url = base_url
        self._transport = transport
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """As `Wire.send`."""
        own_framing(outgoing.headers)  # whatever the transport lets pass, we do not
        target = outgoing.target(self._base_url.raw_path.rstrip(b"/"))
        request_line(outgoing.method, target)
        content: bytes | AsyncIterable[bytes]
        headers = [(b"host", self._base_url.netloc), *outgoing.headers]
        if isinstance(outgoing.body, Upload):
            content = outgoing.body.pieces
            if outgoing.body.length is not None:
                headers.append((b"content-length", b"%d" % outgoing.body.length))
        else:
            content = outgoing.body
        request = httpx.Request(
            outgoing.method,
            self._base_url.copy_with(raw_path=target),
            headers=headers,
            content=content,
            extensions={"timeout": _waits(timeouts)._asdict()},
        )
        return _HttpxIncoming(await self._transport.handle_async_request(request), self._closing)

    async def aclose(self) -> None:
        """As `Wire.aclose`."""
        await asyncio.gather(*self._closing)
        await self._transport.aclose()
