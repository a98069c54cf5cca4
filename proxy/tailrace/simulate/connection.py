"""One connection of the simulated provider: bytes in, requests out, answers played in order.

Owns the parsing of requests, their bounds, and noticing the client's leave. Playing an answer is `player.py`'s.
"""

import asyncio
from collections import deque
from typing import Final, cast

import httptools

from tailrace.simulate.acts import Close
from tailrace.simulate.call import json_acts
from tailrace.simulate.ledger import ClosedBy, Entry, SimRequest
from tailrace.simulate.player import Player
from tailrace.simulate.simulator import Exchange, Simulator
from tailrace.simulate.uploads import Arriving

_MOST_HEAD_BYTES: Final = 2**20
_MOST_WAITING: Final = 16  # pipelined requests


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client. `number` counts the server's connections from 1."""

    def __init__(self, simulator: Simulator, number: int, open_connections: "set[Connection]") -> None:
        self._simulator = simulator
        self._number = number
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._waiting: deque[SimRequest] = deque()
        self._player: Player | None = None
        self._requests = 0
        self._head_bytes = 0  # of the request whose head is coming
        self._last = False  # the client wants the connection closed after the running answer
        self.on_message_begin()

    def abort(self) -> None:
        """Drops the connection at once, as the provider's doing."""
        if self._player is not None:
            self._player.stop(ClosedBy.PROVIDER)
        self._transport.abort()

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but the base class
        # With a limit of 0 a write goes to the kernel at once or blocks us: pieces are never joined on the way.
        self._transport.set_write_buffer_limits(high=0)
        self._open.add(self)
        self._simulator.ledger.count_connection(+1)

    def data_received(self, data: bytes) -> None:
        if self._arriving is None:
            self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD_BYTES or len(self._waiting) > _MOST_WAITING:
            self._refuse()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse()

    def eof_received(self) -> bool:
        return False  # a client that says no more has left; asyncio closes the transport, then calls connection_lost

    def connection_lost(self, _exc: Exception | None) -> None:
        self._waiting.clear()
        if self._player is not None:
            self._player.stop(ClosedBy.CLIENT)
            self._player = None
        self._open.discard(self)
        self._simulator.ledger.count_connection(-1)

    def pause_writing(self) -> None:
        if self._player is not None:
            self._player.block()

    def resume_writing(self) -> None:
        if self._player is not None:
            self._player.unblock()

    # httptools' calls

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._arriving: Arriving | None = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        self._arriving = Arriving(next((value for name, value in self._headers if name == b"content-type"), None))
        if (b"expect", b"100-continue") in self._headers and self._player is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._arriving is not None:
            self._arriving.feed(body)

    def on_message_complete(self) -> None:
        self._requests += 1
        body, upload = self._arriving.end() if self._arriving is not None else (b"", None)
        self._arriving = None
        self._last = not self._parser.should_keep_alive()
        path, _, query = self._url.partition(b"?")
        request = SimRequest(
            method=self._parser.get_method().decode("latin-1"),
            path=path.decode("latin-1"),
            query=query.decode("latin-1"),
            headers=tuple(self._headers),
            body=body,
            connection=self._number,
            on_connection=self._requests,
            upload=upload,
        )
        if self._player is None:
            self._play(self._simulator.open(request))
        else:
            self._waiting.append(request)

    # ours

    def _play(self, exchange: Exchange) -> None:
        self._player = Player(self._transport, self._simulator, exchange, self._done)
        self._player.step()

    def _done(self) -> None:
        self._player = None
        if self._waiting:
            self._play(self._simulator.open(self._waiting.popleft()))
        elif self._last:
            self._transport.close()

    def _refuse(self) -> None:
        """Answers what is no HTTP, or too much of it, and closes."""
        if self._player is not None:
            self.abort()
            return
        request = SimRequest("", "", "", (), b"", self._number, self._requests + 1)
        refused = (*json_acts(400, {"error": {"message": "not HTTP/1.1, or too large"}}), Close())
        self._play(Exchange(refused, Entry(0, 0.0, request, None, None)))
