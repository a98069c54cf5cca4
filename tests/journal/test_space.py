"""The accounting of space: whatever is asked for in whatever order, an END with a reservation always finds room."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tailrace.journal.space import Place, Space

RESERVE = 100


class Accounting(RuleBasedStateMachine):
    """Plays a relay: segments are added when they like, records placed, ENDs redeemed."""

    def __init__(self) -> None:
        super().__init__()
        self.space: Space[int] = Space(RESERVE)
        self.limits: dict[int, int] = {}
        self.used: dict[int, int] = {}
        self.left: set[int] = set()
        self.latest = 0

    def place(self, place: Place[int], size: int) -> None:
        for segment, used in place.left:
            assert used == self.used[segment], "the SEAL follows the last record"
            self.left.add(segment)
        assert place.segment not in self.left, "nothing is placed behind a SEAL"
        assert place.segment >= self.latest, "records of an owner come in the order of its segments"
        assert place.offset == self.used[place.segment], "records lie one after the other"
        self.latest = place.segment
        self.used[place.segment] += size
        assert self.used[place.segment] <= self.limits[place.segment], "a record lies in one segment"

    @rule(limit=st.integers(RESERVE, 1000))
    def add(self, limit: int) -> None:
        segment = len(self.limits) + 1
        self.limits[segment], self.used[segment] = limit, 0
        self.space.add(segment, limit)

    @rule(size=st.integers(1, 1200))
    def start(self, size: int) -> None:
        held = self.space.held
        place = self.space.hold(size)
        assert self.space.held == held + (place is not None)
        if place is not None:
            self.place(place, size)

    @rule(size=st.integers(1, 1200))
    def part(self, size: int) -> None:
        if (place := self.space.take(size)) is not None:
            self.place(place, size)

    @precondition(lambda self: self.space.held)
    @rule(size=st.integers(1, RESERVE))
    def end(self, size: int) -> None:
        place = self.space.redeem(size)
        assert place is not None, "an END that fits its reservation always finds room"
        self.place(place, size)

    @precondition(lambda self: self.space.held)
    @rule(size=st.integers(RESERVE + 1, 1200))
    def long_end(self, size: int) -> None:
        if (place := self.space.redeem(size)) is not None:
            self.place(place, size)

    @precondition(lambda self: self.space.held)
    @rule()
    def release(self) -> None:
        self.space.release()

    @invariant()
    def reservations_fit(self) -> None:
        assert self.space.free_slots >= 0
        assert self.space.largest <= max(self.limits.values(), default=0)


Accounting.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAccounting = Accounting.TestCase


@given(st.integers(1, 2000))
def test_where_there_is_no_segment_there_is_no_room(size: int) -> None:
    space: Space[int] = Space(RESERVE)
    assert space.hold(size) is None
    assert space.take(size) is None


def test_segments_taken_out_come_with_what_they_hold() -> None:
    space: Space[int] = Space(RESERVE)
    space.add(1, 500)
    space.add(2, 500)
    assert space.hold(120) is not None
    assert space.drain() == [(1, 120), (2, 0)]
    assert space.held == 0
    assert space.free_slots == 0
