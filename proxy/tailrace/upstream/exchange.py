"""One call over one leased connection, from the answer's head to the body's end."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import httpx

from tailrace.upstream.encode import Header
from tailrace.upstream.http11 import Connection


class Waits(NamedTuple):
    """The longest waits of one exchange, in seconds; None waits for ever. As httpx's `timeout` extension."""

    connect: float | None = None  # TLS included
    read: float | None = None  # each read
    write: float | None = None  # each write
    pool: float | None = None  # for a free slot


class Exchange:
    """A leased connection whose answer has begun. Read it to its end, or close it; closing twice does no harm.

    The connection goes back to the pool as soon as the last byte of the body was taken out of it.
    """

    __slots__ = ("_connection", "_ended", "_read_s", "_release", "headers", "status")

    def __init__(self, connection: Connection, release: Callable[[Connection], None], read_s: float | None) -> None:
        self.status = connection.answer.status
        self.headers: list[Header] = connection.answer.headers
        self._release = release
        self._connection: Connection | None = connection
        self._read_s = read_s
        self._ended = False

    async def read(self) -> bytes:
        """The next piece of the body as it came; empty at its end. Raises httpx's ReadError, ReadTimeout, …

        A cancellation closes the connection: whoever reads on gets a ReadError, not an end.
        """
        connection = self._connection
        if connection is None:
            if self._ended:
                return b""
            raise httpx.ReadError("the answer was closed before its end")
        try:
            data = await connection.read(self._read_s)
        except BaseException:
            self.close()
            raise
        if connection.is_done:
            self._ended = True
            self.close()
        return data

    def close(self) -> None:
        """Gives the lease back; at once, from anywhere."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._release(connection)


class Body(httpx.AsyncByteStream):
    """An exchange's body as httpx reads it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._exchange.read():
            yield data

    async def aclose(self) -> None:
        self._exchange.close()
