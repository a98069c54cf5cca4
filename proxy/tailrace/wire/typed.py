"""Streams whose events say what they are: OpenAI's responses, Anthropic's messages.

    event: message_stop                        the kind: this name, else, where a server sends `data:` lines only,
    data: {"type":"message_stop"}              the type that the data says

Owns: what kind an event is, and reading a whole stream for a fold. `typed_scan` reads the same kinds as they pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.chains.canonical import canonical
from tailrace.records import Json
from tailrace.wire.exact import is_exact
from tailrace.wire.sse import Event, split

DONE: Final = b"[DONE]"
"""The end that chat completions have. Some servers send it on these streams too, and clients stop there."""

UNNAMED: Final = frozenset((b"", b"message"))
"""No name, and the one that events without a name have by the standard."""

_ERROR_FRAME: Final = frozenset(("type", "error", "sequence_number"))


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of events that a scan must know."""

    terminal: frozenset[bytes]  # the last event of an answer
    failed: frozenset[bytes]  # it tells of an error
    quiet: frozenset[bytes]  # sent so that the connection lives, while nothing happens


def kind_of(event: Event, value: Json) -> bytes:
    """The kind of an event whose data is `value`; empty where it does not say."""
    if event.name not in UNNAMED:
        return event.name
    kind = value.get("type") if isinstance(value, dict) else None
    return kind.encode() if isinstance(kind, str) else b""


class Reader:
    """Reads one whole stream; afterwards says how it ended, and what could not be kept."""

    __slots__ = ("_kinds", "error", "reason", "terminal")

    def __init__(self, kinds: Kinds) -> None:
        self.terminal = False
        self.error: Json | None = None
        self.reason = ""
        self._kinds = kinds

    def lose(self, reason: str) -> None:
        """Something was said that the answer will not keep. The first reason counts."""
        self.reason = self.reason or reason

    def read(self, stream: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events but errors and pings, as (kind, data)."""
        for event in split(stream):
            if event.data.startswith(DONE):
                self.terminal = True
            elif self.terminal:
                self.lose("data after the terminal event")
            elif (taken := self._take(event)) is not None:
                yield taken

    def _take(self, event: Event) -> tuple[str, dict[str, Any]] | None:
        try:
            value = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            self._broken(event)
            return None
        if not is_exact(event.data, value):
            self.lose("an event cannot be proven to be rebuilt from its JSON")
        kind = kind_of(event, value)
        self.terminal = kind in self._kinds.terminal
        if not isinstance(value, dict):
            self.lose("an event is no object")
            return None
        if isinstance(value.get("type"), str) and value["type"].encode() != kind:
            self.lose("an event's name and its type differ")
        if kind == b"error" or value.get("error") is not None:
            self._note_error(value)
            return None
        if kind not in self._kinds.quiet:
            return kind.decode(errors="replace"), value
        if not value.keys() <= _ERROR_FRAME:
            self.lose("a ping says something")
        return None

    def _broken(self, event: Event) -> None:
        """The data is no JSON. An event that came whole still is what its name says."""
        self.lose("an event is not JSON" if event.closed else "the stream ends inside an event")
        if event.name == b"error":
            self._state(event.data.decode(errors="replace"))
        self.terminal = event.closed and event.name in self._kinds.terminal

    def _note_error(self, value: dict[str, Any]) -> None:
        """`error`, or where the event itself is the error, what else it says."""
        rest = {name: inner for name, inner in value.items() if name not in _ERROR_FRAME}
        stated = value.get("error")
        if stated is None:
            self._state(rest)
            return
        self._state(stated)
        if any(inner is not None for inner in rest.values()):
            self.lose("an error event says more than its error")

    def _state(self, error: Json) -> None:
        if self.error is None:
            self.error = error
        elif canonical(self.error) != canonical(error):
            self.lose("a second error")
