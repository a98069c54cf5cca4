"""Shadows: the share that was asked for, each by itself, the same for the same completion."""

from math import sqrt

from hypothesis import given
from hypothesis import strategies as st

from tailrace.relay.routing import Copied, Plan, Route
from tailrace.relay.shadowing import shadows
from tailrace.settings import Cooldown, Retry, Timeouts


def route(name: str) -> Route:
    return Route("acme", name, Timeouts(), drain=False)


def plan(**shares: float) -> Plan:
    copied = tuple(Copied(route(name), share) for name, share in shares.items())
    return Plan((route("first"),), Retry(), Cooldown(), alias="bot", shadows=copied)


@given(st.binary(max_size=20))
def test_all_or_none_means_so_and_dice_decide_alike(dice: bytes) -> None:
    assert shadows(plan(a=1.0, b=0.0, c=1.0), dice) == (route("a"), route("c"))
    assert shadows(plan(a=0.5, b=0.5), dice) == shadows(plan(a=0.5, b=0.5), dice)
    assert shadows(plan(), dice) == ()


@given(st.binary(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds(dice: bytes, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert set(shadows(plan(a=less), dice)) <= set(shadows(plan(a=more), dice))


def test_the_share_is_kept_and_shadows_draw_by_themselves() -> None:
    drawn = [shadows(plan(a=0.3, b=0.3), b"%d" % n) for n in range(10_000)]
    for name in ("a", "b"):
        assert abs(sum(route(name) in each for each in drawn) - 3000) <= 5 * sqrt(10_000 * 0.3 * 0.7)
    assert abs(sum(len(each) == 2 for each in drawn) - 900) <= 5 * sqrt(10_000 * 0.09 * 0.91)


def test_the_target_that_answers_is_not_copied_to() -> None:
    assert shadows(plan(first=1.0, a=1.0), b"") == (route("a"),)
