"""When a chain is taken as over."""

import pytest

from tailrace.labeller.audits import _Chain

DAY_US = 24 * 3600 * 10**6
QUIET_US = 300 * 10**6
NOW_US = 100 * DAY_US


@pytest.mark.parametrize(
    ("started_ago_us", "last_ago_us", "goes_on"),
    [
        (QUIET_US, 0, True),
        (QUIET_US + 5, QUIET_US + 1, False),
        (DAY_US - 1, 10, True),
        (DAY_US + 1, 10, False),  # one that never ends does not keep all others waiting
    ],
)
def test_a_chain_is_waited_for_but_not_for_ever(started_ago_us: int, last_ago_us: int, goes_on: bool) -> None:
    chain = _Chain(1, b"k", NOW_US - started_ago_us, NOW_US - last_ago_us)
    assert chain.goes_on(NOW_US, QUIET_US) is goes_on
