"""Model calls that the relay makes for itself, in process: a classifier asks a model while a client waits.

Each is a completion like any other, routed, limited and logged; its row says on whose account it was made. Only so many
run at once: where more are wanted, the caller is told so, and nobody waits for a place.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from tailrace.errors import CallError, Code
from tailrace.records import Json, Origin
from tailrace.relay.accept import Accepted
from tailrace.relay.asked import arrive
from tailrace.relay.copies import CarryOut, never_leaves
from tailrace.relay.live import Relay
from tailrace.relay.outbound import Header
from tailrace.relay.reply import Reply
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.endpoints import chat, embeddings
from tailrace.wire.own import Completed, read_completed, read_vectors
from tailrace.wire.request import read_request
from tailrace.wire.told import Told

MOST: Final = 256
"""Own calls that run at once, per worker."""
_MOST_BYTES: Final = 4 << 20
"""Of an answer; a label is shorter."""
_HEADERS: Final[list[Header]] = [(b"content-type", b"application/json")]

log = structlog.get_logger("tailrace.relay")


class OwnCalls:
    """The relay's side of `classify.complete.Complete`. Belongs to one process."""

    def __init__(self, relay: Relay, carry_out: CarryOut) -> None:
        self._relay = relay
        self._carry_out = carry_out
        self._running = 0

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """One chat completion, not streamed. Failures of any kind are in the result.

        `private`: neither body is logged, since the call it is made for asked for that.
        """
        return await self._ask(chat.WIRE, request, origin, source, Told(omits="both" if private else None))

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """One vector for each of `texts`, in order; None: they cannot be had. Their bodies are not logged."""
        request = {"model": model, "input": list(texts), "encoding_format": "float"}
        done = await self._ask(embeddings.WIRE, request, Origin.CLASSIFIER, None, Told(omits="both"))
        return read_vectors(done, len(texts))

    async def _ask(
        self, wire: EndpointWire, request: Json, origin: Origin, source: str | None, told: Told
    ) -> Completed:
        if self._running >= MOST or self._relay.draining:
            return Completed(None, None, "too many calls of our own at once")
        self._running += 1
        try:
            return await self._call(wire, orjson.dumps(request), origin, source, told)
        except CallError as refused:
            return Completed(refused.status, None, refused.message)
        except Exception:
            log.exception("a call of our own failed")
            return Completed(500, None, Code.INTERNAL)
        finally:
            self._running -= 1

    async def _call(self, wire: EndpointWire, body: bytes, origin: Origin, source: str | None, told: Told) -> Completed:
        relay = self._relay
        arrival = arrive(relay)
        asked = Accepted(arrival, wire, _HEADERS, b"", body, read_request(body, wire), told, origin, source)
        heard = _Heard()
        await self._carry_out(relay, relay.live, asked, never_leaves, Reply(heard.send, str(arrival.id).encode()))
        return heard.completed()


class _Heard:
    """A client that only listens."""

    def __init__(self) -> None:
        self._status: int | None = None
        self._headers: list[Header] = []
        self._body = bytearray()
        self._is_whole = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
        elif len(self._body) <= _MOST_BYTES:
            self._body += message.get("body", b"")
            self._is_whole = not message.get("more_body", False)

    def completed(self) -> Completed:
        if self._status is None or not self._is_whole:
            return Completed(None, None, "the answer was cut short")
        return read_completed(self._status, self._headers, bytes(self._body))
