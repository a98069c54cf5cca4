"""Server-sent events, as WHATWG HTML section 9.2.6 reads them: a line ends with LF, CR or CRLF, an event with a blank
line.

Owns: bytes in any chunking → events. Must not know what the events carry, and never holds more than a bounded event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
EVENT_LIMIT_BYTES: Final = 2**20
"""A longer event is not looked into."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its `event` field (empty where it has none) and its `data` lines, joined by LF."""

    name: bytes
    data: bytes
    closed: bool = True  # False: the stream ended before the blank line; the standard drops such an event


TOO_LONG: Final = Event(b"", b"", closed=False)
"""Stands where a `Splitter` met an event above its limit. Known by identity."""


def event_of(block: bytes, *, closed: bool = True) -> Event | None:
    """The event in `block`, the bytes up to a blank line; None where it has no data: comments, `id`, `retry`."""
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return Event(b"", block[6:], closed)
    name = b""
    data: list[bytes] = []
    for line in block.splitlines():  # of bytes: at LF, CR and CRLF, and at nothing else
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(name, b"\n".join(data), closed) if data else None


def split(stream: bytes) -> Iterator[Event]:
    """The events of a whole stream in order; one that the stream's end left open comes last, and says so."""
    text = _unix(stream.removeprefix(BOM))
    begin = 0
    while (end := text.find(b"\n\n", begin)) >= 0:
        event = event_of(text[begin:end])
        begin = end + 2
        if event is not None:
            yield event
    event = event_of(text[begin:], closed=False)
    if event is not None:
        yield event


class Splitter:
    """The same, from chunks as they come.

    In the place of an event above `limit` bytes stands `TOO_LONG`, at the same place in any chunking.
    """

    __slots__ = ("_after_cr", "_kept", "_limit", "_parts", "_skipping", "_start")

    def __init__(self, limit: int = EVENT_LIMIT_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._kept = 0
        self._skipping = False
        self._after_cr = False
        self._start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        text = self._lines(chunk)
        if self._start:
            text = self._without_mark(text)
        return self._feed(text) if text else []

    def _feed(self, text: bytes) -> list[Event]:
        joint = self._parts[-1][-1:] + text if self._parts else text
        if b"\n\n" not in joint:
            return [TOO_LONG] if self._keep(text) else []
        blocks = b"".join((*self._parts, text)).split(b"\n\n")
        rest = blocks.pop()
        if self._skipping:
            self._skipping = False
            blocks[0] = b""
        self._parts, self._kept = [], 0
        events = [event for block in blocks if (event := self._event(block)) is not None]
        if self._keep(rest):
            events.append(TOO_LONG)
        return events

    def finish(self) -> Event | None:
        """The event that the stream's end left without its blank line."""
        return None if self._skipping else event_of(b"".join(self._parts), closed=False)

    def _lines(self, chunk: bytes) -> bytes:
        """`chunk` with LF for each line end, also where a CRLF is split over chunks."""
        if self._after_cr and chunk.startswith(b"\n"):
            self._after_cr = False
            chunk = chunk[1:]
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return _unix(chunk)

    def _without_mark(self, text: bytes) -> bytes:
        """The stream's first bytes without a byte order mark, whatever chunks it comes in; empty while undecided."""
        head = b"".join((*self._parts, text))
        self._start = len(head) < len(BOM) and BOM.startswith(head)
        self._parts = [head] if self._start else []
        return b"" if self._start else head.removeprefix(BOM)

    def _event(self, block: bytes) -> Event | None:
        return event_of(block) if len(block) <= self._limit else TOO_LONG

    def _keep(self, text: bytes) -> bool:
        """Keeps what may be an event's beginning; True where it has just become too long for one."""
        self._kept += len(text)
        begins = False
        if self._kept <= self._limit + 1 and not self._skipping:  # + 1: the end of the last line is no part of it yet
            if text:
                self._parts.append(text)
        else:
            begins = not self._skipping
            self._skipping = True
            self._parts = [text[-1:]]  # whether the next line is blank
        return begins


def _unix(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
