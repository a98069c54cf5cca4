"""One HTTP/1.1 connection to a provider: a request's bytes out, the answer in.

Owns the socket, the bound on what is buffered, the read clock, and the one task that may wait on it. It does not know
the pool. What the bytes mean is `response.py`'s.

An idle connection is watched by the event loop: an end, or a byte that nobody asked for, closes it at once, so none has
to be polled before it is used again. The peer may still close in the very instant a request is sent; such a request is
never sent a second time, since the provider may have acted on it.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterable
from typing import Final, Protocol, cast

import httpx

from tailrace.upstream.response import Response, Stage

HIGH_WATER_BYTES: Final = 64 * 1024
"""Beyond this much unread body the socket is not read; one last read of at most 256 KiB may come on top."""
_TIMER_SLACK_S: Final = 0.001
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
"""Where several addresses were tried, the event loop tells their errors as text only."""
_PROBES: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence before the first probe (its name on Linux, on macOS), seconds between two, how many in vain."""


class Owner(Protocol):
    """Who is told how a connection fares."""

    def idle_lost(self, connection: "Connection") -> None:
        """An idle connection became unusable."""

    def closed(self, connection: "Connection") -> None:
        """The socket is closed; the last thing that is said."""


class Connection(asyncio.Protocol):
    """Made by the event loop's `create_connection`; belongs to that loop and carries one exchange at a time."""

    __slots__ = (
        "_blocked", "_deadline", "_error", "_loop", "_owner", "_paused", "_sent_whole", "_timer", "_timer_at",
        "_transport", "_waiter", "answer", "idle_since",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.answer = Response()
        self.idle_since = 0.0
        self._loop = loop
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._error: httpx.TransportError | None = None  # set once; the connection is of no use from then on
        self._sent_whole = True
        self._paused = False  # we do not read
        self._blocked = False  # the socket does not take more
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    # ---- the exchange

    @property
    def is_idle(self) -> bool:
        """Whether a request may begin."""
        return self.answer.stage is Stage.IDLE and self._error is None

    @property
    def is_done(self) -> bool:
        """Whether the answer has come to its end."""
        return self.answer.stage is Stage.DONE

    def begin(self, data: bytes, *, expects_body: bool) -> None:
        """Writes a request, or the head of one. The connection must be idle."""
        assert self._transport is not None
        self.answer.begin(expects_body=expects_body)
        self._transport.write(data)

    async def send(self, pieces: AsyncIterable[bytes], timeout_s: float | None) -> None:
        """Writes the body behind a head. Once the peer has answered or gone, the rest is not sent.

        Raises WriteTimeout where the peer takes nothing for `timeout_s`, and whatever `pieces` raises.
        """
        self._sent_whole = False
        async for piece in pieces:
            if not self._awaits_head or self._transport is None:
                return
            self._transport.write(piece)
            await self.flush(timeout_s)
        self._sent_whole = True

    async def flush(self, timeout_s: float | None) -> None:
        """Returns when the socket takes more, or when the peer has answered or gone. Raises WriteTimeout."""
        while self._blocked and self._awaits_head:
            waiter = self._waiter = self._loop.create_future()
            self._deadline = float("inf")
            try:
                async with asyncio.timeout(timeout_s):
                    await waiter
            except TimeoutError as exc:
                raise httpx.WriteTimeout(f"the request was not taken for {timeout_s:g} s") from exc

    async def read_head(self, timeout_s: float | None) -> None:
        """Returns when the answer's status and headers are there. Raises ReadTimeout or what ended the connection."""
        while self._awaits_head:
            await self._wait(timeout_s)
        if self._error is not None and not self.answer.status:
            raise self._error

    async def read(self, timeout_s: float | None) -> bytes:
        """The next piece of the body, as soon as there is one; empty at the answer's end. Raises as `read_head`."""
        answer = self.answer
        while True:
            data = answer.take()
            if self._paused:
                self._resume()
            if data or answer.stage is Stage.DONE:
                return data
            if self._error is not None:
                raise self._error
            await self._wait(timeout_s)

    def recycle(self) -> bool:
        """Makes the connection idle again where its exchange is over and left nothing behind; else says False."""
        transport = self._transport
        if (
            self._error is not None
            or not self._sent_whole
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            return False
        if self._paused:
            self._resume()
        return self.answer.recycle()

    def abort(self, reason: str) -> None:
        """Closes the socket now. Whoever waits for the answer gets a ReadError."""
        self._fail(httpx.ReadError(reason))

    @property
    def _awaits_head(self) -> bool:
        return self.answer.stage is Stage.HEAD and self._error is None

    # ---- waiting

    async def _wait(self, timeout_s: float | None) -> None:
        waiter = self._waiter = self._loop.create_future()
        if timeout_s is None:
            self._deadline = float("inf")
        else:
            # One timer serves many waits: it is set anew when it fires, not with each wait.
            self._deadline = self._loop.time() + timeout_s
            if self._timer is None or self._timer_at > self._deadline:
                self._set_timer(self._deadline)
        await waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiter is None or self._deadline == float("inf"):
            return
        if self._loop.time() + _TIMER_SLACK_S < self._deadline:
            self._set_timer(self._deadline)
        else:
            self._fail(httpx.ReadTimeout("nothing was received for as long as the read timeout"))

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: httpx.TransportError) -> None:
        """The connection is over. What has come of a body can still be taken."""
        if self._error is None:
            self._error = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _idle_lost(self, reason: str) -> None:
        if self._error is None:
            self._fail(httpx.ReadError(reason))
            self._owner.idle_lost(self)

    # ---- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        if self._error is not None:
            self._transport.abort()
            return
        probe_when_silent(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._error is not None:
            return
        answer = self.answer
        if answer.stage is Stage.IDLE or answer.stage is Stage.DONE:
            self._stray()
            return
        try:
            answer.feed(data)
        except httpx.RemoteProtocolError as exc:
            self._fail(exc)
            return
        if answer.stage is Stage.HEAD:
            return
        self._wake()
        if answer.unread > HIGH_WATER_BYTES and not self._paused and not self.is_done:
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()

    def _stray(self) -> None:
        """Bytes that belong to no answer: whatever they are, no caller may get them."""
        if self.answer.stage is Stage.IDLE:
            self._idle_lost("bytes came that were not asked for")
        else:
            self._fail(httpx.ReadError("bytes came behind the answer's end"))

    def eof_received(self) -> None:
        """The peer will send no more. The transport closes itself."""
        if self.answer.stage is Stage.IDLE:
            self._idle_lost("the connection was closed while it was idle")
            return
        error: httpx.TransportError = httpx.ReadError("the connection was closed after the answer's end")
        try:
            self.answer.end()
        except httpx.RemoteProtocolError as exc:
            error = exc
        self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        if exc is None:
            self.eof_received()
        elif self.answer.stage is Stage.IDLE:
            self._idle_lost("the connection was lost while it was idle")
        else:
            kind = httpx.WriteError if self._blocked else httpx.ReadError
            error = kind("the connection was lost: " + reason_of(exc))
            error.__cause__ = exc
            self._fail(error)
        self._transport = None
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._blocked = False
        self._wake()


def probe_when_silent(sock: socket.socket | None) -> None:
    """Switches TCP's own probes on, so that a peer that vanished without a word is noticed."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBES.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def reason_of(exc: Exception) -> str:
    """Why the operating system or TLS refused, in words and without an address: clients may read it."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(exc.reason or 'handshake failed').lower().replace('_', ' ')}"
    if isinstance(exc, socket.gaierror):
        return "the host name does not resolve"
    numbers = [exc.errno] if isinstance(exc, OSError) and exc.errno else _ERRNO.findall(str(exc))
    return os.strerror(int(numbers[-1])).lower() if numbers else type(exc).__name__
