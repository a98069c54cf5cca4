"""A stream of chat completion chunks as one of Anthropic's message events.

    first chunk with a choice   message_start; usage is not known yet, and said to be 0
    reasoning, content, calls   content_block_start, its deltas, and content_block_stop when something else begins
    [DONE]                      message_delta with the stop reason and the usage, message_stop
    error                       an error event, and nothing after it

The blocks of parallel calls follow one another, as Anthropic's do; a server that goes back to a call it has left
cannot be told so, and gets an error.
"""

from typing import Any, Final

from tailrace.errors import ANTHROPIC
from tailrace.wire.dialects.events import EventTranslator, said_in
from tailrace.wire.dialects.messages_as_chat.answer import (
    content_of,
    error_of,
    message_of,
    reasoning_of,
    stop_reason_of,
    text_block,
    thinking_block,
    tool_use_block,
    usage_of,
)
from tailrace.wire.dialects.reading import Unreadable, json_bytes, obj, objects, text
from tailrace.wire.sse import Event

_DONE: Final = b"[DONE]"
_MAX_INDEX: Final = 1023
_NO_USAGE: Final = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}
_THINKING: Final = -1
_TEXT: Final = -2
"""What is open, beside a tool call's index."""


class ChatToMessages(EventTranslator):
    """As `StreamTranslator`."""

    __slots__ = ("_begun", "_blocks", "_calls", "_id", "_open", "_reason", "_refused", "_usage")

    def __init__(self) -> None:
        super().__init__(ANTHROPIC)
        self._begun = False
        self._id = ""
        self._blocks = 0  # that have begun
        self._open: int | None = None
        self._calls: set[int] = set()  # by their index in chat
        self._reason = ""
        self._refused = False
        self._usage: dict[str, Any] = {}

    def take(self, event: Event) -> bytes:
        if event.data.startswith(_DONE):
            return self._done()
        said = said_in(event)
        if said is None:
            return b""
        if said.get("error") is not None:
            return self.told(_event(b"error", error_of(said)))
        self._usage = obj(said.get("usage")) or self._usage
        choices = [choice for choice in objects(said.get("choices")) if choice.get("index") in (0, None)]
        if not choices:
            return b""
        begin = b"" if self._begun else self._begin(said)
        return begin + b"".join([self._choice(choice) for choice in choices])

    def _begin(self, said: dict[str, Any]) -> bytes:
        self._begun = True
        self._id = text(said.get("id"))
        return _event(b"message_start", {"type": "message_start", "message": message_of(said, [], _NO_USAGE)})

    def _choice(self, choice: dict[str, Any]) -> bytes:
        self._reason = text(choice.get("finish_reason")) or self._reason
        delta = obj(choice.get("delta"))
        out: list[bytes] = []
        if reasoning := reasoning_of(delta):
            self._switch(_THINKING, thinking_block(""), out)
            out.append(self._delta({"type": "thinking_delta", "thinking": reasoning}))
        refusal = text(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        if words := content_of(delta) + refusal:
            self._switch(_TEXT, text_block(""), out)
            out.append(self._delta({"type": "text_delta", "text": words}))
        for call in objects(delta.get("tool_calls")):
            self._call(call, out)
        return b"".join(out)

    def _call(self, call: dict[str, Any], out: list[bytes]) -> None:
        place = self._place(call)
        arguments = text(obj(call.get("function")).get("arguments"))
        if place != self._open:
            if place in self._calls:
                if arguments:
                    raise Unreadable("The provider went back to a tool call after it began something else.")
                return
            self._calls.add(place)
            self._switch(place, tool_use_block(call, f"call_{self._id}_{place}", {}), out)
        if arguments:
            out.append(self._delta({"type": "input_json_delta", "partial_json": arguments}))

    def _place(self, call: dict[str, Any]) -> int:
        """A call's index. Some servers send each call whole, with an id and no index."""
        place = call.get("index")
        if place is None:
            last = max(self._calls, default=-1)
            place = last if last >= 0 and not call.get("id") else last + 1
        if type(place) is not int or not 0 <= place <= _MAX_INDEX:
            raise Unreadable("The provider's tool call has no valid index.")
        return place

    def _switch(self, wanted: int, block: dict[str, Any], out: list[bytes]) -> None:
        if self._open == wanted:
            return
        out.append(self._close())
        self._open = wanted
        begin = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        out.append(_event(b"content_block_start", begin))
        self._blocks += 1

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event(b"content_block_stop", {"type": "content_block_stop", "index": self._blocks - 1})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        said = {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}
        return _event(b"content_block_delta", said)

    def _done(self) -> bytes:
        begin = b"" if self._begun else self._begin({})
        reason = stop_reason_of(self._reason, calls=bool(self._calls), refused=self._refused)
        change = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage_of(self._usage),
        }
        stop = _event(b"message_stop", {"type": "message_stop"})
        return self.told(b"".join((begin, self._close(), _event(b"message_delta", change), stop)))


def _event(name: bytes, said: dict[str, Any]) -> bytes:
    return b"".join((b"event: ", name, b"\ndata: ", json_bytes(said), b"\n\n"))
