"""What of a stream of typed events may be released to the client now. Runs per chunk on the event loop; a chunk that is
exactly one event, as providers send them, costs about a microsecond.

    event: response.output_text.delta   released as it comes: the name says that it is not the end
    event: response.completed           this line and all after it wait for the log
    data: {"type":"response.…           without a name, the type that the data begins with decides; where it does not
                                        begin with one, the event waits until it is whole (or too long to look into)

Owns: the hold-back rule of DESIGN 2 for these streams. Must not fold, and must not alter a byte: what it releases and
holds, put together, is what came in. What is decided depends on the stream's bytes alone, never on its chunks.
"""

import re
from typing import Final

import orjson

from tailrace.wire.sse import BOM, EVENT_LIMIT_BYTES, Event, event_of
from tailrace.wire.typed import DONE, UNNAMED, Kinds, kind_of

_HEAD_BYTES: Final = 512
"""A kind stands in an event's first bytes; what has none there is decided at its end."""

# Atomic groups, no possessive repeats of groups: those go wrong where a repeat is inside (CPython gh-106052, mended in
# 3.11.5, and Debian 12 has 3.11.2).
_KIND: Final = re.compile(
    rb"(?>(?:(?!event:|data:)[^\r\n]*[\r\n]+|event: ?(?:message)?[\r\n]+)*)"  # other fields, and the name of no name
    rb"(?:event: ?([^\r\n]*+)[\r\n]"
    rb'|data:[ \t]*+(?:\{\s*+"type"\s*+:\s*+"([^"\\]*+)"|(\[DONE\])))'
)
_PLAIN: Final = re.compile(rb"event: ([^\r\n]*+)\ndata:[^\r\n]*+\n\n")
_BETWEEN: Final = re.compile(rb"(?>(?:[\r\n]|:[^\r\n]*[\r\n])*)")  # blank lines and whole comments
_LINE_END: Final = re.compile(rb"[\r\n]")
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_LINE_END_BYTES: Final = 2


class TypedScan:
    """Follows one stream whose events have kinds."""

    __slots__ = (
        "_begun",
        "_commenting",
        "_failed",
        "_head",
        "_held",
        "_kind",
        "_parts",
        "_quiet",
        "_size",
        "_special",
        "_start",
        "_tail",
        "_terminal",
        "events",
        "failed",
        "terminal",
    )

    def __init__(self, kinds: Kinds) -> None:
        self.terminal = False
        self.events = 0
        self.failed = False
        self._terminal = kinds.terminal | {DONE}
        self._failed = kinds.failed
        self._quiet = kinds.quiet
        self._special = self._terminal | kinds.failed | kinds.quiet | UNNAMED
        self._start: bytes | None = b""  # the stream's first bytes, while they may be part of a byte order mark
        self._begun = False  # the terminal event
        self._held: list[bytes] = []
        self._commenting = False  # inside a comment between events
        self._size = 0  # of the event so far; 0 between events, and never again once the terminal event has begun
        self._parts: list[bytes] = []  # of the event so far; empty above the limit
        self._kind: bytes | None = None  # of the event so far; while None, it is withheld
        self._head = b""
        self._tail = b""  # the event's last bytes, as many as may be the line end before its blank line

    @property
    def held(self) -> bytes:
        """The bytes from the terminal event on: they wait for the log."""
        if len(self._held) > 1:
            self._held = [b"".join(self._held)]
        return self._held[0] if self._held else b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be released now, in order; empty where nothing may."""
        if (
            not self._size
            and chunk.startswith(b"event: ")
            and chunk.find(b"\n\n") == len(chunk) - 2
            and chunk.startswith(b"data:", (line := chunk.find(b"\n")) + 1)
            and b"\r" not in chunk
            and self._start is None
            and not self._commenting
            and self._is_plain(chunk[7:line], chunk)
        ):
            self.events += 1
            return chunk
        if self._start is None:
            return self._feed(chunk)
        start = self._start + chunk
        if len(start) < len(BOM) and BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        text = start.removeprefix(BOM)
        return start[: len(start) - len(text)] + self._feed(text)

    def finish(self) -> bytes:
        """The transport has ended: what was withheld only because it was undecided.

        A terminal event whose blank line never came counts where it is whole without it; else the answer was cut.
        """
        start, self._start = self._start or b"", None
        if self._begun:
            self.terminal = self.terminal or _is_whole(event_of(self.held, closed=False))
        elif self._size:
            return start + self._finish_event()
        return start

    def _is_plain(self, name: bytes, event: bytes) -> bool:
        """Whether an event may pass unread: its name says what it is, and it tells of no error."""
        return name not in self._special and b'"error"' not in event

    def _feed(self, chunk: bytes) -> bytes:
        out: list[bytes] = []
        at = 0
        while at < len(chunk) and not self._begun:
            at = self._inside(chunk, at, out) if self._size else self._between(chunk, at, out)
        if at < len(chunk):
            self._hold(chunk[at:])
        return b"".join(out)

    def _between(self, chunk: bytes, at: int, out: list[bytes]) -> int:
        """Releases blank lines and comments, or enters an event; returns where it stopped."""
        if self._commenting:
            end = _LINE_END.search(chunk, at)
            self._commenting = end is None
            stop = end.end() if end else len(chunk)
        else:
            found = _BETWEEN.match(chunk, at)
            stop = found.end() if found else at
            if stop == at and chunk.startswith(b":", at):
                self._commenting = True
                stop = len(chunk)
        if stop == at:
            return self._inside(chunk, at, out)
        out.append(chunk[at:stop])
        return stop

    def _inside(self, chunk: bytes, at: int, out: list[bytes]) -> int:
        """Takes the event's bytes up to its blank line, or all of `chunk`; returns where it stopped."""
        plain = _PLAIN.match(chunk, at) if not self._size else None
        if plain is not None and self._is_plain(plain[1], plain[0]):
            self.events += 1
            out.append(plain[0])
            return plain.end()
        end = self._blank_line(chunk, at)
        piece = chunk[at : len(chunk) if end is None else end]
        self._add(piece, out)
        if end is not None and not self._begun:
            self._close(out)
        elif end is not None:
            self.terminal = True
        return at + len(piece)

    def _blank_line(self, chunk: bytes, at: int) -> int | None:
        """Where the blank line ends that ends the event; remembers the event's last bytes where there is none."""
        tail = self._tail
        if tail and (found := _BLANK_LINE.search(tail + chunk[at : at + _LINE_END_BYTES])):
            return at + found.end() - len(tail)
        if found := _BLANK_LINE.search(chunk, at):
            return found.end()
        self._tail = (tail + chunk[max(at, len(chunk) - _LINE_END_BYTES) :])[-_LINE_END_BYTES:]
        return None

    def _add(self, piece: bytes, out: list[bytes]) -> None:
        self._size += len(piece)
        self._parts.append(piece)
        too_long = self._size > EVENT_LIMIT_BYTES
        if self._kind is not None:
            out.append(piece)
        else:
            self._kind = self._decide(piece)
            if self._kind in self._terminal:
                self._begin()
                return
            if self._kind is not None or too_long:
                self._kind = self._kind or b""
                out.extend(self._parts)
        if too_long:
            self._parts.clear()

    def _decide(self, piece: bytes) -> bytes | None:
        """The event's kind, if its first bytes tell."""
        room = _HEAD_BYTES - len(self._head)
        if room <= 0:
            return None
        self._head += piece[:room]
        found = _KIND.match(self._head)
        return (found[1] or found[2] or found[3]) if found else None

    def _begin(self) -> None:
        """The event is the terminal one: all of it waits."""
        self._begun = True
        self._held = self._parts
        self.failed = self.failed or self._kind in self._failed

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        if not self.terminal:
            self.terminal = self._blank_line(data, 0) is not None

    def _close(self, out: list[bytes]) -> None:
        """The event's blank line has come."""
        event = event_of(b"".join(self._parts)) if self._parts else None
        self.events += event is not None or self._size > EVENT_LIMIT_BYTES
        if event is not None:
            kind = self._weigh(event)
            if self._kind is None and kind in self._terminal:
                self._kind = kind
                self.events -= 1
                self._begin()
                self.terminal = True
                return
            self.events -= kind in self._quiet
        if self._kind is None:
            out.extend(self._parts)
        self._reset()

    def _finish_event(self) -> bytes:
        """An event without its blank line: it may still be the end, or tell of an error."""
        withheld = self._kind is None
        event = event_of(b"".join(self._parts), closed=False)
        kind = self._weigh(event) if event is not None else b""
        if withheld and kind in self._terminal and _is_whole(event):
            self._kind = kind
            self._begin()
            self.terminal = True
            return b""
        rest = b"".join(self._parts) if withheld else b""
        self._reset()
        return rest

    def _weigh(self, event: Event) -> bytes:
        """The kind of a whole event; on the way, whether it tells of an error."""
        kind = self._kind
        if kind is None or b'"error"' in event.data:
            try:
                value = orjson.loads(event.data)
            except orjson.JSONDecodeError:
                value = None
            kind = kind_of(event, value) if kind is None else kind
            self.failed = self.failed or (isinstance(value, dict) and value.get("error") is not None)
        self.failed = self.failed or kind in self._failed
        return kind

    def _reset(self) -> None:
        self._size = 0
        self._parts = []
        self._kind = None
        self._head = self._tail = b""


def _is_whole(event: Event | None) -> bool:
    """Whether the data of an event that the stream's end left open is all there."""
    if event is None:
        return False
    if event.data.startswith(DONE):
        return True
    try:
        orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return False
    return True
