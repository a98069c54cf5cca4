"""Scenarios in which an answer begins well and is broken off, or stops coming.

In a stream n counts events, the first one (the role) included; a plain body comes in at least eight even pieces.
"""

from collections.abc import Iterator
from dataclasses import replace

import orjson

from tailrace.simulate.acts import Act, Close, Data, Fin, Reset, Wait, WaitForever, sized
from tailrace.simulate.answer import echo
from tailrace.simulate.call import Call, opened, request_id
from tailrace.simulate.scenarios.answers import plain_echo
from tailrace.simulate.wire import JSON_TYPE


def stall(_call: Call) -> Iterator[Act]:
    """Silence, not even a head."""
    yield WaitForever()


def stall_after(call: Call) -> Iterator[Act]:
    """Silence after n pieces."""
    yield from _some(call)
    yield WaitForever()


def pings_after(call: Call) -> Iterator[Act]:
    """After n pieces nothing but a comment each second."""
    yield from _some(call)
    while True:
        yield Wait(1)
        yield Data(call.wire.MANNER.ping)


def cut_after(call: Call) -> Iterator[Act]:
    """After n pieces half of the next one, then FIN."""
    head, pieces = opened(call, echo(call.asked))
    yield head
    yield from map(Data, pieces[: call.n])
    half = pieces[call.n]
    yield Data(half[: -(-len(half) // 2)])
    yield Close()


def close_after(call: Call) -> Iterator[Act]:
    """FIN after n whole pieces."""
    yield from _some(call)
    yield Close()


def reset_after(call: Call) -> Iterator[Act]:
    """RST after n whole pieces."""
    yield from _some(call)
    yield Reset()


def end_after(call: Call) -> Iterator[Act]:
    """After n pieces the body ends as if that were all."""
    yield from _some(call)
    yield Fin()


def error_after(call: Call) -> Iterator[Act]:
    """After n events an error event, and the end. A plain call is echoed."""
    if not call.asked.stream:
        yield from plain_echo(call)
        return
    yield from _some(call)
    yield Data(call.wire.frame(call.wire.failure("The server had an error.", kind="server_error"), call.n))
    yield Fin()


def error_in_stream(call: Call) -> Iterator[Act]:
    """An error event instead of the third one. A plain call is echoed."""
    return error_after(replace(call, n=2))


def stall_before_end(call: Call) -> Iterator[Act]:
    """All but the last piece (the terminal event), then silence."""
    head, pieces = opened(call, echo(call.asked))
    yield head
    yield from map(Data, pieces[:-1])
    yield WaitForever()


def stall_after_end(call: Call) -> Iterator[Act]:
    """All pieces, the terminal event included, but the body never ends."""
    yield from _all(call)
    yield WaitForever()


def reset_after_end(call: Call) -> Iterator[Act]:
    """All pieces, the terminal event included, then RST instead of the body's end."""
    yield from _all(call)
    yield Reset()


def short_body(call: Call) -> Iterator[Act]:
    """A plain JSON body that ends, with the connection, before the length it was announced with."""
    body = orjson.dumps(call.wire.document(call.asked, echo(call.asked), call.stamp))
    yield sized(200, (JSON_TYPE, request_id(call)), len(body))
    yield Data(body[: len(body) // 2])
    yield Close()


def _some(call: Call) -> Iterator[Act]:
    """The head and the first n pieces."""
    head, pieces = opened(call, echo(call.asked))
    yield head
    yield from map(Data, pieces[: call.n])


def _all(call: Call) -> Iterator[Act]:
    """The head and all pieces."""
    head, pieces = opened(call, echo(call.asked))
    yield head
    yield from map(Data, pieces)
