"""Some of the openings of a log: each one that is unlike the others has the same chance, however often it came. Pure.

Those with the smallest hashes stay, so that neither the order of the log nor a second run changes which ones do.
"""

import heapq
from hashlib import blake2b
from typing import Final

import orjson

from tailrace_exporters.templates.opening import Opening

MOST_OPENINGS: Final = 8_000
MOST_CHARS: Final = 2**24
"""Of all of them together."""
MAX_OPENING_CHARS: Final = 2**16
"""A longer one teaches nothing: it is most likely a document."""


class Sample:
    """Takes openings, keeps few."""

    def __init__(self) -> None:
        self._kept: dict[int, Opening] = {}
        self._heap: list[int] = []  # the largest first
        self._chars = 0

    def add(self, opening: Opening) -> None:
        """One more."""
        if opening.chars > MAX_OPENING_CHARS:
            return
        try:
            content = orjson.dumps([opening.roles, opening.texts, opening.beside])
        except TypeError:  # half a surrogate pair
            return
        lot = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
        if lot in self._kept or (self._is_full and lot > -self._heap[0]):
            return
        self._kept[lot] = opening
        self._chars += opening.chars
        heapq.heappush(self._heap, -lot)
        while len(self._kept) > MOST_OPENINGS or self._chars > MOST_CHARS:
            self._chars -= self._kept.pop(-heapq.heappop(self._heap)).chars

    @property
    def _is_full(self) -> bool:
        return len(self._kept) >= MOST_OPENINGS or self._chars >= MOST_CHARS - MAX_OPENING_CHARS

    def openings(self) -> list[Opening]:
        """Those that stayed, in the order of their hashes."""
        return [self._kept[lot] for lot in sorted(self._kept)]
