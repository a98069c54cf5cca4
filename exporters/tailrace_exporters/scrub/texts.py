"""One text without its values: each is replaced where it stands, and nothing else changes. Pure."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

import orjson

from tailrace_exporters.scrub import kinds as places
from tailrace_exporters.scrub.escapes import readings
from tailrace_exporters.scrub.find import find
from tailrace_exporters.scrub.kinds import Found, Value

MOST_ROUNDS: Final = 4

Substitute = Callable[[Value, str], str]
"""What stands for a value: ASCII without quote, backslash or control character."""

Known = Collection[tuple[bytes, Value]]
"""Values that are replaced wherever they stand, found by pattern or not."""


class TangledError(Exception):
    """A text whose values cannot be replaced: more readings than eight, or each replacement makes a new value."""


class Hit(NamedTuple):
    """A value in a text, and what it reads there."""

    found: Found
    value: bytes


def hits_in(text: bytes, kinds: frozenset[Value], *, known: Known = ()) -> list[Hit]:
    """The values of some kinds in a text, in any of its readings, by where they stand in the text itself.

    Raises:
        TangledError: there are more readings than can be searched.
    """
    deeper = readings(text)
    if deeper is None:
        raise TangledError
    layers = [text, *(reading.text for reading in deeper)]
    hits: list[Hit] = []
    for depth in reversed(range(len(layers))):  # the deepest reading is what a person sees: there a value really begins
        layer = layers[depth]
        found = [Hit(each, layer[each.start : each.end]) for each in find(layer, kinds)]
        for hit in (*found, *known_in(layer, known)):
            start, stop = hit.found.start, hit.found.end
            if depth < len(deeper):
                start, stop = deeper[depth].outside(start, stop)
            value = layer[start:stop]
            for reading in reversed(deeper[:depth]):
                start, stop = reading.before(start), reading.before(stop)
            if start < stop:
                hits.append(Hit(Found(start, stop, hit.found.kind), value))
    return apart(hits)


def known_in(text: bytes, known: Known) -> list[Hit]:
    """Where values that are known stand in a text."""
    hits = []
    for value, kind in known:
        at = text.find(value)
        while at >= 0:
            hits.append(Hit(Found(at, at + len(value), kind), value))
            at = text.find(value, at + len(value))
    return hits


def apart(hits: Sequence[Hit]) -> list[Hit]:
    """Of hits that overlap, the first in the order given; in the order of the text."""
    if len(hits) < 2:
        return list(hits)
    by_place = {id(hit.found): hit for hit in hits}
    return [by_place[id(found)] for found in places.apart([hit.found for hit in hits])]


def scrubbed(
    text: bytes, substitute: Substitute, kinds: frozenset[Value], *, known: Known = (), skip: int = 0
) -> bytes:
    """The text with its values replaced, until there are none: so that scrubbing twice is scrubbing once.

    `skip`: bytes at its beginning that are only there to be seen.

    Raises:
        TangledError: as `hits_in`; or values are still found after some rounds.
    """
    for _ in range(MOST_ROUNDS):
        hits = [hit for hit in hits_in(text, kinds, known=known) if hit.found.start >= skip]
        if not hits:
            return text
        text = replaced(text, hits, substitute)
    raise TangledError


def replaced(text: bytes, hits: Sequence[Hit], substitute: Substitute) -> bytes:
    """The text with something else in the places of the hits, which are in its order."""
    parts: list[bytes] = []
    at = 0
    for hit in hits:
        start, stop = hit.found.start, hit.found.end
        instead = substitute(hit.found.kind, hit.value.decode(errors="replace"))
        if not instead.isdigit() and _is_number(text, start, stop):
            instead = (
                "0"  # a word would have to stand in quotes, and how many backslashes they need depends on the depth
            )
        parts += (text[at:start], instead.encode())
        at = stop
    return b"".join((*parts, text[at:]))


def _is_number(text: bytes, start: int, stop: int) -> bool:
    """Whether a value is a number of the JSON that the text is."""
    if not text[start:stop].isdigit():
        return False
    if text[:start].rstrip()[-1:] not in (b":", b"[", b",") or text[stop:].lstrip()[:1] not in (b",", b"]", b"}"):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
