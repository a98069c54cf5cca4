"""Other words in some texts of a request's messages; every other byte of the body stays. Pure.

A place is found by reading the tokens of `messages` (see `splice` for how that key is proven), and proven by parsing
the edited body: it must say what was wanted, and nothing else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.templates.template import is_text
from tailrace.wire.exact import is_exact
from tailrace.wire.splice import MAX_REWRITTEN_BYTES, prove

_MESSAGES: Final = re.compile(rb'("messages")[ \t\r\n]*:[ \t\r\n]*(\[)')
_TOKEN: Final = re.compile(rb'"[^"\\]{0,99}+"|["\[\]{}]|[^\[\]{}",: \t\r\n]++')
"""A lone quote begins a string that is long, or has escapes: its end is found quicker by other means."""
_MAX_TOKENS: Final = 50_000

_QUOTE, _BACKSLASH = b'"\\'
_OPENING: Final = b"[{"
_CLOSING: Final = b"]}"

_Cut = tuple[int, int, bytes]
"""What stands from one byte to another gives way to other bytes."""


def retold(
    body: bytes, parsed: dict[str, Any], edited: Sequence[Json], edits: Mapping[int, Sequence[str | None]]
) -> bytes | None:
    """`body`, which `parsed` is of, with `edited` as its messages.

    `edits` has, by index of the message, what its texts become; None: the part goes, with the last one the message.
    Returns None where the places cannot be proven, and the body cannot be written anew without a change to the rest.
    """
    wanted = parsed | {"messages": edited}
    place = prove(body, "messages", _MESSAGES)
    if place is not None:
        shorter = _cut(body, place.start(2), parsed["messages"], edits)
        if shorter is not None and _says(shorter, wanted):
            return shorter
    if len(body) <= MAX_REWRITTEN_BYTES and is_exact(body, parsed):
        return orjson.dumps(wanted)
    return None


def _says(body: bytes, wanted: dict[str, Any]) -> bool:
    try:
        return bool(orjson.loads(body) == wanted)
    except orjson.JSONDecodeError:
        return False


def _cut(body: bytes, begin: int, messages: Sequence[Json], edits: Mapping[int, Sequence[str | None]]) -> bytes | None:
    try:
        cuts = sorted(_cuts(_Tokens(body, begin), messages, edits))
    except LookupError:  # too many tokens, or a key that is spelt with escapes
        return None
    made: list[bytes] = []
    at = 0
    for start, end, instead in cuts:
        made += (body[at:start], instead)
        at = end
    return b"".join((*made, body[at:]))


def _cuts(tokens: "_Tokens", messages: Sequence[Json], edits: Mapping[int, Sequence[str | None]]) -> Iterator[_Cut]:
    places = tokens.elements(0)
    gone = []
    for index, texts in edits.items():
        cuts = _in_message(tokens, places[index], messages[index]["content"], texts)
        if cuts is None:
            gone.append(index)
        else:
            yield from cuts
    yield from tokens.without(places, gone)


def _in_message(tokens: "_Tokens", at: int, content: Json, texts: Sequence[str | None]) -> list[_Cut] | None:
    """The cuts in the message at a token; None where it goes."""
    place = tokens.member(at, b'"content"')
    if isinstance(content, str):
        return None if texts[0] is None else [tokens.instead(place, texts[0])]
    places = tokens.elements(place)
    rest = iter(texts)
    gone, cuts = [], []
    for n, part in enumerate(content):
        if is_text(part):
            text = next(rest)
            if text is None:
                gone.append(n)
            elif text != part["text"]:
                cuts.append(tokens.instead(tokens.member(places[n], b'"text"'), text))
    return None if len(gone) == len(places) else [*cuts, *tokens.without(places, gone)]


def _spans(body: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Where the tokens of a body are, from `at` on."""
    while at < len(body):
        for token in _TOKEN.finditer(body, at):
            begin, at = token.span()
            if at == begin + 1 and body[begin] == _QUOTE:
                at = _string_end(body, at)
                yield begin, at
                break
            yield begin, at
        else:
            return


def _string_end(body: bytes, at: int) -> int:
    """Behind the quote that ends the string whose first byte is at `at`."""
    while True:
        at = body.index(b'"', at) + 1
        slashes = at - 2
        while body[slashes] == _BACKSLASH:
            slashes -= 1
        if (at - slashes) % 2 == 0:
            return at


class _Tokens:
    """The tokens of one array of a body, without the marks between them. Raises LookupError for what is not found."""

    def __init__(self, body: bytes, begin: int) -> None:
        """The array begins at `begin`."""
        self._body = body
        self._spans: list[tuple[int, int]] = []
        self._closing: dict[int, int] = {}  # by the token that opens, the one that closes
        opened: list[int] = []
        for span in islice(_spans(body, begin), _MAX_TOKENS):
            self._spans.append(span)
            mark = body[span[0]]
            if mark in _OPENING:
                opened.append(len(self._spans) - 1)
            elif mark in _CLOSING:
                self._closing[opened.pop()] = len(self._spans) - 1
                if not opened:
                    return

    def elements(self, at: int) -> list[int]:
        """Where each element of the array at a token begins."""
        found, next_ = [], at + 1
        while next_ != self._closing[at]:
            found.append(next_)
            next_ = self._closing.get(next_, next_) + 1
        return found

    def member(self, at: int, key: bytes) -> int:
        """Where the value of `key` (its bytes, with quotes) begins in the object at a token."""
        found, next_ = None, at + 1
        while next_ != self._closing[at]:
            begin, end = self._spans[next_]
            if self._body[begin:end] == key:
                found = next_ + 1
            next_ = self._closing.get(next_ + 1, next_ + 1) + 1
        if found is None:
            raise LookupError(key)
        return found

    def instead(self, at: int, text: str) -> _Cut:
        """`text` in place of the string at a token."""
        return (*self._spans[at], orjson.dumps(text))

    def without(self, places: Sequence[int], gone: Sequence[int]) -> Iterator[_Cut]:
        """An array without some of its elements: each goes with what stands before the next; the last, with what stands
        behind the last that stays."""
        lost = set(gone)
        last = max(n for n in range(len(places)) if n not in lost)
        for n in gone:
            if n < last:
                yield self._spans[places[n]][0], self._spans[places[n + 1]][0], b""
        if last < len(places) - 1:
            yield self._end(places[last]), self._end(places[-1]), b""

    def _end(self, at: int) -> int:
        return self._spans[self._closing.get(at, at)][1]
