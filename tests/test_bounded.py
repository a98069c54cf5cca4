"""A mapping that forgets the unused and nothing else."""

from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.bounded import Bounded

PUT, GET = True, False
STEPS = [(PUT, 0), (PUT, 1), (PUT, 2), (GET, 0), (PUT, 3), (GET, 0), (PUT, 4), (GET, 0)]
"""What is used stays, though what was put before it and after it goes."""


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 9)), max_size=60), st.integers(1, 4))
@example([(is_put, key, 1) for is_put, key in STEPS], 2)
def test_what_it_gives_is_the_last_put_and_the_used_stay(steps: list[tuple[bool, int, int]], limit: int) -> None:
    kept: Bounded[int, int] = Bounded(limit)
    truth: dict[int, int] = {}
    used: list[int] = []  # the newest last
    for is_put, key, value in steps:
        if is_put:
            kept.put(key, value)
            truth[key] = value
        elif (found := kept.get(key)) is not None:
            assert found == truth[key]
        else:
            assert key not in used[-limit:], "one of the last `limit` keys was forgotten"
            continue
        used = [one for one in used if one != key] + [key]
        assert len(kept._young) + len(kept._old) <= 2 * limit
    for key in used[-limit:]:
        assert kept.get(key) == truth[key]


def test_cleared_it_holds_nothing() -> None:
    kept: Bounded[str, int] = Bounded(2)
    for key in "abc":
        kept.put(key, 1)
    kept.clear()
    assert [kept.get(key) for key in "abc"] == [None, None, None]
