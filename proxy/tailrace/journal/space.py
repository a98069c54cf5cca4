"""Where in the segments the next record goes, and the promise that an END will find room. Pure accounting, no I/O.

A reservation is `reserve_bytes` kept for the END of one running completion. A record never straddles two segments, so
what counts is how many reservations fit into each of them: the invariant is

    sum over open segments of (free bytes // reserve_bytes)  >=  reservations held

A record outside a reservation is admitted only where the invariant holds after it; an END of at most `reserve_bytes`
takes its reservation's place and is always admitted (a segment it no longer fits into had no reservation left to give).
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(slots=True)
class _Room(Generic[S]):
    segment: S
    used: int
    limit: int  # bytes for records: the size without what the SEAL takes

    @property
    def free(self) -> int:
        return self.limit - self.used


@dataclass(frozen=True, slots=True)
class Place(Generic[S]):
    """Where a record goes. `left` are the segments to seal before it, each with the offset of its SEAL."""

    segment: S
    offset: int
    left: tuple[tuple[S, int], ...] = ()


class Space(Generic[S]):
    """The segments open for writing, oldest first, and the reservations held in them."""

    __slots__ = ("_held", "_reserve", "_rooms", "_spare_slots")

    def __init__(self, reserve_bytes: int) -> None:
        self._reserve = reserve_bytes
        self._rooms: deque[_Room[S]] = deque()
        self._held = 0
        self._spare_slots = 0  # of all segments behind the first

    @property
    def held(self) -> int:
        """Reservations held."""
        return self._held

    @property
    def free_slots(self) -> int:
        """How many more reservations could be made now."""
        first = self._rooms[0].free // self._reserve if self._rooms else 0
        return first + self._spare_slots - self._held

    @property
    def largest(self) -> int:
        """Free bytes of the emptiest open segment."""
        return max((room.free for room in self._rooms), default=0)

    def add(self, segment: S, limit: int) -> None:
        """One more segment, empty, with `limit` bytes for records."""
        if self._rooms:
            self._spare_slots += limit // self._reserve
        self._rooms.append(_Room(segment, 0, limit))

    def hold(self, size: int) -> Place[S] | None:
        """Place a START of `size` bytes and hold a reservation for its END; None where there is no room for both."""
        place = self._take(size, self._held + 1)
        if place is not None:
            self._held += 1
        return place

    def take(self, size: int) -> Place[S] | None:
        """Place a record without touching the reservations; None where there is no room beyond them."""
        return self._take(size, self._held)

    def redeem(self, size: int) -> Place[S] | None:
        """Place an END in exchange for its reservation; None where it is larger than that and finds no room."""
        place = self._take(size, self._held - 1)
        if place is not None:
            self._held -= 1
        return place

    def release(self) -> None:
        """Give a reservation back unused."""
        self._held -= 1

    def drain(self) -> list[tuple[S, int]]:
        """Take all segments out, each with the offset it was written up to; no reservation is held after it."""
        rooms = [(room.segment, room.used) for room in self._rooms]
        self._rooms.clear()
        self._held = self._spare_slots = 0
        return rooms

    def _take(self, size: int, held: int) -> Place[S] | None:
        rooms = self._rooms
        if rooms and size <= (free := rooms[0].free) and (free - size) // self._reserve + self._spare_slots >= held:
            offset = rooms[0].used
            rooms[0].used += size
            return Place(rooms[0].segment, offset)
        return self._take_later(size, held)

    def _take_later(self, size: int, held: int) -> Place[S] | None:
        """Place the record in the first spare segment that leaves enough behind it, giving up those before."""
        slots = self._spare_slots
        for skipped, room in enumerate(self._rooms):
            if skipped == 0:
                continue
            slots -= room.free // self._reserve
            if size <= room.free and (room.free - size) // self._reserve + slots >= held:
                left = tuple((gone.segment, gone.used) for gone in (self._rooms.popleft() for _ in range(skipped)))
                self._spare_slots = slots
                room.used = size
                return Place(room.segment, 0, left)
        return None
