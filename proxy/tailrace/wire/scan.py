"""What of a stream may be released to the client now. Runs per chunk on the event loop; a chunk that is exactly one
event, as providers send them, costs about a microsecond.

    chunk ─▶ _Terminal: withholds from the `data: [DONE]` line on ─▶ _Events: counts, finds errors, takes the usage
                        (and what may be its beginning)                       chunk out where only we asked for it

Owns: the hold-back rule of DESIGN 2 for the OpenAI dialect. Must not fold, and must not alter a byte: what it releases
and holds, put together, is what came in, without the dropped usage event. The terminal line is recognised as the
official clients do: a line whose data begins with `[DONE]`, whatever follows it.
"""

import re
from typing import Final

import orjson

from tailrace.wire.sse import BOM, EVENT_LIMIT_BYTES, Event, event_of

_DONE: Final = re.compile(rb"(?:\A|(?<=[\r\n]))data: ?\[DONE\]")
_DONE_LINES: Final = (b"data: [DONE]", b"data:[DONE]")
_LINE_END: Final = rb"(?>\r\n|\r|\n)"
_BLANK_LINE: Final = re.compile(_LINE_END + _LINE_END)
_BLANK: Final = (b"\n", b"\r\n", b"\r")
_TERMINAL_LIMIT_BYTES: Final = 4096
"""A terminal event that goes on longer counts as complete: the client has long seen its end."""

_USAGE_LIMIT_BYTES: Final = 16384
"""A longer event is no usage chunk. Bounds what is withheld while an event is undecided."""

_NO_CHOICES: Final = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_NOT_USAGE: Final = re.compile(
    rb'"choices"\s*:\s*\[\s*[^\s\]]'  # a choice
    rb"|\A(?>(?:(?!data:)[^\r\n]*[\r\n]+)*)data:[ \t]*+[^{\r\n]"  # or no object; atomic: see `typed_scan.py`
)


class StreamScan:
    """Follows one stream of chat completion chunks.

    `drop_usage`: only we asked for the usage chunk, so take it out of what is released.
    """

    __slots__ = ("_drop", "_events", "_head", "_hold", "terminal")

    def __init__(self, *, drop_usage: bool) -> None:
        self.terminal = False
        self._drop = drop_usage
        self._head: bytes | None = b""  # the stream's first bytes, while they may be part of a byte order mark
        self._hold = _Terminal()
        self._events = _Events(drop=drop_usage)

    @property
    def held(self) -> bytes:
        """The bytes from the terminal line on: they wait for the log."""
        return self._hold.held

    @property
    def events(self) -> int:
        """How many events with data have ended, the terminal one not counted. Comments do not move it."""
        return self._events.count

    @property
    def failed(self) -> bool:
        """Whether an event told of an error: a top-level `error`, or `event: error`."""
        return self._events.failed

    def feed(self, chunk: bytes) -> bytes:
        """What may be released now, in order; empty where nothing may."""
        events = self._events
        if (
            events.between
            and chunk.startswith(b"data: {")
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk.endswith(b"\n\n")
            and b"\r" not in chunk
            and self._hold.idle
            and self._head is None
        ):
            events.count += 1
            if (b'"error"' in chunk or self._drop) and events.is_dropped(chunk[:-1], Event(b"", chunk[6:-2])):
                return b""
            return chunk
        if self._head is None:
            return self._feed(chunk)
        head = self._head + chunk
        if len(head) < len(BOM) and BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        text = head.removeprefix(BOM)
        return head[: len(head) - len(text)] + self._feed(text)

    def _feed(self, chunk: bytes) -> bytes:
        events = self._events
        released = events.feed(self._hold.feed(chunk))
        if self._hold.begun and not self.terminal:
            released += events.finish()
            self.terminal = self._hold.is_complete()
        return released

    def finish(self) -> bytes:
        """The transport has ended: what was withheld only because it was undecided.

        A terminal line whose blank line never came is complete by that; it stays in `held`.
        """
        self.terminal = self._hold.begun
        head, self._head = self._head, None
        return (head or b"") + self._events.finish() + self._hold.finish()


class _Terminal:
    """Withholds the terminal line and all after it, and the end of a chunk that may turn out to be its beginning."""

    __slots__ = ("_held", "_line_start", "_tail", "begun")

    def __init__(self) -> None:
        self.begun = False
        self._held: list[bytes] = []
        self._tail = b""  # a proper prefix of a terminal line
        self._line_start = True  # whether the tail, or with no tail the next byte, is at the start of a line

    @property
    def held(self) -> bytes:
        if len(self._held) > 1:
            self._held = [b"".join(self._held)]
        return self._held[0] if self._held else b""

    @property
    def idle(self) -> bool:
        """At the start of a line, with nothing withheld."""
        return self._line_start and not self._tail and not self.begun

    def feed(self, chunk: bytes) -> bytes:
        if self.begun:
            self._held.append(chunk)
            return b""
        text = self._tail + chunk
        self._tail = b""
        if b"[DONE]" in text and (begin := self._find(text)) is not None:
            self.begun = True
            self._held.append(text[begin:])
            return text[:begin]
        begin = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        last = text[begin:]
        may_be_terminal = (begin > 0 or self._line_start) and any(line.startswith(last) for line in _DONE_LINES)
        self._line_start = may_be_terminal
        if not may_be_terminal:
            return text
        self._tail = last
        return text[:begin]

    def finish(self) -> bytes:
        tail, self._tail = self._tail, b""
        return tail

    def is_complete(self) -> bool:
        """Whether the terminal event's blank line has come."""
        held = self.held
        return len(held) > _TERMINAL_LIMIT_BYTES or _BLANK_LINE.search(held) is not None

    def _find(self, text: bytes) -> int | None:
        for found in _DONE.finditer(text):
            if found.start() or self._line_start:
                return found.start()
        return None


class _Events:
    """Follows the events in what is released: counts them, notes errors, takes the usage event out.

    A comment before an event's first field is no part of the event, and is never withheld.
    """

    __slots__ = (
        "_after_cr",
        "_comment",
        "_drop",
        "_dropped",
        "_mid_line",
        "_parts",
        "_passing",
        "_size",
        "count",
        "failed",
    )

    def __init__(self, *, drop: bool) -> None:
        self.count = 0
        self.failed = False
        self._drop = drop
        self._parts: list[bytes] = []  # of the event so far; empty above the limit
        self._size = 0
        self._passing = not drop  # whether the event so far is released, and what follows of it will be
        self._mid_line = False
        self._comment = False  # whether the line is a comment between events
        self._after_cr = False  # an LF now would belong to the last line end
        self._dropped = False  # the last line end was that of a dropped event

    @property
    def between(self) -> bool:
        """No event is begun, no line either."""
        return not self._size and not self._mid_line and not self._after_cr

    def feed(self, data: bytes) -> bytes:
        """`data` without the usage event, and without what may become one."""
        if not data:
            return data
        out: list[bytes] = []
        text = self._straggler(data, out)
        for line in text.splitlines(keepends=True):
            self._feed_line(line, out)
        self._after_cr = data.endswith(b"\r")
        if not self._passing and self._size and _NOT_USAGE.search(b"".join(self._parts)):
            self._pass(out)
        return b"".join(out) if self._drop else data

    def finish(self) -> bytes:
        """No more will come: what was withheld. An event without its blank line may still tell of an error."""
        out: list[bytes] = []
        event = event_of(b"".join(self._parts))
        if event is not None:
            self._note_error(event)
        if not self._passing:
            self._pass(out)
        self._reset()
        return b"".join(out)

    def is_dropped(self, block: bytes, event: Event) -> bool:
        """Whether a complete event is to be taken out; on the way, whether it tells of an error."""
        self._note_error(event)
        return self._drop and _is_usage(block, event)

    def _straggler(self, data: bytes, out: list[bytes]) -> bytes:
        """Takes off the LF of a CRLF that was split over chunks; it goes where its CR went."""
        if not self._after_cr or not data.startswith(b"\n"):
            return data
        if self._size:
            self._add(b"\n", out)
        elif not self._dropped:
            out.append(b"\n")
        return data[1:]

    def _feed_line(self, line: bytes, out: list[bytes]) -> None:
        """`line` is a line, or the piece of one that this chunk has."""
        if not self._mid_line:
            if line in _BLANK:
                self._close(line, out)
                return
            self._comment = not self._size and line.startswith(b":")
        self._mid_line = not line.endswith((b"\n", b"\r"))
        self._dropped = False
        if self._comment:
            out.append(line)
        else:
            self._add(line, out)

    def _add(self, piece: bytes, out: list[bytes]) -> None:
        self._size += len(piece)
        if not self._passing and self._size > _USAGE_LIMIT_BYTES:
            self._pass(out)
        if self._size <= EVENT_LIMIT_BYTES:
            self._parts.append(piece)
        else:
            self._parts.clear()
        if self._passing:
            out.append(piece)

    def _pass(self, out: list[bytes]) -> None:
        out.extend(self._parts)
        self._passing = True

    def _close(self, blank: bytes, out: list[bytes]) -> None:
        """The blank line `blank` has come."""
        block = b"".join(self._parts)
        event = event_of(block)
        self.count += event is not None or self._size > EVENT_LIMIT_BYTES
        self._dropped = event is not None and self.is_dropped(block, event) and not self._passing
        if not self._dropped:
            if not self._passing:
                self._pass(out)
            out.append(blank)
        self._reset()

    def _reset(self) -> None:
        self._parts = []
        self._size = 0
        self._passing = not self._drop

    def _note_error(self, event: Event) -> None:
        if event.name == b"error":
            self.failed = True
        if self.failed or b'"error"' not in event.data:
            return
        try:
            value = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            return
        self.failed = isinstance(value, dict) and value.get("error") is not None


def _is_usage(block: bytes, event: Event) -> bool:
    """Whether the event is the usage chunk: no choices, and a usage that is not null."""
    if len(block) > _USAGE_LIMIT_BYTES or not _NO_CHOICES.search(event.data) or _NOT_USAGE.search(block):
        return False
    try:
        value = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.get("choices") == [] and value.get("usage") is not None
