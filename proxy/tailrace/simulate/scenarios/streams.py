"""Scenarios that write a good stream in an unusual way: line ends, fields, pieces, pace, ends.

Each event is an echo's. What needs events leaves a plain call alone: it is echoed.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

import orjson

from tailrace.simulate.acts import Act, Data, Fin, Wait
from tailrace.simulate.answer import Answer, echo
from tailrace.simulate.call import Call, framed, pieces_of, respond, stream, stream_head
from tailrace.simulate.scenarios.answers import plain_echo

Play = Callable[[Call], Iterable[Act]]
Rewrite = Callable[[list[bytes], bytes], Iterable[bytes]]

_WIDE: Final = "Größe, 水車, 🌊💧"  # two, three and four bytes a character


def rewritten(rewrite: Rewrite) -> Play:
    """A scenario whose stream is `rewrite(events, terminal event)`."""

    def play(call: Call) -> Iterable[Act]:
        if not call.asked.stream:
            return plain_echo(call)
        *events, terminal = framed(call, echo(call.asked))
        return stream(call, (piece for piece in rewrite(events, terminal) if piece))

    return play


def crlf(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """Lines end with CR LF."""
    return (piece.replace(b"\n", b"\r\n") for piece in (*events, terminal))


def cr(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """Lines end with CR alone."""
    return (piece.replace(b"\n", b"\r") for piece in (*events, terminal))


def mixed_ends(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """Lines end with LF, CR LF and CR by turns."""
    ends = (b"\n", b"\r\n", b"\r")
    return (piece.replace(b"\n", ends[i % 3]) for i, piece in enumerate((*events, terminal)))


def bom(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """A byte order mark before the first event."""
    return (b"\xef\xbb\xbf", *events, terminal)


def multi_line_data(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """JSON over many `data:` lines."""
    for event in events:
        yield b"".join(_spread(line) for line in event.splitlines(keepends=True))
    yield terminal


def _spread(line: bytes) -> bytes:
    """A `data:` line of JSON as several; any other as it is."""
    if not line.startswith(b"data: {"):
        return line
    pretty = orjson.dumps(orjson.loads(line[6:]), option=orjson.OPT_INDENT_2)
    return b"".join(b"data: %b\n" % part for part in pretty.split(b"\n"))


def fields(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """`id`, `event`, `retry`, an unknown field and a comment beside the data."""
    for number, event in enumerate(events):
        yield b": a comment\nid: %d\nretry: 3000\nevent: message\nfoo: bar\n%b" % (number, event)
    yield terminal


def no_space(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """`data:` without the space after it."""
    return (piece.replace(b"data: ", b"data:", 1) for piece in (*events, terminal))


def empty_data(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """Events with empty data, and blank lines, between the others."""
    return (*chain.from_iterable((event, b"data:\n\n", b"\n\n") for event in events), terminal)


def split_events(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """Each event in two pieces, `da` and the rest."""
    return chain.from_iterable((piece[:2], piece[2:]) for piece in (*events, terminal))


def one_piece(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """The whole stream in one piece."""
    return (b"".join((*events, terminal)),)


def no_done(events: list[bytes], _terminal: bytes) -> Iterable[bytes]:
    """No terminal event."""
    return events


def two_dones(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """The terminal event twice."""
    return (*events, terminal, terminal)


def after_done(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """One more event after the terminal one."""
    return (*events, terminal, *events[1:2])


def no_last_newline(events: list[bytes], terminal: bytes) -> Iterable[bytes]:
    """The terminal event without the blank line that would dispatch it."""
    return (*events, terminal.rstrip(b"\n"))


def error_event(call: Call) -> Iterable[Act]:
    """An event named `error` after the first two, and the end. A plain call is echoed."""
    if not call.asked.stream:
        return plain_echo(call)
    shape = call.wire.failure("Overloaded", kind="overloaded_error", status=529)
    event = call.wire.frame(shape, 2)
    named = event if event.startswith(b"event: ") else b"event: error\n" + event
    return stream(call, [*list(framed(call, echo(call.asked)))[:2], named])


def pings_first(call: Call) -> Iterator[Act]:
    """n comments, one a second, before the first event of an echo. A plain call waits as long."""
    if not call.asked.stream:
        yield Wait(call.n)
        yield from plain_echo(call)
        return
    yield stream_head(call)
    for _ in range(call.n):
        yield Data(call.wire.MANNER.ping)
        yield Wait(1)
    yield from map(Data, framed(call, echo(call.asked)))
    yield Fin()


def pings_only(call: Call) -> Iterator[Act]:
    """A comment each second and nothing else."""
    yield stream_head(call)
    while True:
        yield Data(call.wire.MANNER.ping)
        yield Wait(1)


def drip(call: Call) -> Iterator[Act]:
    """One byte a piece, n milliseconds before each."""
    for act in _in_pieces(plain_echo(call), 1):
        if call.n and isinstance(act, Data):
            yield Wait(call.n / 1000)
        yield act


def split_utf8(call: Call) -> Iterable[Act]:
    """Characters of two to four bytes, each split between pieces."""
    return _in_pieces(respond(call, Answer(f"{call.asked.last_user_text} {_WIDE}")), 1)


def long_line(call: Call) -> Iterable[Act]:
    """A text of n KiB without a space, so in one event, in pieces of 16 KiB."""
    return _in_pieces(respond(call, Answer("x" * (call.n * 1024))), 16_384)


def _in_pieces(acts: Iterable[Act], size: int) -> Iterator[Act]:
    """`acts`, each piece of data cut into pieces of `size` bytes."""
    for act in acts:
        if isinstance(act, Data):
            yield from map(Data, pieces_of(act.data, size))
        else:
            yield act
