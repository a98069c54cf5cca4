"""A stream of Anthropic's message events as one of chat completion chunks.

    message_start        the first chunk, with the role
    content_block_start  a tool call's beginning
    content_block_delta  a piece of content, reasoning_content or arguments
    content_block_stop   a thinking block as it must be sent back; `{}` for a tool that was given no arguments
    message_delta        the finish reason
    message_stop         the usage chunk, if the client asked for it, and [DONE]
    error                an error event, and nothing after it
    ping                 a comment

Events and deltas of other types say nothing that chat has a place for; Anthropic reserves the right to add some.
"""

from collections.abc import Callable
from typing import Any, Final

from tailrace.errors import OPENAI
from tailrace.wire.dialects.chat_answers import DONE, FIRST_DELTA, ChatChunks, asks_usage, chat_error_event, tool_call
from tailrace.wire.dialects.chat_as_messages.answer import (
    error_of,
    finish_reason_of,
    kept_block,
    refusal_of,
    usage_of,
)
from tailrace.wire.dialects.events import EventTranslator, said_in
from tailrace.wire.dialects.reading import Unreadable, json_bytes, obj, text
from tailrace.wire.sse import Event

_PING: Final = b": ping\n\n"
_DONE_DATA: Final = b"[DONE]"
_MAX_THINKING_CHARS: Final = 4 * 2**20
"""Of one block, kept until its signature comes. Longer ones are not sent back."""


class _Block:
    """A content block that has begun. `place`: a tool call's index in chat; None for other blocks."""

    __slots__ = ("begun", "place", "said", "signature", "size")

    def __init__(self, begun: dict[str, Any], place: int | None) -> None:
        self.begun = begun
        self.place = place
        self.said: list[str] = []  # thinking
        self.size = 0  # characters of thinking, or of arguments
        self.signature = text(begun.get("signature"))

    def think(self, piece: str) -> None:
        self.size += len(piece)
        if self.size <= _MAX_THINKING_CHARS:
            self.said.append(piece)


class MessagesToChat(EventTranslator):
    """As `StreamTranslator`."""

    __slots__ = ("_blocks", "_calls", "_chunks", "_now_s", "_usage", "_with_usage")

    def __init__(self, asked: dict[str, Any], now_s: int) -> None:
        super().__init__(OPENAI)
        self._with_usage = asks_usage(asked)
        self._now_s = now_s
        self._chunks: ChatChunks | None = None
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._usage: dict[str, Any] = {}

    def take(self, event: Event) -> bytes:
        if event.data == _DONE_DATA:  # some servers add OpenAI's terminal event after their own
            return b""
        said = said_in(event)
        if said is None:
            return b""
        step = _STEPS.get(text(said.get("type")))
        return b"" if step is None else step(self, said)

    def start(self, said: dict[str, Any]) -> bytes:
        """message_start"""
        if self._chunks is not None:
            raise Unreadable("The provider began a message inside another.")
        message = obj(said.get("message"))
        self._note_usage(message)
        completion_id, model = text(message.get("id")), text(message.get("model"))
        self._chunks = ChatChunks(completion_id, model, self._now_s, with_usage=self._with_usage)
        return self._chunks.delta(FIRST_DELTA)

    def start_block(self, said: dict[str, Any]) -> bytes:
        """content_block_start"""
        chunks = self._begun()
        begun = obj(said.get("content_block"))
        kind = text(begun.get("type"))
        place = None
        if kind == "tool_use":
            place = self._calls
            self._calls += 1
        block = self._blocks[_index(said)] = _Block(begun, place)
        if place is not None:
            call = tool_call(text(begun.get("id")), text(begun.get("name")), "")
            return chunks.delta({"tool_calls": [{"index": place, **call}]})
        if kind == "text" and (piece := text(begun.get("text"))):
            return chunks.delta({"content": piece})
        if kind == "thinking" and (piece := text(begun.get("thinking"))):
            block.think(piece)
            return chunks.delta({"reasoning_content": piece})
        return b""

    def add(self, said: dict[str, Any]) -> bytes:
        """content_block_delta"""
        chunks = self._begun()
        delta = obj(said.get("delta"))
        kind = delta.get("type")
        if kind == "text_delta":
            piece = text(delta.get("text"))
            return chunks.delta({"content": piece}) if piece else b""
        if kind == "thinking_delta":
            return self._think(chunks, said, text(delta.get("thinking")))
        if kind == "input_json_delta":
            return self._argue(chunks, said, text(delta.get("partial_json")))
        if kind == "signature_delta":
            self._block(said).signature += text(delta.get("signature"))
        return b""

    def stop_block(self, said: dict[str, Any]) -> bytes:
        """content_block_stop"""
        chunks = self._begun()
        block = self._blocks.pop(_index(said), None)
        return b"" if block is None else _last_of(block, chunks)

    def change(self, said: dict[str, Any]) -> bytes:
        """message_delta"""
        chunks = self._begun()
        self._note_usage(said)
        delta = obj(said.get("delta"))
        finish_reason = finish_reason_of(delta)
        if finish_reason is None:
            return b""
        rest = [_last_of(self._blocks[index], chunks) for index in sorted(self._blocks)]
        self._blocks.clear()
        refusal = refusal_of(delta)
        return b"".join((*rest, chunks.delta({"refusal": refusal} if refusal else {}, finish_reason=finish_reason)))

    def stop(self, _: dict[str, Any]) -> bytes:
        """message_stop"""
        chunks = self._begun()
        rest = [_last_of(self._blocks[index], chunks) for index in sorted(self._blocks)]
        return self.told(b"".join((*rest, chunks.usage(usage_of(self._usage)), DONE)))

    def fail(self, said: dict[str, Any]) -> bytes:
        """error"""
        return self.told(chat_error_event(error_of(said)))

    def ping(self, _: dict[str, Any]) -> bytes:
        """ping"""
        return _PING

    def _think(self, chunks: ChatChunks, said: dict[str, Any], piece: str) -> bytes:
        self._block(said).think(piece)
        return chunks.delta({"reasoning_content": piece}) if piece else b""

    def _argue(self, chunks: ChatChunks, said: dict[str, Any], piece: str) -> bytes:
        block = self._block(said)
        if block.place is None:
            return b""  # of a server tool, which has no place in chat
        block.size += len(piece)
        if not piece:
            return b""
        return chunks.delta({"tool_calls": [{"index": block.place, "function": {"arguments": piece}}]})

    def _begun(self) -> ChatChunks:
        if self._chunks is None:
            raise Unreadable("The provider's message has no beginning.")
        return self._chunks

    def _block(self, said: dict[str, Any]) -> _Block:
        block = self._blocks.get(_index(said))
        if block is None:
            raise Unreadable("The provider sent a piece of a content block that has not begun.")
        return block

    def _note_usage(self, said: dict[str, Any]) -> None:
        """Each event's counts are those of the message so far."""
        self._usage |= {name: value for name, value in obj(said.get("usage")).items() if value is not None}


def _last_of(block: _Block, chunks: ChatChunks) -> bytes:
    """What is said when `block` ends."""
    if block.place is not None and not block.size:
        arguments = json_bytes(obj(block.begun.get("input"))).decode()
        return chunks.delta({"tool_calls": [{"index": block.place, "function": {"arguments": arguments}}]})
    if block.size > _MAX_THINKING_CHARS:
        return b""
    kept = kept_block({**block.begun, "thinking": "".join(block.said), "signature": block.signature})
    return b"" if kept is None else chunks.delta({"thinking_blocks": [kept]})


def _index(said: dict[str, Any]) -> int:
    index = said.get("index")
    if type(index) is not int or index < 0:
        raise Unreadable("The provider's content block has no valid index.")
    return index


_STEPS: Final[dict[str, Callable[[MessagesToChat, dict[str, Any]], bytes]]] = {
    "message_start": MessagesToChat.start,
    "content_block_start": MessagesToChat.start_block,
    "content_block_delta": MessagesToChat.add,
    "content_block_stop": MessagesToChat.stop_block,
    "message_delta": MessagesToChat.change,
    "message_stop": MessagesToChat.stop,
    "error": MessagesToChat.fail,
    "ping": MessagesToChat.ping,
}
