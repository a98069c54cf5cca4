"""Audits: the share is kept, each turn is as likely, and the draw never moves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.audit import audited_turn, is_audited

CHAINS = [n.to_bytes(16, "big") for n in range(20_000)]


def test_the_share_is_kept() -> None:
    drawn = sum(is_audited(chain, "v1", 0.05) for chain in CHAINS)
    assert 900 < drawn < 1100  # 3 standard deviations are 92
    assert not any(is_audited(chain, "v1", 0.0) for chain in CHAINS[:500])
    assert all(is_audited(chain, "v1", 1.0) for chain in CHAINS[:500])


def test_each_turn_is_as_likely_and_drawn_apart_from_the_chain() -> None:
    among = [chain for chain in CHAINS if is_audited(chain, "v1", 0.2)]
    turns = Counter(audited_turn(chain, "v1", 4) for chain in among)
    assert sorted(turns) == [0, 1, 2, 3]
    assert max(turns.values()) - min(turns.values()) < 200  # of about 1,000 each


def test_another_version_draws_anew() -> None:
    both = sum(is_audited(chain, "v1", 0.1) and is_audited(chain, "v2", 0.1) for chain in CHAINS)
    assert 130 < both < 270


@given(st.binary(min_size=1, max_size=64), st.text(max_size=100), st.integers(1, 10_000))
def test_the_turn_is_one_of_the_chains(chain: bytes, version: str, turns: int) -> None:
    assert 0 <= audited_turn(chain, version, turns) < turns
    assert audited_turn(chain, version, turns) == audited_turn(chain, version, turns)
