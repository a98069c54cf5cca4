"""Audits: the share is kept, each turn is as likely, and the draw never moves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.audit import is_audited, place

CHAINS = [n.to_bytes(16, "big") for n in range(20_000)]


def test_the_share_is_kept() -> None:
    drawn = sum(is_audited(chain, "v1", 0.05) for chain in CHAINS)
    assert 900 < drawn < 1100  # 3 standard deviations are 92
    assert not any(is_audited(chain, "v1", 0.0) for chain in CHAINS[:500])
    assert all(is_audited(chain, "v1", 1.0) for chain in CHAINS[:500])


def test_each_turn_is_as_likely_and_drawn_apart_from_the_chain() -> None:
    among = [chain for chain in CHAINS if is_audited(chain, "v1", 0.2)]
    turns = Counter(min(range(4), key=lambda turn: place(chain + bytes([turn]), "v1")) for chain in among)
    assert sorted(turns) == [0, 1, 2, 3]
    assert max(turns.values()) - min(turns.values()) < 200  # of about 1,000 each


def test_another_version_draws_anew() -> None:
    both = sum(is_audited(chain, "v1", 0.1) and is_audited(chain, "v2", 0.1) for chain in CHAINS)
    assert 130 < both < 270


@given(st.binary(max_size=64), st.text(max_size=100))
def test_the_draw_stands(turn: bytes, version: str) -> None:
    assert 0 <= place(turn, version) == place(turn, version) < 1
