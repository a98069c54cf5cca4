"""A request body that is passed on as it comes, bounded in size and in pauses, and never held whole.

Only one reader may wait for the client at a time. While the body is on its way up, that is `pieces`; from then on the
guard, which watches for the client's leaving, gets to listen through `receive`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from tailrace.relay.body import ClientLeft, next_message, too_large
from tailrace.relay.guard import Receive


class ClientBody:
    """One request's body. `on_taken` is called when all of it has gone up."""

    def __init__(self, receive: Receive, *, limit: int, pause_s: float) -> None:
        self._receive = receive
        self._limit = limit
        self._pause_s = pause_s
        self._free = asyncio.Event()  # the guard may listen
        self._gone = False
        self.size = 0  # bytes so far
        self.on_taken: Callable[[], None] = lambda: None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Raises Refused: 413 too large, 408 too slow."""
        more = True
        while more:
            message = await next_message(self._receive, self._pause_s)
            if message["type"] == "http.disconnect":
                self._gone = True
                self._free.set()
                await asyncio.Event().wait()  # the guard hears of it through `receive`, and interrupts the call here
            piece = message.get("body", b"")
            self.size += len(piece)
            if self.size > self._limit:
                raise too_large(self._limit)
            more = message.get("more_body", False)
            if piece:
                yield piece
        self._free.set()
        self.on_taken()

    async def whole(self) -> bytes:
        """The whole body, for one of modest length. Raises Refused, and ClientLeft where the client went away."""
        body = bytearray()
        more = True
        while more:
            message = await next_message(self._receive, self._pause_s)
            if message["type"] == "http.disconnect":
                raise ClientLeft
            body += message.get("body", b"")
            if len(body) > self._limit:
                raise too_large(self._limit)
            more = message.get("more_body", False)
        self._free.set()
        return bytes(body)

    def nothing_more(self) -> None:
        """There is no body: the guard may listen."""
        self._free.set()

    @property
    def is_taken(self) -> bool:
        """Nothing more will come of it."""
        return self._free.is_set()

    async def receive(self) -> dict[str, Any]:
        """ASGI's `receive`, for the guard."""
        await self._free.wait()
        if self._gone:
            return {"type": "http.disconnect"}
        message: dict[str, Any] = await self._receive()
        return message
