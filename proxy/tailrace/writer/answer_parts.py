"""An answer's bytes → its parts. Pure.

A stream is folded into the answer that a plain call would have had, with an error event as its `error`. Each choice's
message is filed as its core, under the node of the prompt; what is left of the answer is its envelope, filed as a shape
and values.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.chains.canonical import canonical
from tailrace.chains.links import Links, answer_links
from tailrace.records import Closed, Json
from tailrace.store.envelope import join, split
from tailrace.store.parts import divide, whole
from tailrace.wire.exact import is_exact
from tailrace.wire.fold import fold_chat
from tailrace.wire.usage import finish_reason, read_usage
from tailrace.writer.decode import CodingError, decode
from tailrace.writer.prepared import AnswerParts, ChoicePart
from tailrace.writer.request_parts import content
from tailrace.writer.text import MAX_CHARS, column_text

_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class _Read:
    """What an answer's bytes said."""

    answer: Json | None
    ended: bool  # it came to its own end
    lost: str | None  # why the bytes are needed beside it


def answer_parts(closed: Closed, links: Links) -> AnswerParts:
    """The parts of the answer; with a `raw_reason` where they are not proven to rebuild it."""
    if not closed.answer:
        return AnswerParts()
    try:
        read = _read(closed)
    except CodingError as exc:
        return AnswerParts(raw_reason=f"not decoded: {exc}")
    if read.answer is None:
        return AnswerParts(raw_reason=read.lost or "nothing to rebuild")
    choices, envelope = _take_messages(read.answer, closed.start.project, links)
    answer_id = _column_id(read.answer)
    shape, values = _stored(envelope, answer_id)
    served = read.answer.get("model") if type(read.answer) is dict else None
    return AnswerParts(
        envelope=content(shape, closed.start.project),
        values=values,
        id=answer_id,
        served_model=column_text(served) if type(served) is str else None,
        finish_reason=column_text(finish_reason(read.answer)),
        choices=choices,
        usage=read_usage(read.answer, ended=read.ended),
        raw_reason=read.lost,
    )


def _read(closed: Closed) -> _Read:
    end = closed.end
    body = decode(closed.answer, end.content_encoding if end else None)
    if _is_stream(closed, body):
        return _read_stream(body)
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _Read(None, ended=False, lost="not JSON")
    return _Read(answer, ended=True, lost=None if is_exact(body, answer) else "not exactly representable")


def _is_stream(closed: Closed, body: bytes) -> bool:
    if closed.end is not None and closed.end.content_type is not None:
        return closed.end.content_type.strip().lower().startswith(_EVENTS)
    return closed.start.stream and body.lstrip()[:1] not in (b"{", b"[")


def _read_stream(body: bytes) -> _Read:
    folded = fold_chat(body)
    answer: dict[str, Json] | None = folded.answer
    if folded.error is not None:
        answer = {**(answer or {}), "error": folded.error}
    return _Read(answer, folded.terminal, lost=None if folded.lossless else folded.reason)


def _take_messages(answer: Json, project: str, links: Links) -> tuple[tuple[ChoicePart, ...], Json]:
    """The choices with a message, and the answer without these messages."""
    choices = answer.get("choices") if type(answer) is dict else None
    if type(choices) is not list:
        return (), answer
    taken: list[ChoicePart] = []
    left: list[Json] = []
    for index, choice in enumerate(choices):
        message = choice.get("message") if type(choice) is dict else None
        if type(message) is not dict:
            left.append(choice)
            continue
        core, rest = _core_of(message)
        taken.append(ChoicePart(index, content(core, project), _finish_reason(choice), answer_links(links, message)))
        left.append(choice | {"message": rest or {}})
    return tuple(taken), answer | {"choices": left}


def _core_of(message: dict[str, Json]) -> tuple[Json, Json | None]:
    core, rest = divide(message)
    if rest is None or canonical(whole(core, rest)) == canonical(message):
        return core, rest
    return message, None


def _finish_reason(choice: dict[str, Json]) -> str | None:
    return finish_reason({"choices": [choice]})


def _stored(envelope: Json, answer_id: str | None) -> tuple[Json, bytes | None]:
    """Shape and values where these are proven to rebuild the envelope, else the envelope itself."""
    parts = split(envelope, answer_id)
    if parts is None or canonical(join(*parts, answer_id)) != canonical(envelope):
        return envelope, None
    return parts


def _column_id(answer: Json) -> str | None:
    """The answer's id where the column holds it as it is."""
    id_ = answer.get("id") if type(answer) is dict else None
    return id_ if type(id_) is str and len(id_) <= MAX_CHARS and column_text(id_) == id_ else None
