"""An answer's bytes → its parts. Pure.

A stream is folded into the answer that a plain call would have had, with an error event as its `error`. An answer of
another dialect is translated as the relay translated it, so what is filed is what the client saw; the provider's own
bytes are kept beside it. Each choice's messages are filed under the node of the prompt; what is left of the answer is
its envelope, filed as a shape and values.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.chains.canonical import canonical
from tailrace.chains.links import AnswerLinks, Links, answer_links
from tailrace.records import Closed, Endpoint, Json, Usage
from tailrace.store.envelope import join, split
from tailrace.store.layout import Taken, take
from tailrace.wire.dialect import Translation
from tailrace.wire.dialects import DIALECTS
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.exact import is_exact
from tailrace.wire.usage import finish_reason
from tailrace.writer.decode import CodingError, decode
from tailrace.writer.prepared import AnswerParts, ChoicePart
from tailrace.writer.request_parts import content
from tailrace.writer.text import MAX_CHARS, column_text

_EVENTS: Final = "text/event-stream"
_WITH_USAGE: Final = {"stream_options": {"include_usage": True}}
"""The provider told its counts, whether or not the client wished to hear them."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What an answer's bytes said."""

    answer: Json | None
    ended: bool  # it came to its own end
    lost: str | None  # why the bytes are needed beside it


def answer_parts(closed: Closed, wire: EndpointWire | None, asked: Json, links: Links) -> AnswerParts:
    """The parts of the answer to the request `asked`; with a `raw_reason` where they are not proven to rebuild it.

    `wire` None: the endpoint is not parsed.
    """
    if not closed.answer:
        return AnswerParts()
    try:
        body = decode(closed.answer, closed.end.content_encoding if closed.end else None)
    except CodingError as exc:
        return AnswerParts(raw_reason=f"not decoded: {exc}")
    translation = _translation(closed, wire)
    read = (
        _read(closed, body, wire) if translation is None else _read_translated(closed, body, wire, asked, translation)
    )
    if read.answer is None:
        return AnswerParts(raw_reason=read.lost or "nothing to rebuild")
    taken, envelope = take(closed.start.endpoint, read.answer)
    answer_id = _column_id(read.answer)
    shape, values = _stored(envelope, answer_id)
    served = read.answer.get("model") if type(read.answer) is dict else None
    return AnswerParts(
        envelope=content(shape, closed.start.project),
        values=values,
        id=answer_id,
        served_model=column_text(served) if type(served) is str else None,
        finish_reason=None if wire is None else column_text(wire.finish_reason(read.answer)),
        choices=_choices(taken, read.answer, closed.start.project, wire, links),
        usage=Usage() if wire is None else wire.usage(read.answer, read.ended),
        raw_reason=read.lost,
        translated=None if translation is None else _dialect(closed),
    )


def _dialect(closed: Closed) -> str:
    """The dialect of the provider that answered."""
    return closed.retries[-1].dialect if closed.retries else closed.start.dialect


def _translation(closed: Closed, wire: EndpointWire | None) -> Translation | None:
    dialect = DIALECTS.get(_dialect(closed))
    if dialect is None or wire is None or wire.endpoint in dialect.native:
        return None
    return dialect.translations.get(wire.endpoint)


def _read(closed: Closed, body: bytes, wire: EndpointWire | None) -> _Read:
    if _is_stream(closed, body):
        return _Read(None, ended=False, lost="a stream of events") if wire is None else _read_stream(body, wire)
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _Read(None, ended=False, lost="not JSON")
    return _Read(answer, ended=True, lost=None if is_exact(body, answer) else "not exactly representable")


def _read_translated(
    closed: Closed, body: bytes, wire: EndpointWire | None, asked: Json, translation: Translation
) -> _Read:
    """As the relay did it. The provider's bytes are kept in any case, so nothing is lost."""
    now_s = closed.start.at_us // 1_000_000
    status = closed.end.last.http_status if closed.end is not None and closed.end.last is not None else None
    if status is not None and status >= 400:
        return _Read(orjson.loads(translation.error(body, status)), ended=True, lost=None)
    if wire is not None and _is_stream(closed, body):
        asked = {**(asked if type(asked) is dict else {}), **_WITH_USAGE}
        translator = translation.stream(asked, now_s)
        read = _read_stream(translator.feed(body) + translator.finish(), wire)
        return _Read(read.answer, read.ended, lost=None)
    try:
        return _Read(translation.answer(orjson.loads(body), now_s), ended=True, lost=None)
    except orjson.JSONDecodeError:
        return _Read(None, ended=False, lost="not JSON")


def _is_stream(closed: Closed, body: bytes) -> bool:
    if closed.end is not None and closed.end.content_type is not None:
        return closed.end.content_type.strip().lower().startswith(_EVENTS)
    return closed.start.stream and body.lstrip()[:1] not in (b"{", b"[")


def _read_stream(body: bytes, wire: EndpointWire) -> _Read:
    if wire.fold is None:
        return _Read(None, ended=False, lost="a stream where none is known")
    folded = wire.fold(body)
    answer: dict[str, Json] | None = folded.answer
    if folded.error is not None:
        answer = {**(answer or {}), "error": folded.error}
    return _Read(answer, folded.terminal, lost=None if folded.lossless else folded.reason)


def _choices(
    taken: list[Taken], answer: Json, project: str, wire: EndpointWire | None, links: Links
) -> tuple[ChoicePart, ...]:
    said = {} if wire is None else dict(wire.answers_of(answer))
    return tuple(
        ChoicePart(
            choice.index,
            tuple(content(message, project) for message in choice.messages),
            _finish_reason(choice.index, answer, wire),
            _links(links, said.get(choice.index)),
        )
        for choice in taken
    )


def _links(links: Links, message: dict[str, Json] | None) -> AnswerLinks:
    return answer_links(links, {"role": "assistant"} if message is None else message)


def _finish_reason(index: int, answer: Json, wire: EndpointWire | None) -> str | None:
    if wire is None or wire.endpoint is not Endpoint.CHAT:
        return None if wire is None else column_text(wire.finish_reason(answer))
    return column_text(finish_reason({"choices": [answer["choices"][index]]}))


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
