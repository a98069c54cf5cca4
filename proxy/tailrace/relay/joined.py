"""A client's connection whose answers' heads go out with what follows them.

uvicorn writes an answer's head and its body apart, and uvloop sends each at once: two system calls, and a client that
is woken twice. A head waits here for the next write, or for the end of the event loop's turn.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol over a `JoinedTransport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """As uvicorn's."""
        super().connection_made(cast("asyncio.Transport", JoinedTransport(transport, self.loop)))


class JoinedTransport:
    """What uvicorn needs of a transport. Only an answer's head is held back: whatever else is written goes out."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """As `asyncio.Transport.write`."""
        if self._head:
            data = self._head + data
            self._head = b""
        elif data.startswith(b"HTTP/1.1 "):  # a body that begins so loses nothing by waiting for a moment
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """As `asyncio.Transport.close`."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """As `asyncio.Transport.abort`."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """As `asyncio.Transport.is_closing`."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As `asyncio.Transport.get_extra_info`."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """As `asyncio.Transport.pause_reading`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As `asyncio.Transport.resume_reading`."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As `asyncio.Transport.set_protocol`."""
        self._flush()
        self._transport.set_protocol(protocol)
