"""A stream of Anthropic's message events → the message that a plain call would have answered with.

    message_start ─▶ content_block_start ─▶ content_block_delta … ─▶ content_block_stop ─▶ message_delta ─▶ message_stop

Text is concatenated, citations appended, a tool's input joined and parsed; usage counts are totals, so the last ones
stand. Owns: that rule, linear in the stream, whatever stands in it. What cannot be kept is said (`lossless`).
"""

from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.wire.endpoint import Folded
from tailrace.wire.exact import is_exact
from tailrace.wire.fold import MAX_INDEX
from tailrace.wire.typed import Kinds, Reader

KINDS: Final = Kinds(terminal=frozenset((b"message_stop",)), failed=frozenset((b"error",)), quiet=frozenset((b"ping",)))

_TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_VALUES: Final = {"signature_delta": ("signature",), "compaction_delta": ("content", "encrypted_content")}
"""What comes whole, as the official client takes it: the last one stands."""

_INPUT: Final = "partial_json"


def fold_messages(stream: bytes) -> Folded:
    """Folds the bytes of a whole stream, or of as much of it as came."""
    return _Fold().run(stream)


class _Block:
    """One content block."""

    __slots__ = ("begun", "citations", "texts", "values")

    def __init__(self, begun: dict[str, Any]) -> None:
        self.begun = begun
        self.texts: dict[str, list[str]] = {}
        self.citations: list[Json] = []
        self.values: dict[str, Json] = {}

    def add(self, delta: dict[str, Any]) -> str:
        """Takes a delta in; returns what was lost, empty where nothing was."""
        kind = delta.get("type")
        if not isinstance(kind, str):
            return "a delta has no type"
        if kind in _TEXTS:
            return self._add_text(_TEXTS[kind], delta)
        if kind == "citations_delta":
            self.citations.append(delta.get("citation"))
            return _beyond(delta, ("citation",))
        if kind in _VALUES:
            return self._add_values(_VALUES[kind], delta)
        return "a delta is of an unknown type"

    def whole(self) -> tuple[dict[str, Any], str]:
        """The block, and what was lost."""
        block, lost = dict(self.begun), ""
        for name, pieces in self.texts.items():
            text = "".join(pieces)
            if name == _INPUT:
                lost = _set_input(block, text) or lost
            elif isinstance(before := block.get(name), str | None):
                block[name] = (before or "") + text
            else:
                lost = "a field changes its kind"
        if self.citations:
            before = block.get("citations")
            block["citations"] = [*(before if isinstance(before, list) else ()), *self.citations]
        return block | self.values, lost

    def _add_text(self, name: str, delta: dict[str, Any]) -> str:
        text = delta.get(name)
        if not isinstance(text, str):
            return "a delta is no text"
        self.texts.setdefault(name, []).append(text)
        return _beyond(delta, (name,))

    def _add_values(self, names: tuple[str, ...], delta: dict[str, Any]) -> str:
        lost = _beyond(delta, names)
        for name in names:
            value = delta.get(name)
            if value is not None:
                lost = "a value comes twice" if self.values.get(name) else lost
                self.values[name] = value
        return lost


class _Fold:
    __slots__ = ("_blocks", "_message", "_reader")

    def __init__(self) -> None:
        self._reader = Reader(KINDS)
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}

    def run(self, stream: bytes) -> Folded:
        reader = self._reader
        for kind, event in reader.read(stream):
            lost = self._add(kind, event)
            if lost:
                reader.lose(lost)
        answer = self._answer()
        return Folded(answer, reader.terminal, reader.error, not reader.reason, reader.reason)

    def _add(self, kind: str, event: dict[str, Any]) -> str:
        """Takes an event in; returns what was lost, empty where nothing was."""
        if kind == "message_start":
            return self._start(event)
        if kind == "content_block_start":
            return self._start_block(event)
        if kind == "content_block_delta":
            block, delta = self._block(event), event.get("delta")
            if block is None or not isinstance(delta, dict):
                return "a delta has no place"
            return block.add(delta) or _beyond(event, ("index", "delta"))
        if kind == "message_delta":
            return self._change(event)
        return _beyond(event, ("index",) if kind == "content_block_stop" else ())

    def _start(self, event: dict[str, Any]) -> str:
        message = event.get("message")
        if not isinstance(message, dict) or self._message:
            return "a message starts twice, or is no object"
        self._message = dict(message)
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict) and index <= MAX_INDEX:
                self._blocks.setdefault(index, _Block(block))
        return _beyond(event, ("message",))

    def _start_block(self, event: dict[str, Any]) -> str:
        index, block = _index(event), event.get("content_block")
        if index is None or not isinstance(block, dict):
            return "a block has no valid index, or is no object"
        if index in self._blocks:
            return "a block starts twice"
        self._blocks[index] = _Block(block)
        return _beyond(event, ("index", "content_block"))

    def _block(self, event: dict[str, Any]) -> _Block | None:
        """The block a delta belongs to, made where its start is missing."""
        index = _index(event)
        return None if index is None else self._blocks.setdefault(index, _Block({}))

    def _change(self, event: dict[str, Any]) -> str:
        """The end of the message: what its delta says, its usage, and what else stands beside them."""
        delta, usage = event.get("delta"), event.get("usage")
        if isinstance(delta, dict):
            _update(self._message, delta)
        if isinstance(usage, dict):
            have = self._message.get("usage")
            self._message["usage"] = dict(have) if isinstance(have, dict) else {}
            _update(self._message["usage"], usage)
        _update(self._message, {k: v for k, v in event.items() if k not in {"type", "delta", "usage", "error"}})
        return "" if isinstance(delta, dict | None) and isinstance(usage, dict | None) else "a delta is no object"

    def _answer(self) -> dict[str, Any] | None:
        if not self._message and not self._blocks:
            return None
        content = []
        for index in sorted(self._blocks):
            block, lost = self._blocks[index].whole()
            content.append(block)
            if lost:
                self._reader.lose(lost)
        return {"type": "message", "role": "assistant"} | self._message | {"content": content}


def _set_input(block: dict[str, Any], text: str) -> str:
    """A tool's input. One that is no JSON, as where the stream broke off, stays the text that it is."""
    if not text.strip():
        return ""
    have, block["input"] = block.get("input"), text
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "a tool's input is not JSON"
    block["input"] = parsed
    if have:
        return "a tool's input comes twice"
    return "" if is_exact(text.encode(), parsed) else "a tool's input cannot be proven to be rebuilt from its JSON"


def _update(into: dict[str, Any], values: dict[str, Any]) -> None:
    """The last value stands; null says nothing where there is one."""
    for name, value in values.items():
        if value is not None or name not in into:
            into[name] = value


def _beyond(said: dict[str, Any], taken: tuple[str, ...]) -> str:
    """What is lost where an event or a delta says more than its type and what was taken of it."""
    for name, value in said.items():
        if name not in taken and name not in {"type", "error"} and value is not None:
            return "an event says something that has no place in the answer"
    return ""


def _index(event: dict[str, Any]) -> int | None:
    index = event.get("index")
    return index if type(index) is int and 0 <= index <= MAX_INDEX else None
