"""The HTTP/1.1 connection pool of one provider: the default transport.

Owns the slots (`max_connections`), the idle connections, the queue for a free slot, and the TLS context. It speaks
httpx's transport interface and raises httpx's errors, so that transports are interchangeable; `exchange` beneath it is
the same without httpx's request and response objects, which cost more than the exchange.

    slot: free ── obtain ─▶ leased ── answer read to its end, keep-alive ─▶ idle ─▶ leased …
                              └── anything else: error, cancellation, closed early ─▶ socket closed, slot free

Every path out of a lease is synchronous, so a cancellation cannot lose a slot.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Final

import httpx

from tailrace.upstream.encode import declared_length, framed, given_framing, request_line
from tailrace.upstream.exchange import Body, Exchange, Waits
from tailrace.upstream.http11 import Connection, reason_of

_EXPIRY_SLACK_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a pool connects to; it speaks to nobody else."""

    scheme: str  # http or https
    host: str  # ASCII
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        """The origin of an absolute URL."""
        return cls(url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The slots at a glance."""

    open: int  # slots in use: idle, leased, or about to be connected
    idle: int
    leased: int
    waiting: int  # callers in the queue for a slot


class PoolTransport(httpx.AsyncBaseTransport):
    """Keep-alive connections to one origin. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        origin: Origin,
        *,
        max_connections: int = 1024,
        keepalive_s: float = 30.0,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`context` makes the TLS context, once, at the first connection; required for https."""
        self._origin = origin
        self._max = max_connections
        self._keepalive_s = keepalive_s
        self._make_context = context
        self._context: ssl.SSLContext | None = None
        self._slots = 0
        self._idle: list[Connection] = []  # the last used last: it is leased first, the others may expire
        self._queue: OrderedDict[asyncio.Future[Connection | None], None] = OrderedDict()
        self._sockets: set[Connection] = set()  # not closed yet
        self._expiry: asyncio.TimerHandle | None = None
        self._all_closed: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def stats(self) -> PoolStats:
        """The slots now."""
        idle = len(self._idle)
        return PoolStats(self._slots, idle, self._slots - idle, len(self._queue))

    async def exchange(
        self,
        head: bytes,
        body: bytes | AsyncIterable[bytes],
        waits: Waits,
        *,
        expects_body: bool = True,
    ) -> Exchange:
        """Sends a request and returns when the answer's head is there. `head` and `body` go out as they are.

        Raises ConnectError, ConnectTimeout and PoolTimeout before anything was sent, else ReadError, ReadTimeout,
        WriteError, WriteTimeout, RemoteProtocolError.
        """
        connection = self._idle.pop() if self._idle else await self._obtain(waits)
        try:
            if isinstance(body, bytes):
                connection.begin(head + body, expects_body=expects_body)
                await connection.flush(waits.write)
            else:
                connection.begin(head, expects_body=expects_body)
                await connection.send(body, waits.write)
            await connection.read_head(waits.read)
        except BaseException:
            self.release(connection)
            raise
        return Exchange(connection, self.release, waits.read)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's transport interface. The timeouts come in the request's `timeout` extension."""
        if Origin.of(request.url) != self._origin:
            raise httpx.UnsupportedProtocol("this pool speaks to its own origin only")
        headers = request.headers.raw
        head = request_line(request.method, request.url.raw_path) + given_framing(headers) + b"\r\n"
        waits = Waits(**request.extensions.get("timeout", {}))
        exchange = await self.exchange(head, _outgoing_body(request), waits, expects_body=request.method != "HEAD")
        return httpx.Response(exchange.status, headers=exchange.headers, stream=Body(exchange))

    async def aclose(self) -> None:
        """Closes all connections, leased ones too, and turns the queue away; returns when the sockets are closed."""
        self._is_closed = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(_pool_closed())
        self._slots -= len(self._idle)
        self._idle.clear()
        for connection in list(self._sockets):
            connection.abort("the pool was closed")
        while self._sockets:
            self._all_closed = asyncio.get_running_loop().create_future()
            await self._all_closed

    # ---- slots

    async def _obtain(self, waits: Waits) -> Connection:
        if self._is_closed:
            raise _pool_closed()
        if self._slots < self._max:
            self._slots += 1
        else:
            connection = await self._wait_turn(waits.pool)
            if connection is not None and connection.is_idle:
                return connection
        return await self._connect(waits.connect)

    async def _wait_turn(self, timeout_s: float | None) -> Connection | None:
        """Waits for a slot: with an idle connection in it, or None for an empty one that is now ours."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._queue[waiter] = None
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except BaseException as exc:
            self._queue.pop(waiter, None)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())  # it was ours for a moment
            if isinstance(exc, TimeoutError):
                raise httpx.PoolTimeout(f"all {self._max} connections were in use for {timeout_s:g} s") from exc
            raise

    async def _connect(self, timeout_s: float | None) -> Connection:
        """Connects in a slot that is ours, or passes the slot on."""
        made: list[Connection] = []
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._dial(made)
        except BaseException as exc:
            for failed in made:
                failed.abort("connecting was given up")
            self._pass_on(None)
            failure = _connect_failure(exc, timeout_s)
            if failure is None:
                raise
            raise failure from exc
        self._sockets.add(connection)
        return connection

    async def _dial(self, made: list[Connection]) -> Connection:
        """Connects, TLS included. `made` receives each connection begun, so that none outlives a cancellation."""
        loop = asyncio.get_running_loop()
        tls = self._tls()

        def make() -> Connection:
            made.append(Connection(loop, self))
            return made[-1]

        host = self._origin.host
        _, connection = await loop.create_connection(
            make, host, self._origin.port, ssl=tls, server_hostname=host if tls else None
        )
        if self._is_closed:
            raise _pool_closed()
        if not connection.is_idle:
            raise httpx.ConnectError("the connection was closed as soon as it was made")
        return connection

    def _tls(self) -> ssl.SSLContext | None:
        if self._origin.scheme != "https":
            return None
        if self._context is None:
            assert self._make_context is not None, "https needs a TLS context"
            self._context = self._make_context()
        return self._context

    def release(self, connection: Connection) -> None:
        """The lease of `connection` is over: it is kept if its exchange left nothing behind, else closed."""
        if not self._is_closed and connection.recycle():
            self._pass_on(connection)
        else:
            connection.abort("the connection was given up")
            self._pass_on(None)

    def _pass_on(self, connection: Connection | None) -> None:
        """Hands a slot to the first in the queue; without one, the connection becomes idle or the slot free."""
        if connection is not None and not connection.is_idle:
            connection = None
        while self._queue:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._slots -= 1
        else:
            self._keep(connection)

    # ---- idle connections

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._expiry is None:
            self._expiry = loop.call_later(self._keepalive_s, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keepalive_s + _EXPIRY_SLACK_S
        expired = 0
        for connection in self._idle:
            if connection.idle_since > oldest:
                break
            expired += 1
        for connection in self._idle[:expired]:
            connection.abort("idle for too long")
        del self._idle[:expired]
        self._slots -= expired
        if self._idle:
            self._expiry = loop.call_at(self._idle[0].idle_since + self._keepalive_s, self._expire)

    def idle_lost(self, connection: Connection) -> None:
        """An idle connection became unusable; one that is just being handed over is found out by who gets it."""
        if connection in self._idle:
            self._idle.remove(connection)
            self._slots -= 1

    def closed(self, connection: Connection) -> None:
        """A socket is closed."""
        self._sockets.discard(connection)
        if not self._sockets and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)


def _pool_closed() -> httpx.ConnectError:
    return httpx.ConnectError("the pool is closed")


def _connect_failure(exc: BaseException, timeout_s: float | None) -> httpx.TransportError | None:
    if isinstance(exc, TimeoutError):
        return httpx.ConnectTimeout(f"no connection within {timeout_s:g} s" if timeout_s else "no connection in time")
    if isinstance(exc, OSError | UnicodeError):
        return httpx.ConnectError(reason_of(exc))
    return None


def _outgoing_body(request: httpx.Request) -> bytes | AsyncIterable[bytes]:
    length = declared_length(request.headers.raw)
    stream = request.stream
    if isinstance(stream, httpx.ByteStream) and length is not None:
        body = b"".join(stream)
        if len(body) != length:
            raise httpx.LocalProtocolError("the request's body is not as long as its content-length says")
        return body
    if not isinstance(stream, httpx.AsyncByteStream):
        raise httpx.LocalProtocolError("the request's body cannot be read asynchronously")
    return framed(stream, length)
