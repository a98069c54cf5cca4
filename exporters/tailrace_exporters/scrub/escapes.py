r"""What a text says once its JSON escapes are read: a value may hide behind `\u0040`, or begin right after `\n`. Pure.

Text inside JSON inside a text has its escapes escaped again, so a text has several readings: itself, with its escapes
read, with the escapes that then appear read, and so on. A value found in any of them is replaced where it stands in the
text itself. What is put there has no quote, backslash or control character: JSON stays JSON at every depth.
"""

import re
from bisect import bisect_right
from typing import Final

MOST_READINGS: Final = 8

_ESCAPE: Final = re.compile(
    rb'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?:[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))'
)
_PLAIN: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Reading:
    """One reading of a text, and where its bytes stand in the reading before."""

    def __init__(self, before: bytes) -> None:
        """`before`: the text, or the reading of it whose escapes are to be read."""
        parts: list[bytes] = []
        self._starts: list[int] = []  # of escapes, in the reading before
        self._stops: list[int] = []
        self._ends: list[int] = []  # where what they stand for ends, here
        at = size = 0
        for match in _ESCAPE.finditer(before):
            start, stop = match.span()
            char = _char(match[0])
            parts += (before[at:start], char)
            size += start - at + len(char)
            at = stop
            self._starts.append(start)
            self._stops.append(stop)
            self._ends.append(size)
        parts.append(before[at:])
        self.text = b"".join(parts)

    @property
    def same(self) -> bool:
        """Whether there was no escape to read."""
        return not self._starts

    def outside(self, start: int, stop: int) -> tuple[int, int]:
        """A range of the reading before, without the halves of escapes at its ends; empty where nothing is left."""
        n = bisect_right(self._stops, start)
        if n < len(self._starts) and self._starts[n] < start:
            start = self._stops[n]
        n = bisect_right(self._stops, stop)
        if n < len(self._starts) and self._starts[n] < stop < self._stops[n]:
            stop = self._starts[n]
        return start, max(start, stop)

    def before(self, at: int) -> int:
        """Where, in the reading before, the byte that is `at` here stands."""
        n = bisect_right(self._ends, at)
        return at if not n else at - self._ends[n - 1] + self._stops[n - 1]


def readings(text: bytes) -> list[Reading] | None:
    """The readings beyond the text itself; None where there are more than eight."""
    found: list[Reading] = []
    while b"\\" in text:
        reading = Reading(text)
        if reading.same:
            break
        if len(found) == MOST_READINGS:
            return None
        found.append(reading)
        text = reading.text
    return found


def _char(escape: bytes) -> bytes:
    if escape[1:2] != b"u":
        return _PLAIN.get(escape[1:], escape[1:])
    units = bytes.fromhex(escape.replace(b"\\u", b"").decode())
    return units.decode("utf-16-be").encode()
