"""Which targets may be called now: those that failed in a row rest, each has so many places, and no more.

    closed ── `after` failures in a row ──▶ resting ── its time is over ──▶ half open: one call tries it
       ▲                                       ▲                                │              │
       │                                       └─────────── it fails ───────────┘              │
       └───────────────────────────────────────── any answer ──────────────────────────────────┘

A target is a provider and a model there, whatever alias led to it. State of one process, synchronous, with no clock of
its own: times are seconds on any clock that never goes back. Places are bounded by the calls in flight.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Final, Self

from tailrace.errors import CallError, Code, ProviderFailed
from tailrace.relay.routing import Route
from tailrace.settings import Cooldown

_MOST: Final = 4096
"""Failing targets that are remembered (clients can name models without end); the longest silent one is forgotten."""
_LONGEST: Final = 10
"""How many times `for_s` a provider's Retry-After may make of a rest."""

Key = tuple[str, str]


class Closed(Enum):
    """Why a target is not called now."""

    RESTING = auto()
    FULL = auto()


@dataclass(slots=True)
class _Trouble:
    """A target that failed lately."""

    in_a_row: int = 0
    until: float | None = None  # when its rest is over; None while it does not rest
    probe: "Place | None" = None  # the call that tries it


class Health:
    """The targets of one process."""

    def __init__(self) -> None:
        self._active: dict[Key, int] = {}
        self._trouble: OrderedDict[Key, _Trouble] = OrderedDict()

    def enter(self, route: Route, now: float, *, last_resort: bool = False) -> "Place | Closed":
        """A place for one call of `route`, which its holder gives back; or why there is none.

        `last_resort`: where no other target is left, a resting one is better than none. Its places are kept to.
        """
        key = (route.provider, route.model)
        active = self._active.get(key, 0)
        if route.max_concurrency is not None and active >= route.max_concurrency:
            return Closed.FULL
        place = Place(self, key)
        trouble = self._trouble.get(key)
        if trouble is not None and trouble.until is not None:
            half_open = now >= trouble.until and trouble.probe is None
            if half_open:
                trouble.probe = place
            elif not last_resort:
                return Closed.RESTING
        self._active[key] = active + 1
        return place

    def enter_first(self, targets: Sequence[Route], start: int, now: float, *, last_resort: bool) -> "Entered | Closed":
        """The first of `targets`, from number `start` on, that takes a call; else FULL if one is full, or RESTING.

        `last_resort`: where all rest, the first that has a place takes the call all the same. Meant for a call that has
        not been tried anywhere: a rest spares calls a wait, and is no reason to fail one.
        """
        closed = Closed.RESTING
        for forced in (False, True) if last_resort else (False,):
            for index in range(start, len(targets)):
                place = self.enter(targets[index], now, last_resort=forced)
                if isinstance(place, Place):
                    return Entered(index, place)
                if place is Closed.FULL:
                    closed = Closed.FULL
        return closed

    def is_resting(self, route: Route, now: float) -> bool:
        """Whether calls of `route` are turned away now for its failures."""
        trouble = self._trouble.get((route.provider, route.model))
        if trouble is None or trouble.until is None:
            return False
        return now < trouble.until or trouble.probe is not None

    def active(self, route: Route) -> int:
        """Calls that hold a place at `route` now."""
        return self._active.get((route.provider, route.model), 0)

    def _answered(self, key: Key) -> None:
        self._trouble.pop(key, None)

    def _failed(self, place: "Place", now: float, cooldown: Cooldown, at_least_s: float) -> bool:
        key = place.key
        trouble = self._trouble.setdefault(key, _Trouble())
        self._trouble.move_to_end(key)
        trouble.in_a_row += 1
        asked_s = min(at_least_s, _LONGEST * cooldown.for_s)
        begins = trouble.probe is place or (trouble.until is None and trouble.in_a_row >= cooldown.after)
        if begins:
            trouble.probe = None
            trouble.until = now + max(cooldown.for_s, asked_s)
        elif trouble.until is not None:
            # A call that began before the rest: it tells nothing new, but for how long the provider asks to be left.
            trouble.until = max(trouble.until, now + asked_s)
        if len(self._trouble) > _MOST:
            self._trouble.popitem(last=False)
        return begins

    def _leave(self, place: "Place") -> None:
        left = self._active[place.key] - 1
        if left:
            self._active[place.key] = left
        else:
            del self._active[place.key]
        trouble = self._trouble.get(place.key)
        if trouble is not None and trouble.probe is place:
            trouble.probe = None  # it ended without a verdict, its client left for instance: the next call tries


class Place:
    """One call's place at a target. A context manager: leaving it gives the place back, whatever happened inside.

    A verdict may come at any time before, the head of an answer being the best one; the last one stands.
    """

    __slots__ = ("_health", "_is_left", "key")

    def __init__(self, health: Health, key: Key) -> None:
        self.key = key
        self._health = health
        self._is_left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.leave()

    def answered(self) -> None:
        """The target answered, with whatever status that is not its failure."""
        self._health._answered(self.key)

    def failed(self, now: float, cooldown: Cooldown, at_least_s: float = 0.0) -> bool:
        """The target failed; `at_least_s` is its Retry-After. True: with this it begins to rest, or rests again."""
        return self._health._failed(self, now, cooldown, at_least_s)

    def leave(self) -> None:
        """Gives the place back; once."""
        if not self._is_left:
            self._is_left = True
            self._health._leave(self)


@dataclass(frozen=True, slots=True)
class Entered:
    """The first target that takes the call: its number among those of the plan, and the place."""

    index: int
    place: Place


def is_failure(error: CallError | None, status: int | None, *, callers_key: bool) -> bool:
    """Whether an attempt's outcome counts against its target.

    No connection, a clock that ran out, a broken answer, 408 and 5xx do; so does 429 under our own key, while a
    caller's own key that is at its limit says nothing about the others.
    """
    if error is not None:
        return isinstance(error, ProviderFailed) and error.code is not Code.PROVIDER_TOO_LARGE
    if status is None:
        return False
    return status >= 500 or status == 408 or (status == 429 and not callers_key)
