"""Scenarios that answer 200 with contents a careful reader has to doubt."""

import gzip as gzip_file
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate.acts import Act, Data, Fin, chunked, sized
from tailrace.simulate.answer import Answer, Counts, Reports, ToolCall, echo
from tailrace.simulate.call import Call, content_type, encoded, framed, json_acts, opened, request_id, respond, stream
from tailrace.simulate.wire import JSON_TYPE

CHOICES: Final = frozenset(("chat", "completions"))
"""The wires whose streams tell usage in an event of its own, behind those with choices."""
_MARK: Final = "MARKED"  # stands in an answer's text where its bytes are changed afterwards
_GZIP: Final = (b"content-encoding", b"gzip")
_INDICES: Final = frozenset(("index", "output_index"))
_MIB: Final = 2**20


def no_usage(call: Call) -> Iterable[Act]:
    """No token counts, though they are asked for."""
    return respond(call, replace(echo(call.asked), reports=Reports.NEVER))


def usage_twice(call: Call) -> Iterable[Act]:
    """Token counts twice: two usage events, or a member of that name twice."""
    if call.asked.stream and call.asked.stream_usage and call.wire.MANNER.name in CHOICES:
        return respond(call, replace(echo(call.asked), reports=Reports.TWICE))
    name = call.wire.MANNER.usage
    return _with_bytes(call, echo(call.asked), name, name + b"null," + name)


def usage_absurd(call: Call) -> Iterable[Act]:
    """Token counts that cannot be: 10^18, and negative."""
    return respond(call, replace(echo(call.asked), counts=Counts(10**18, -5, reasoning=10**18)))


def usage_with_finish(call: Call) -> Iterable[Act]:
    """Token counts on the last event with a choice, instead of an event of their own. A plain call is echoed."""
    if not call.asked.stream:
        return respond(call, echo(call.asked))
    asked = replace(call.asked, stream_usage=True)
    events = list(call.wire.events(asked, echo(asked), call.stamp))
    events[-2]["usage"] = events.pop()["usage"]
    return stream(call, encoded(call, events))


def invalid_json(call: Call) -> Iterable[Act]:
    """A body, or the third event of a stream, that is no JSON."""
    if call.asked.stream:
        pieces = list(framed(call, echo(call.asked)))
        broken = [piece.rstrip()[:-2] + b"\n\n" for piece in pieces[1:2]]
        return stream(call, [*pieces[:2], *broken, *pieces[2:]])
    return _body(call, orjson.dumps(call.wire.document(call.asked, echo(call.asked), call.stamp))[:-2])


def html(_call: Call) -> Iterable[Act]:
    """200 with a page for people."""
    body = b"<!doctype html><title>Sign in</title><p>Please sign in to the network.\n"
    return (sized(200, ((b"content-type", b"text/html; charset=utf-8"),), len(body)), Data(body), Fin())


def empty(call: Call) -> Iterable[Act]:
    """200 without a body."""
    return (sized(200, (content_type(call),), 0), Fin())


def not_utf8(call: Call) -> Iterable[Act]:
    """Two bytes in the text that are no UTF-8."""
    return _with_bytes(call, Answer(f"Bytes: {_MARK}"), _MARK.encode(), b"\xff\xfe")


def lone_surrogate(call: Call) -> Iterable[Act]:
    """Half of a surrogate pair in the text, escaped, which JSON allows."""
    return _with_bytes(call, Answer(f"Half a pair: {_MARK}"), _MARK.encode(), b"\\ud83d")


def nul(call: Call) -> Iterable[Act]:
    """U+0000 in the text, escaped."""
    return respond(call, Answer("Nothing: \0 was said."))


def big_integer(call: Call) -> Iterable[Act]:
    """An integer beyond 64 bits."""
    return _with_member(call, b'"big":36893488147419103233,')


def duplicate_keys(call: Call) -> Iterable[Act]:
    """A member twice, with two values."""
    return _with_member(call, call.wire.MANNER.member + b'"first",')


def deep(call: Call) -> Iterable[Act]:
    """A member n arrays deep."""
    return _with_member(call, b'"deep":' + b"[" * call.n + b"]" * call.n + b",")


def bad_index(call: Call) -> Iterable[Act]:
    """The index 7 where a choice, block or item has one, and no other. Seven were not asked for."""
    return _edited(call, echo(call.asked), lambda shape: _set(shape, _INDICES, 7))


def cut_arguments(call: Call) -> Iterable[Act]:
    """A tool call whose arguments stop in the middle, as when the tokens run out."""
    return respond(call, Answer(None, calls=(ToolCall("look_up", '{"query": "the mill", "lim'),), finish="length"))


def no_finish(call: Call) -> Iterable[Act]:
    """A terminal event or whole body, but never a finish_reason."""
    return _edited(call, echo(call.asked), lambda shape: _set(shape, frozenset((call.wire.MANNER.finish,)), None))


def obfuscation(call: Call) -> Iterable[Act]:
    """A stream whose events carry noise of no meaning. A plain call is echoed."""
    if not call.asked.stream:
        return respond(call, echo(call.asked))
    return _edited(call, echo(call.asked), _pad)


def filter_first(call: Call) -> Iterable[Act]:
    """An event without choices first, as Azure sends the verdict on the prompt. A plain call is echoed."""
    if not call.asked.stream:
        return respond(call, echo(call.asked))
    verdict = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    return stream(call, (call.wire.frame(verdict), *framed(call, echo(call.asked))))


def no_content_type(call: Call) -> Iterator[Act]:
    """A good answer that does not say what it is."""
    _, pieces = opened(call, echo(call.asked))
    yield chunked(200, (request_id(call),))
    yield from map(Data, pieces)
    yield Fin()


def gzip(call: Call) -> Iterator[Act]:
    """Compressed with gzip, whatever was asked for; each event of a stream can be read when it comes."""
    if not call.asked.stream:
        body = gzip_file.compress(orjson.dumps(call.wire.document(call.asked, echo(call.asked), call.stamp)), mtime=0)
        yield from (sized(200, (JSON_TYPE, _GZIP), len(body)), Data(body), Fin())
        return
    packer = zlib.compressobj(wbits=31)
    yield chunked(200, (content_type(call), _GZIP))
    for piece in framed(call, echo(call.asked)):
        yield Data(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH))
    yield Data(packer.flush())
    yield Fin()


def gzip_bomb(call: Call) -> Iterator[Act]:
    """n MiB of spaces before an empty object, compressed about a thousandfold."""
    packer = zlib.compressobj(wbits=31)
    yield chunked(200, (JSON_TYPE, _GZIP))
    for _ in range(call.n):
        if piece := packer.compress(b" " * _MIB):
            yield Data(piece)
    yield Data(packer.compress(b"{}") + packer.flush())
    yield Fin()


def _body(call: Call, body: bytes) -> Iterable[Act]:
    return (sized(200, (JSON_TYPE, request_id(call)), len(body)), Data(body), Fin())


def _with_bytes(call: Call, answer: Answer, old: bytes, new: bytes) -> Iterable[Act]:
    """`answer`, in its bytes each `old` replaced by `new`."""
    if call.asked.stream:
        return stream(call, (piece.replace(old, new) for piece in framed(call, answer)))
    whole = orjson.dumps(call.wire.document(call.asked, answer, call.stamp))
    return _body(call, whole.replace(old, new))


def _edited(call: Call, answer: Answer, edit: Callable[[Json], None]) -> Iterable[Act]:
    """`answer`, each of its JSON values changed by `edit`."""
    if not call.asked.stream:
        whole = call.wire.document(call.asked, answer, call.stamp)
        edit(whole)
        return json_acts(200, whole, (request_id(call),))
    events = list(call.wire.events(call.asked, answer, call.stamp))
    for event in events:
        edit(event)
    return stream(call, encoded(call, events))


def _with_member(call: Call, member: bytes) -> Iterable[Act]:
    """An echo with one more member in each document and event."""
    name = call.wire.MANNER.member
    return _with_bytes(call, echo(call.asked), name, member + name)


def _set(shape: Json, names: frozenset[str], value: Json) -> None:
    """Sets each member of those names, however deep, to `value`."""
    for name, inner in shape.items() if isinstance(shape, dict) else enumerate(shape):
        if name in names:
            shape[name] = value
        elif isinstance(inner, dict | list):
            _set(inner, names, value)


def _pad(shape: Json) -> None:
    """Adds noise to what is streamed, as providers do against listeners who count bytes."""
    if "delta" in shape or "choices" in shape:
        shape["obfuscation"] = "x7Kq"
