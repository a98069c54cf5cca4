"""Stamps only grow, and go on after the last one kept, whatever the wall clock does."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tailrace.clock import Clock, choose_anchor, steady_ns

NS = st.integers(min_value=0, max_value=2**62)


@given(readings=st.lists(NS, min_size=1))
def test_stamps_strictly_increase_even_where_the_clock_repeats_or_falls(readings: list[int]) -> None:
    left = iter(readings)
    clock = Clock(0, lambda: next(left))
    stamps = [clock.stamp() for _ in readings]
    assert all(later > earlier for earlier, later in pairwise(stamps))


@given(wall_ns=NS, steady_now_ns=NS, last_stamp=NS)
def test_a_new_start_goes_on_after_the_last_stamp(wall_ns: int, steady_now_ns: int, last_stamp: int) -> None:
    clock = Clock(choose_anchor(wall_ns, steady_now_ns, last_stamp), lambda: steady_now_ns)
    assert clock.stamp() > last_stamp
    assert clock.now_us() >= wall_ns // 1000


def test_time_is_the_walls_where_nothing_speaks_against_it() -> None:
    clock = Clock(choose_anchor(1_700_000_000_000_000_000, 5_000, 0), lambda: 5_000)
    assert clock.stamp() == 1_700_000_000_000_000_000
    assert clock.now_us() == 1_700_000_000_000_000


def test_the_steady_clock_is_steady() -> None:
    readings = [steady_ns() for _ in range(100)]
    assert readings == sorted(readings)
