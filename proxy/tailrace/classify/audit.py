"""Which turns the model labels only to judge the other sources by: one turn of a random share of the chains. Pure.

The dice are the chain's id and the classifier's version, so that the draw is the same after a restart, and nobody can
steer it by what they say. Turns of one chain are not independent: hence one each.
"""

from hashlib import blake2b
from typing import Final

_BITS: Final = 53  # what a double holds


def is_audited(chain: bytes, version: str, share: float) -> bool:
    """Whether a chain is drawn, `share` of them being."""
    return _draw(b"chain", chain, version) < share


def place(turn: bytes, version: str) -> float:
    """A turn's place among those of its chain, from 0 to 1: the audited one is the first that can be labelled."""
    return _draw(b"turn", turn, version)


def _draw(what: bytes, chain: bytes, version: str) -> float:
    """A number from 0 to 1, 1 excluded."""
    digest = blake2b(chain, key=version.encode()[:64], person=what, digest_size=8).digest()
    return float((int.from_bytes(digest, "big") >> (64 - _BITS)) / 2**_BITS)
