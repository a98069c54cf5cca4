"""A text in pieces that templates are made of: words, spaces, marks. Pure.

The pieces joined are the text. Scripts that put no space between words go character by character.
"""

import re
from collections.abc import Iterable
from typing import Final

_PIECE: Final = re.compile(r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0010ffff]+|.", re.DOTALL)
_STRONG: Final = frozenset("\n\t|→⇒()[]{}<>（）「」【】")


def pieces(text: str) -> list[str]:
    """The pieces of `text`."""
    return _PIECE.findall(text)


def weight(run: Iterable[str]) -> int:
    """How surely a run of pieces is no chance: a word or a mark is 1, a line's end or a bracket 2, a space nothing."""
    return sum(2 if not _STRONG.isdisjoint(piece) else 0 if piece.isspace() else 1 for piece in run)
