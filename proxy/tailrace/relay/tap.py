"""Where an answer's bytes part: on to the client as they come, and into the journal. Decides what waits for the log.

    StreamTap   an SSE stream: the terminal event waits (`wire.scan`)
    BodyTap     any other body: held one piece back, so that the last piece waits
    ErrorTap    a provider's error body: waits whole; one that is no JSON becomes an error of ours

A tap does not send and does not wait. What it keeps for the journal is bounded: `Spool` hands it on as PART records.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

import orjson

from tailrace.errors import Code, ErrorShape, ProviderFailed
from tailrace.records import Json
from tailrace.wire.dialect import StreamTranslator
from tailrace.wire.endpoint import Scan

ERROR_BODY_LIMIT: Final = 64 * 2**10
_UNREADABLE_DETAIL: Final = 300


class Ending(Enum):
    """How an answer ended, as far as its bytes tell."""

    WHOLE = auto()
    FAILED = auto()  # an error event inside the stream
    TRUNCATED = auto()  # the end is missing


class Tap(Protocol):
    """One answer on its way to the client."""

    @property
    def events(self) -> int:
        """Grows with each event or piece; the idle clock watches it."""

    @property
    def at_end(self) -> bool:
        """The terminal event has been seen: what follows is not worth a long wait."""

    def feed(self, chunk: bytes) -> bytes:
        """Takes the provider's bytes; returns those the client may have now."""

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:
        """The transport ended, in order (`clean`) or not.

        Returns how the answer ended, bytes to release at once, and the bytes that wait for the log.
        """


class StreamTap:
    """An SSE stream in the client's own dialect."""

    __slots__ = ("_scan",)

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    @property
    def events(self) -> int:
        return self._scan.events

    @property
    def at_end(self) -> bool:
        return self._scan.terminal

    def feed(self, chunk: bytes) -> bytes:
        return self._scan.feed(chunk)

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:  # noqa: ARG002 - a terminal event outweighs the transport
        rest = self._scan.finish()
        if self._scan.failed:
            return Ending.FAILED, rest, self._scan.held
        return (Ending.WHOLE if self._scan.terminal else Ending.TRUNCATED), rest, self._scan.held


class TranslatedStreamTap(StreamTap):
    """An SSE stream of another dialect."""

    __slots__ = ("_translator",)

    def __init__(self, translator: StreamTranslator, scan: Scan) -> None:
        super().__init__(scan)
        self._translator = translator

    def feed(self, chunk: bytes) -> bytes:
        return self._scan.feed(self._translator.feed(chunk))

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:
        last = self._scan.feed(self._translator.finish())
        ending, rest, held = super().close(clean=clean)
        return ending, last + rest, held


class TranslatedBodyTap:
    """A JSON body of another dialect: translated when it is whole."""

    __slots__ = ("_body", "_translate", "at_end", "events")

    def __init__(self, translate: Callable[[Json], Json]) -> None:
        self._body = bytearray()
        self._translate = translate
        self.events = 0
        self.at_end = False

    def feed(self, chunk: bytes) -> bytes:
        self.events += 1
        self._body += chunk
        return b""

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:
        """As `Tap.close`. Raises ProviderFailed where the body is no JSON."""
        if not clean:
            return Ending.TRUNCATED, b"", b""
        try:
            answer = orjson.loads(self._body)
        except orjson.JSONDecodeError as exc:
            message = "The provider's answer is no JSON, so it cannot be translated."
            raise ProviderFailed(Code.PROVIDER_PROTOCOL, message) from exc
        return Ending.WHOLE, b"", orjson.dumps(self._translate(answer))


class BodyTap:
    """A body that is no stream of events: JSON, or whatever the provider sent."""

    __slots__ = ("_held", "at_end", "events")

    def __init__(self) -> None:
        self._held = b""
        self.events = 0
        self.at_end = False

    def feed(self, chunk: bytes) -> bytes:
        self.events += 1
        released, self._held = self._held, chunk
        return released

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:
        return (Ending.WHOLE if clean else Ending.TRUNCATED), b"", self._held


class ErrorTap:
    """The body of an error answer."""

    __slots__ = ("_body", "_shape", "_status", "_translate", "at_end", "events")

    def __init__(self, status: int, shape: ErrorShape, translate: Callable[[bytes, int], bytes] | None = None) -> None:
        self._body = bytearray()
        self._status = status
        self._shape = shape
        self._translate = translate
        self.events = 0
        self.at_end = False

    def feed(self, chunk: bytes) -> bytes:
        self.events += 1
        room = ERROR_BODY_LIMIT + 1 - len(self._body)
        self._body += chunk[:room]
        self.at_end = len(self._body) > ERROR_BODY_LIMIT
        return b""

    def close(self, *, clean: bool) -> tuple[Ending, bytes, bytes]:  # noqa: ARG002 - a cut body is no JSON, which says it
        body = bytes(self._body)
        if self._translate is not None and len(body) <= ERROR_BODY_LIMIT:
            return Ending.WHOLE, b"", self._translate(body, self._status)
        return Ending.WHOLE, b"", readable_error(body, self._status, self._shape)

    @property
    def beginning(self) -> str:
        """The beginning of the body, for the attempt's row."""
        return bytes(self._body[:_UNREADABLE_DETAIL]).decode("utf-8", "replace")


def readable_error(body: bytes, status: int, shape: ErrorShape) -> bytes:
    """`body` where it is a JSON object, else an error in the client's shape that quotes the beginning of it."""
    if len(body) <= ERROR_BODY_LIMIT:
        try:
            if isinstance(orjson.loads(body), dict):
                return body
        except orjson.JSONDecodeError:
            pass
    quoted = body[:_UNREADABLE_DETAIL].decode("utf-8", "replace").strip()
    detail = f" It began: {quoted}" if quoted else " Its body was empty."
    message = f"The provider answered {status} with a body that is no JSON object.{detail}"
    return shape.body(Code.PROVIDER_STATUS, message, status)


class Parts(Protocol):
    """Where the answer's bytes are logged."""

    def part(self, body: bytes) -> None: ...


class Spool:
    """The answer's bytes on their way to the journal: handed on as a PART when enough came or enough time passed.

    It holds the place they go to, not a method of the call: a call that is part of a cycle of references would have to
    wait for the garbage collector, which cost a tenth of its CPU.
    """

    __slots__ = ("_bytes", "_interval_s", "_limit", "_pending", "_since", "to", "total")

    def __init__(self, to: Parts, *, limit: int, interval_s: float) -> None:
        self.to = to
        self._limit = limit
        self._interval_s = interval_s
        self._pending: list[bytes] = []
        self._bytes = 0
        self._since = 0.0
        self.total = 0

    def add(self, chunk: bytes, now: float) -> bool:
        """Takes a chunk at loop time `now` (seconds); whether some was handed on."""
        if not self._pending:
            self._since = now
        self._pending.append(chunk)
        self._bytes += len(chunk)
        self.total += len(chunk)
        if self._bytes < self._limit and now - self._since < self._interval_s:
            return False
        self.to.part(self.rest())
        return True

    def tick(self, now: float) -> None:
        """Hands on what has waited long enough while nothing came."""
        if self._pending and now - self._since >= self._interval_s:
            self.to.part(self.rest())

    def rest(self) -> bytes:
        """What has not been handed on yet, and forgets it."""
        pending, self._pending = self._pending, []
        self._bytes = 0
        return pending[0] if len(pending) == 1 else b"".join(pending)
