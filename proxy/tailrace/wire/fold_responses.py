"""A stream of a response's events → the response that a plain call would have answered with.

    created ─▶ item added ─▶ part added ─▶ deltas … ─▶ part done ─▶ item done ─▶ completed: the whole response

The last event says all of it, so that is the answer. What came before is put together too: it is the answer where the
stream broke off, and else it must stand in the last event's response (`lossless`). Announcements (`created`, `added`)
are superseded by what was done. Owns: that rule, linear in the stream, whatever stands in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.endpoint import Folded
from tailrace.wire.fold import MAX_INDEX
from tailrace.wire.typed import Kinds, Reader
from tailrace.wire.within import is_within

KINDS: Final = Kinds(
    terminal=frozenset((b"response.completed", b"response.failed", b"response.incomplete", b"done")),
    failed=frozenset((b"response.failed", b"error")),
    quiet=frozenset((b"keepalive", b"ping")),
)

_ENDS: Final = frozenset(kind.decode() for kind in KINDS.terminal)
_SNAPSHOTS: Final = frozenset(("response.created", "response.queued", "response.in_progress"))
_FRAME: Final = frozenset(
    ("type", "sequence_number", "item_id", "output_index", "content_index", "summary_index", "obfuscation", "error")
)
"""Where an event belongs, and what only pads it."""

_ITEM: Final = "response.output_item"
_PARTS: Final = {
    "response.content_part": "content",
    "response.reasoning_part": "content",
    "response.reasoning_summary_part": "summary",
}
_TEXTS: Final[Mapping[str, tuple[str | None, str, str]]] = {
    "response.output_text": ("content", "output_text", "text"),
    "response.refusal": ("content", "refusal", "refusal"),
    "response.reasoning_text": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("summary", "summary_text", "text"),
    "response.function_call_arguments": (None, "function_call", "arguments"),
    "response.mcp_call_arguments": (None, "mcp_call", "arguments"),
    "response.custom_tool_call_input": (None, "custom_tool_call", "input"),
    "response.code_interpreter_call_code": (None, "code_interpreter_call", "code"),
}
"""What comes in pieces: the list of parts it stands in (None: in the item itself), the type of its holder, its name."""

_ANNOTATIONS: Final = frozenset(("response.output_text.annotation.added", "response.output_text_annotation.added"))
_INDEXES: Final = {"content": "content_index", "summary": "summary_index"}


def fold_responses(stream: bytes) -> Folded:
    """Folds the bytes of a whole stream, or of as much of it as came."""
    return _Fold().run(stream)


class _Piece:
    """An output item, or a part of one, as the events told of it."""

    __slots__ = ("begun", "done", "lists", "parts", "stated", "texts")

    def __init__(self) -> None:
        self.begun: dict[str, Any] = {}  # as it was announced
        self.done: dict[str, Any] | None = None  # as it was at its end
        self.texts: dict[str, list[str]] = {}
        self.lists: dict[str, list[Json]] = {}
        self.stated: dict[str, Any] = {}  # members as they were at their end
        self.parts: dict[tuple[str, int], _Piece] = {}

    def is_in(self, kept: Json) -> bool:
        """Whether `kept` says all that the events said of it. Announcements do not count."""
        if not isinstance(kept, dict) or not (is_within(self.done, kept) and is_within(self.stated, kept)):
            return False
        if not all(is_within("".join(pieces), kept.get(name)) for name, pieces in self.texts.items()):
            return False
        if not is_within(self.lists, kept):
            return False
        return all(part.is_in(_at(kept.get(field), index)) for (field, index), part in self.parts.items())

    def draft(self) -> dict[str, Any]:
        """What it is as far as the events told."""
        draft = dict(self.begun if self.done is None else self.done)
        told = {name: "".join(pieces) for name, pieces in self.texts.items()} | self.lists | self.stated
        fields: dict[str, list[Json]] = {}
        for (field, _), part in sorted(self.parts.items(), key=_place):
            fields.setdefault(field, []).append(part.draft())
        for name, value in (told | fields).items():
            if self.done is None or not draft.get(name):
                draft[name] = value
        return draft


class _Fold:
    __slots__ = ("_final", "_items", "_reader", "_response")

    def __init__(self) -> None:
        self._reader = Reader(KINDS)
        self._response: dict[str, Any] | None = None  # as it was last announced
        self._final: dict[str, Any] | None = None
        self._items: dict[int, _Piece] = {}

    def run(self, stream: bytes) -> Folded:
        reader = self._reader
        for kind, event in reader.read(stream):
            self._add(kind, event)
        answer = self._answer()
        return Folded(answer, reader.terminal, reader.error, not reader.reason, reader.reason)

    def _add(self, kind: str, event: dict[str, Any]) -> None:
        base, _, verb = kind.rpartition(".")
        if kind in _ENDS or kind in _SNAPSHOTS:
            self._add_response(kind, event)
        elif base == _ITEM and verb in {"added", "done"}:
            self._add_whole(self._item(event), verb, event, "item")
        elif base in _PARTS and verb in {"added", "done"}:
            self._add_whole(self._part(event, _PARTS[base]), verb, event, "part")
        elif base in _TEXTS and verb in {"delta", "done"}:
            self._add_text(base, verb, event)
        elif kind in _ANNOTATIONS:
            self._add_annotation(event)
        else:
            self._check(event, frozenset())

    def _add_response(self, kind: str, event: dict[str, Any]) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            self._reader.lose("an event of the response has none")
        elif kind in _ENDS:
            self._final = response
        else:
            self._response = response
            self._begin(response.get("output"))
        self._check(event, frozenset(("response",)))

    def _begin(self, output: Json) -> None:
        """Items that the response had already when the stream began."""
        if isinstance(output, list):
            for index, item in enumerate(output[: MAX_INDEX + 1]):
                if isinstance(item, dict) and index not in self._items:
                    self._items[index] = piece = _Piece()
                    piece.begun = item

    def _add_whole(self, piece: _Piece | None, verb: str, event: dict[str, Any], name: str) -> None:
        """An item or a part, as announced or as done."""
        value = event.get(name)
        if piece is not None and isinstance(value, dict):
            if verb == "added":
                piece.begun = value
            elif is_within(piece.done, value):
                piece.done = value
            else:
                self._reader.lose("a part of the answer is done twice")
        elif value is not None:
            self._reader.lose("an item or a part is no object")
        self._check(event, frozenset((name,)))

    def _add_text(self, base: str, verb: str, event: dict[str, Any]) -> None:
        field, holder, name = _TEXTS[base]
        piece = self._item(event, holder) if field is None else self._part(event, field, holder)
        if piece is None:
            return
        if verb == "done":
            stated = {key: value for key, value in event.items() if key not in _FRAME}
            if not is_within(piece.stated, stated):
                self._reader.lose("a text is done twice")
            piece.stated |= stated
            return
        delta = event.get("delta")
        if isinstance(delta, str):
            piece.texts.setdefault(name, []).append(delta)
        else:
            self._reader.lose("a delta is no text")
        logprobs = event.get("logprobs")
        if isinstance(logprobs, list):
            piece.lists.setdefault("logprobs", []).extend(logprobs)
        self._check(event, frozenset(("delta", "logprobs")))

    def _add_annotation(self, event: dict[str, Any]) -> None:
        piece = self._part(event, "content", "output_text")
        if piece is not None:
            piece.lists.setdefault("annotations", []).append(event.get("annotation"))
        self._check(event, frozenset(("annotation", "annotation_index")))

    def _check(self, event: dict[str, Any], taken: frozenset[str]) -> None:
        """What an event says beyond its place and what was taken of it is lost."""
        for name, value in event.items():
            if name not in _FRAME and name not in taken and value is not None:
                self._reader.lose("an event says something that has no place in the answer")

    def _item(self, event: dict[str, Any], holder: str = "") -> _Piece | None:
        """The item that an event belongs to, made where it was not announced; None where its index is not valid."""
        index = self._index(event, "output_index")
        if index is None:
            return None
        return _find(self._items, index, holder)

    def _part(self, event: dict[str, Any], field: str, holder: str = "") -> _Piece | None:
        item = self._item(event, "message" if holder in {"output_text", "refusal"} else "reasoning")
        index = self._index(event, _INDEXES[field])
        if item is None or index is None:
            return None
        return _find(item.parts, (field, index), holder)

    def _index(self, event: dict[str, Any], name: str) -> int | None:
        index = event.get(name, 0)
        if type(index) is int and 0 <= index <= MAX_INDEX:
            return index
        self._reader.lose("an event has no valid index")
        return None

    def _answer(self) -> dict[str, Any] | None:
        final, announced, items = self._final, self._response, self._items
        if final is None and announced is None and not items:
            return None
        answer = final or announced or {"object": "response"}
        if items and (final is None or not final.get("output")):
            if final is not None:
                self._reader.lose("the last event's response is without its output")
            answer = answer | {"output": [items[index].draft() for index in sorted(items)]}
        self._prove(answer)
        return answer

    def _prove(self, answer: dict[str, Any]) -> None:
        """Whether `answer` keeps all that the events said."""
        output, error = answer.get("output"), answer.get("error")
        if not all(piece.is_in(_at(output, index)) for index, piece in self._items.items()):
            self._reader.lose("the answer does not keep all that the events said")
        if error is not None and self._reader.error is not None and not is_within(error, self._reader.error):
            self._reader.lose("a second error")


def _find(pieces: dict[Any, _Piece], key: Any, holder: str) -> _Piece:
    piece = pieces.get(key)
    if piece is None:
        piece = pieces[key] = _Piece()
        if holder:
            piece.begun = {"type": holder}
    return piece


def _at(values: Json, index: int) -> Json:
    return values[index] if isinstance(values, list) and index < len(values) else None


def _place(entry: tuple[tuple[str, int], _Piece]) -> tuple[str, int]:
    return entry[0]
