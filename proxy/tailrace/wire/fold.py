"""A stream of chunks → the completion that a plain call would have answered with; for chat and for text completions.

    strings are concatenated · lists appended · tool calls and choices put together by their index · the rest: last wins

Owns: that rule. Linear in the stream, whatever stands in it. What cannot be folded without loss is said (`lossless`,
`reason`), so that the caller keeps the raw stream too.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson

from tailrace.chains.canonical import canonical
from tailrace.records import Json
from tailrace.wire.endpoint import Folded
from tailrace.wire.exact import is_exact
from tailrace.wire.sse import Event, split
from tailrace.wire.within import is_within

DONE: Final = b"[DONE]"
MAX_INDEX: Final = 1023
"""Of choices and of tool calls. A higher one is a broken provider's, and not folded."""

_WHOLE: Final = frozenset(("role", "id", "type"))  # strings that come whole, so that the last one counts
_NESTED: Final = frozenset(("function", "custom", "function_call", "audio", "logprobs"))
_LEFT_OUT: Final = frozenset(("choices", "object", "obfuscation", "error"))


class _Text(list[str]):
    """The pieces of one string, joined once at the end."""


def fold_chat(stream: bytes) -> Folded:
    """Folds the bytes of a whole stream of chat completion chunks, or of as much of it as came."""
    return _Fold("chat.completion", _ChatChoice).run(stream)


def fold_completions(stream: bytes) -> Folded:
    """The same for text completions."""
    return _Fold("text_completion", _TextChoice).run(stream)


class _Choice(Protocol):
    """One choice, as its chunks come in."""

    def add(self, choice: dict[str, Any]) -> str:
        """Takes one choice of a chunk in; returns what was lost, empty where nothing was."""

    def whole(self, index: int) -> dict[str, Any]:
        """The choice of the answer."""


class _Fold:
    __slots__ = ("_choices", "_error", "_make", "_object", "_reason", "_terminal", "_top")

    def __init__(self, name: str, make: Callable[[], _Choice]) -> None:
        self._object = name
        self._make = make
        self._top: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._terminal = False
        self._error: Json | None = None
        self._reason = ""

    def run(self, stream: bytes) -> Folded:
        for event in split(stream):
            self._add(event)
        answer = None
        if self._top or self._choices:
            choices = [self._choices[index].whole(index) for index in sorted(self._choices)]
            answer = {"object": self._object, **self._top, "choices": choices}
        return Folded(answer, self._terminal, self._error, not self._reason, self._reason)

    def _add(self, event: Event) -> None:
        data = event.data
        if data.startswith(DONE):
            self._terminal = True
            return
        if self._terminal:
            self._lose("data after the terminal event")
            return
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            self._lose("an event is not JSON" if event.closed else "the stream ends inside an event")
            self._note_error(event, data.decode(errors="replace"))
            return
        if event.name not in (b"", b"message", b"error"):
            self._lose("an event has a name")
        if not is_exact(data, chunk):
            self._lose("an event cannot be proven to be rebuilt from its JSON")
        if isinstance(chunk, dict):
            self._note_error(event, chunk)
            self._add_chunk(chunk)
        else:
            self._note_error(event, chunk)
            self._lose("an event is no object")

    def _lose(self, reason: str) -> None:
        self._reason = self._reason or reason

    def _note_error(self, event: Event, value: Json) -> None:
        stated = value.get("error") if isinstance(value, dict) else None
        if stated is None and event.name == b"error":
            stated = value
        if stated is None:
            return
        if self._error is None:
            self._error = stated
        elif canonical(self._error) != canonical(stated):
            self._lose("a second error")

    def _add_chunk(self, chunk: dict[str, Any]) -> None:
        top = self._top
        for name, value in chunk.items():
            if name not in _LEFT_OUT and (value is not None or name not in top):
                top[name] = value
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._add_choice(choice)
        elif choices is not None:
            self._lose("choices is no array")

    def _add_choice(self, choice: Json) -> None:
        index = _index(choice)
        if index is None:
            self._lose("a choice has no valid index")
            return
        have = self._choices.get(index)
        if have is None:
            have = self._choices[index] = self._make()
        reason = have.add(choice)
        if reason:
            self._lose(reason)


class _ChatChoice:
    __slots__ = ("_calls", "_message", "_rest")

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: dict[int, dict[str, Any]] = {}
        self._rest: dict[str, Any] = {}

    def add(self, choice: dict[str, Any]) -> str:
        lost = ""
        for name, value in choice.items():
            if name == "delta":
                lost = self._add_delta(value) or lost
            elif name == "message":
                lost = "a choice has a message beside its deltas"
            else:
                lost = _add_beside(self._rest, name, value) or lost
        return lost

    def whole(self, index: int) -> dict[str, Any]:
        message = _sealed(self._message)
        if self._calls:
            message["tool_calls"] = [_sealed(self._calls[place]) for place in sorted(self._calls)]
        return {"index": index, "message": message, "finish_reason": None, **_sealed(self._rest)}

    def _add_delta(self, delta: Json) -> str:
        if delta is None:
            return ""
        if not isinstance(delta, dict):
            return "a delta is no object"
        if isinstance(calls := delta.get("tool_calls"), list):
            lost = ""
            for call in calls:
                lost = self._add_call(call) or lost
            others = {name: value for name, value in delta.items() if name != "tool_calls"}
            return _merge(self._message, others) or lost
        return _merge(self._message, delta)

    def _add_call(self, call: Json) -> str:
        index = self._next_call(call) if isinstance(call, dict) and call.get("index") is None else _index(call)
        if index is None:
            return "a tool call has no valid index"
        have = self._calls.setdefault(index, {})
        return _merge(have, {name: value for name, value in call.items() if name != "index"})

    def _next_call(self, call: dict[str, Any]) -> int | None:
        """Where a call without an index goes: some providers send each call whole, with an id and no index."""
        last = max(self._calls, default=-1)
        index = last if last >= 0 and not call.get("id") else last + 1
        return index if index <= MAX_INDEX else None


class _TextChoice:
    __slots__ = ("_rest", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._rest: dict[str, Any] = {}

    def add(self, choice: dict[str, Any]) -> str:
        lost = ""
        for name, value in choice.items():
            if name == "text" and isinstance(value, str):
                self._text.append(value)
            elif name == "text" and value is not None:
                lost = "a text is no string"
            elif name != "text":
                lost = _add_beside(self._rest, name, value) or lost
        return lost

    def whole(self, index: int) -> dict[str, Any]:
        return {"text": "".join(self._text), "index": index, "finish_reason": None, **_sealed(self._rest)}


def _add_beside(rest: dict[str, Any], name: str, value: Json) -> str:
    """Takes in what a choice has beside its text: pieces of lists and of logprobs, else the last value."""
    if isinstance(value, list) or (name == "logprobs" and isinstance(value, dict)):
        return _merge(rest, {name: value})
    if name != "index" and (value is not None or name not in rest):
        rest[name] = value
    return ""


def _index(holder: Json) -> int | None:
    index = holder.get("index") if isinstance(holder, dict) else None
    return index if type(index) is int and 0 <= index <= MAX_INDEX else None


def _merge(into: dict[str, Any], delta: dict[str, Any], depth: int = 2) -> str:
    """Takes `delta` into `into`; returns what was lost. Goes down only into the few objects that come in pieces."""
    lost = ""
    for name, value in delta.items():
        have = into.get(name)
        if isinstance(value, str) and name not in _WHOLE:
            if have is None:
                into[name] = _Text((value,))
            elif isinstance(have, _Text):
                have.append(value)
            else:
                lost = "a field changes its kind"
        elif value is None:
            into.setdefault(name, None)
        else:
            lost = _merge_other(into, name, value, depth) or lost
    return lost


def _merge_other(into: dict[str, Any], name: str, value: Json, depth: int) -> str:
    have = into.get(name)
    if have is not None and type(have) is not type(value):
        return "a field changes its kind"
    if isinstance(value, list):
        if have is None:
            into[name] = []
        into[name].extend(value)
    elif isinstance(value, dict) and name in _NESTED and depth:
        if have is None:
            into[name] = {}
        return _merge(into[name], value, depth - 1)
    else:
        into[name] = value
        if isinstance(value, dict) and not is_within(have, value):
            return "an object comes twice"
    return ""


def _sealed(fields: dict[str, Any], depth: int = 2) -> dict[str, Any]:
    """`fields` with each string's pieces joined."""
    whole: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, _Text):
            whole[name] = "".join(value)
        elif isinstance(value, dict) and name in _NESTED and depth:
            whole[name] = _sealed(value, depth - 1)
        else:
            whole[name] = value
    return whole
