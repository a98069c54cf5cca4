"""Plays a script of acts on a socket: one piece, one write, one turn of the loop.

Owns the framing of what is sent, and the pauses. `connection.py` owns the socket, and says when it may be written to
and when the client has gone. No task: each step schedules the next, which is what keeps a piece cheap.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from tailrace.simulate.acts import (
    Act,
    Close,
    Data,
    Early,
    Fin,
    Framing,
    Head,
    Headers,
    Raw,
    Reset,
    Until,
    Wait,
    WaitForever,
)
from tailrace.simulate.ledger import ClosedBy
from tailrace.simulate.simulator import Exchange, Simulator

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # with it, closing sends RST
_CLOSE: Final = (b"connection", b"close")
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class Player:
    """Plays one exchange. `done` is called once, when the connection is free for the next request."""

    def __init__(
        self,
        transport: asyncio.Transport,
        simulator: Simulator,
        exchange: Exchange,
        done: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._simulator = simulator
        self._acts = iter(exchange.acts)
        self._entry = exchange.entry
        self._done = done
        self._head = b""  # goes out with the first piece, or before the first pause
        self._framing = Framing.LENGTH
        self._left = 0  # bytes of the body still to come, where its length is told
        self._closes = False  # the connection ends with the answer
        self._blocked = False  # the client reads slower than we write
        self._owed = False  # a step is due as soon as the connection takes more
        self._next: asyncio.Handle | None = None
        self._unwatch: Callable[[], None] | None = None

    def step(self) -> None:
        """Plays up to and including the next piece or pause."""
        self._next = None
        for act in self._acts:
            if not self._play(act):
                return
        self._done()

    def block(self) -> None:
        """The connection takes no more for now."""
        self._blocked = True

    def unblock(self) -> None:
        """The connection takes more again."""
        self._blocked = False
        if self._owed:
            self._owed = False
            self.step()

    def stop(self, by: ClosedBy) -> None:
        """The connection has ended, by `by`; nothing more is played."""
        self._end_pause()
        self._owed = False
        self._acts = iter(())
        if not self._entry.finished:
            self._entry.close(by)

    def _play(self, act: Act) -> bool:
        """Plays one act; False where the step ends with it."""
        match act:
            case Data(data):
                return self._piece(data)
            case Head():
                return self._begin(act)
            case Fin():
                return self._finish()
            case Wait(seconds):
                return self._pause(seconds * self._simulator.pace)
            case WaitForever():
                return self._pause(None)
            case Until():
                return self._until(act)
            case Early() | Raw():
                return self._beside(act)
            case Close() | Reset():
                return self._break(act)

    def _begin(self, head: Head) -> bool:
        self._entry.status = head.status
        self._framing = head.framing
        self._left = head.length
        self._closes = _CLOSE in head.headers
        self._head = _head_bytes(head.status, head.headers)
        return True

    def _piece(self, data: bytes) -> bool:
        self._entry.sent(len(data))
        self._left -= len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._framing is Framing.CHUNKED else data)
        if self._framing is Framing.LENGTH and self._left == 0 and not self._blocked:
            return True  # the body is whole: its end needs no turn of its own
        if self._blocked:
            self._owed = True
        else:
            self._next = self._loop.call_soon(self.step)
        return False

    def _finish(self) -> bool:
        self._write(b"0\r\n\r\n" if self._framing is Framing.CHUNKED else b"")
        self._entry.finish()
        return self._break(Close()) if self._closes else True

    def _pause(self, seconds: float | None) -> bool:
        self._write(b"")
        if seconds is not None:
            self._next = self._loop.call_later(seconds, self.step)
        return False

    def _until(self, act: Until) -> bool:
        if act.ready():
            return True
        self._unwatch = self._simulator.ledger.watch(lambda: self._wake(act))
        self._next = self._loop.call_later(act.limit_s, self._end_pause_and_step)
        return False

    def _wake(self, act: Until) -> None:
        if act.ready():
            self._end_pause()
            self._next = self._loop.call_soon(self.step)

    def _end_pause_and_step(self) -> None:
        self._end_pause()
        self.step()

    def _end_pause(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _beside(self, act: Early | Raw) -> bool:
        self._write(_head_bytes(act.status, act.headers) if isinstance(act, Early) else act.data)
        return True

    def _break(self, act: Close | Reset) -> bool:
        self._write(b"")
        self._entry.close(ClosedBy.PROVIDER)
        if isinstance(act, Reset):
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()
        else:
            self._transport.close()
        return False

    def _write(self, data: bytes) -> None:
        """Writes `data`, after the head where that is still here."""
        head, self._head = self._head, b""
        if head or data:
            self._transport.write(head + data)


def _head_bytes(status: int, headers: Headers) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b"Simulated"))]
    lines += [b"%b: %b\r\n" % header for header in headers]
    return b"".join((*lines, b"\r\n"))
