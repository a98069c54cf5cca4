"""A provider's stream of events, followed by a translator until its end, its error or its first unreadable event.

Owns: splitting, and what must hold for every dialect: the same bytes for any chunking, nothing after the end, nothing
after an error, never an exception. A subclass says what one event becomes.
"""

from typing import Any, Final

import orjson

from tailrace.errors import Code, ErrorShape, ProviderFailed
from tailrace.wire.dialects.reading import Unreadable
from tailrace.wire.sse import TOO_LONG, Event, Splitter

EVENT_LIMIT_BYTES: Final = 8 * 2**20
"""A longer event cannot be translated, and ends the stream in an error. Above any image that comes in one event."""


class EventTranslator:
    """What the translators of streams share. `over`: nothing that follows is said."""

    __slots__ = ("_shape", "_split", "over")

    def __init__(self, shape: ErrorShape) -> None:
        self._shape = shape
        self._split = Splitter(EVENT_LIMIT_BYTES)
        self.over = False

    def feed(self, chunk: bytes) -> bytes:
        """As `StreamTranslator.feed`."""
        if self.over:
            return b""
        events = self._split.feed(chunk)
        if len(events) == 1:
            return self._said(events[0])
        return b"".join([self._said(event) for event in events])

    def finish(self) -> bytes:
        """As `StreamTranslator.finish`. An event that lacks only its blank line still counts."""
        if self.over:
            return b""
        last = self._split.finish()
        said = b"" if last is None or not _is_whole(last) else self._said(last)
        return said + self._rest()

    def take(self, event: Event) -> bytes:
        """What the client is told of `event`. Raises Unreadable."""
        raise NotImplementedError

    def end(self) -> bytes:
        """What is left to say when the transport has ended without a terminal event."""
        return b""

    def told(self, event: bytes) -> bytes:
        """`event`, the last thing that is said."""
        self.over = True
        return event

    def _rest(self) -> bytes:
        return b"" if self.over else self.end()

    def _said(self, event: Event) -> bytes:
        if self.over:
            return b""
        try:
            return self.take(event)
        except Unreadable as exc:
            return self.told(self._shape.event(ProviderFailed(Code.PROVIDER_PROTOCOL, str(exc))))


def said_in(event: Event) -> dict[str, Any] | None:
    """The object in `event`, None where it has no data. Raises Unreadable."""
    if event is TOO_LONG:
        raise Unreadable(f"The provider sent an event longer than {EVENT_LIMIT_BYTES} bytes.")
    data = event.data
    if not data or data.isspace():
        return None
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Unreadable("The provider sent an event that is not JSON.") from exc
    if not isinstance(said, dict):
        raise Unreadable("The provider sent an event that is no object.")
    return said


def _is_whole(event: Event) -> bool:
    """Whether an event that the stream's end left open was cut, or lacks no more than its blank line."""
    try:
        orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return event.data.strip() == b"[DONE]"
    return True
