"""One call as a scenario sees it: what was asked, over which wire, and the tools to answer it.

Owns the ordinary answer, as acts. Scenarios are functions of a `Call`; they live in `scenarios/`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate.acts import Act, Data, Fin, Headers, chunked, sized
from tailrace.simulate.answer import Answer, Asked, Stamp, at_least, limited
from tailrace.simulate.labelling.gold import Gold
from tailrace.simulate.wire import JSON_TYPE, Wire

_PLAIN_PIECES: Final = 8  # a plain body that is cut is sent in so many pieces


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `n` is the number in the model's name (`stall-after-3`: 3), 0 where its scenario takes none."""

    wire: Wire
    asked: Asked
    stamp: Stamp
    n: int
    attempt: Callable[[], int]
    """How often this caller has asked this model, from 1; counts on each use, so it is used once."""
    replay: Callable[[Asked], str]
    """The next turn of the dialogue that the question continues."""
    gold: Gold
    """What labelling models answer from."""


class Ends(Enum):
    """How a scenario's exchange ends. The contract test holds each scenario to it."""

    WELL = "well"  # the body ends as HTTP asks, whatever it says
    CUT = "cut"  # the connection is closed before the body's end
    RESET = "reset"  # the connection is reset before the body's end
    NEVER = "never"  # until the client leaves
    ILLEGAL = "illegal"  # in bytes that are no HTTP


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to answer. `least` and `most` bound the number in its name; `example` is one for tests.

    `wires` names those over which it exists; None: over each.
    """

    says: str
    play: Callable[[Call], Iterable[Act]]
    ends: Ends = Ends.WELL
    least: int = 0
    most: int = 0
    example: int = 3
    wires: frozenset[str] | None = None


def json_acts(status: int, shape: Json, headers: Headers = ()) -> tuple[Act, ...]:
    """A whole JSON answer."""
    body = orjson.dumps(shape)
    return (sized(status, (JSON_TYPE, *headers), len(body)), Data(body), Fin())


def request_id(call: Call) -> tuple[bytes, bytes]:
    """The header by which providers name a call."""
    return (call.wire.MANNER.request_id, b"req_sim%026d" % call.stamp.number)


def failed(call: Call, status: int, message: str, kind: str = "server_error", headers: Headers = ()) -> tuple[Act, ...]:
    """An error answer in the wire's shape."""
    return json_acts(status, call.wire.failure(message, kind=kind, status=status), (request_id(call), *headers))


def respond(call: Call, answer: Answer) -> Iterable[Act]:
    """`answer` as a provider in good health gives it."""
    answer = limited(call.asked, answer)
    if not call.asked.stream:
        return json_acts(200, call.wire.document(call.asked, answer, call.stamp), (request_id(call),))
    return stream(call, framed(call, answer))


def stream(call: Call, pieces: Iterable[bytes]) -> Iterator[Act]:
    """A whole stream of `pieces`."""
    yield stream_head(call)
    for piece in pieces:
        yield Data(piece)
    yield Fin()


def content_type(call: Call) -> tuple[bytes, bytes]:
    """The header that says what the answer is, in the form that was asked for."""
    return call.wire.MANNER.stream_type if call.asked.stream else JSON_TYPE


def stream_head(call: Call) -> Act:
    """The head of a streamed answer."""
    return chunked(200, (call.wire.MANNER.stream_type, (b"cache-control", b"no-cache"), request_id(call)))


def framed(call: Call, answer: Answer) -> Iterator[bytes]:
    """The events of a streamed answer as bytes, the terminal one included."""
    return encoded(call, call.wire.events(call.asked, answer, call.stamp))


def encoded(call: Call, events: Iterable[Json]) -> Iterator[bytes]:
    """`events` as bytes, and the terminal one where the wire has one."""
    for number, event in enumerate(events):
        yield call.wire.frame(event, number)
    if call.wire.TERMINAL:
        yield call.wire.TERMINAL


def opened(call: Call, answer: Answer) -> tuple[Act, list[bytes]]:
    """The head of `answer` and all its pieces, more than `call.n` of them: for scenarios that break off after n.

    A plain body is cut into even pieces, at least eight, and comes in chunks like a stream.
    """
    if call.asked.stream:
        pieces = list(framed(call, Answer(at_least(answer.text or "", call.n + 1))))
        return stream_head(call), pieces + pieces[-1:] * (call.n + 1 - len(pieces))  # a download has no words
    body = orjson.dumps(call.wire.document(call.asked, answer, call.stamp))
    if len(body) < call.n + 2:
        body = body.ljust(call.n + 2)  # white space after a document is still the document
    size = max(1, len(body) // max(_PLAIN_PIECES, call.n + 2))
    return chunked(200, (JSON_TYPE, request_id(call))), list(pieces_of(body, size))


def pieces_of(body: bytes, size: int) -> Iterator[bytes]:
    """`body` in pieces of `size` bytes, the last one shorter."""
    return (body[at : at + size] for at in range(0, len(body), size))
