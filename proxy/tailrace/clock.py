"""One time for all processes of a data folder: it never steps back, and it orders the records of all relay workers.

Owns how a stamp is made and how the supervisor chooses the anchor; reads no wall clock itself. A stamp is nanoseconds
since 1970 as the machine knew them when the supervisor started, carried on by a clock that cannot be set. If the wall
clock is set meanwhile, stamps are off by that step until the next start, and still in order.
"""

import time
from collections.abc import Callable
from typing import Final

_STEADY: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_ns() -> int:
    """Nanoseconds since the machine started, the same for all its processes.

    CLOCK_BOOTTIME where there is one (Linux): CLOCK_MONOTONIC stands still there while a laptop sleeps, and would leave
    all times behind by the night. macOS has only the latter, which goes on.
    """
    return time.clock_gettime_ns(_STEADY)


def choose_anchor(wall_ns: int, steady_now_ns: int, last_stamp: int) -> int:
    """The anchor for this start: so that time is the wall's, and yet later than `last_stamp`, the greatest one kept."""
    return max(wall_ns, last_stamp + 1) - steady_now_ns


class Clock:
    """Stamps and times from one anchor. `read` is the steady clock, in nanoseconds."""

    __slots__ = ("_last", "anchor_ns", "read")

    def __init__(self, anchor_ns: int, read: Callable[[], int] = steady_ns) -> None:
        self.anchor_ns = anchor_ns
        self.read = read
        self._last = 0

    def stamp(self) -> int:
        """Nanoseconds since 1970; each greater than all before it in this process. Not for use from several threads."""
        now = self.anchor_ns + self.read()
        self._last = now if now > self._last else self._last + 1
        return self._last

    def now_us(self) -> int:
        """Microseconds since 1970; may repeat, never falls."""
        return (self.anchor_ns + self.read()) // 1000
