"""From what a model said to a label, in rungs; what no rung holds is no label. Pure.

    exact ▸ the same but for case and punctuation ▸ the only label that a short answer names ▸ the only one close to it

Then the caller asks once more (`tasks/build.corrected`), and then the label is `none` and the error says why. A rung
that fits two labels fits none.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final


class Rung(StrEnum):
    """How a label was recognised."""

    EXACT = "exact"
    FOLDED = "folded"
    INCLUDED = "included"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Placed:
    """A label of the list, and how it was recognised."""

    label: str
    rung: Rung


_MOST_CHARS: Final = 400
_MOST_WORDS: Final = 12
"""A longer answer is no label with words around it, but something that the model has to say."""

_CLOSE: Final = 0.85
_APART: Final = 0.05
_LEAST_CHARS: Final = 4
_NOT_WORDS: Final = re.compile(r"[\W_]+")
_NAME: Final = re.compile(r"[\w\-]+")
_DENIALS: Final = frozenset(("not", "no", "never", "neither", "nor", "isn", "doesn", "don", "cannot", "nicht", "kein"))


def place(said: str, labels: Collection[str]) -> Placed | None:
    """The label that `said` means; None where it is none, or could be two."""
    if said in labels:
        return Placed(said, Rung.EXACT)
    if len(said) > _MOST_CHARS:
        return None
    words = _words(said)
    if not words:
        return None
    known = {label: _words(label) for label in labels}
    same = [label for label, parts in known.items() if parts == words]
    if same:
        return Placed(same[0], Rung.FOLDED) if len(same) == 1 else None
    if (label := _included(said, words, known)) is not None:
        return Placed(label, Rung.INCLUDED)
    if (label := _close(" ".join(words), known)) is not None:
        return Placed(label, Rung.CLOSE)
    return None


def _words(text: str) -> tuple[str, ...]:
    return tuple(_NOT_WORDS.sub(" ", text.casefold()).split())


def _included(said: str, words: tuple[str, ...], known: dict[str, tuple[str, ...]]) -> str | None:
    """The only label whose words stand in a row in `words`; one inside another's words does not count, nor one that is
    a part of a longer name: `debit_other_request` is no `debit`."""
    if len(words) > _MOST_WORDS:
        return None
    borders = set(accumulate((len(_words(name)) for name in _NAME.findall(said)), initial=0))
    places: dict[str, set[int]] = {}
    for label, parts in known.items():
        for at in range(len(words) - len(parts) + 1) if parts else ():
            if words[at : at + len(parts)] == parts and {at, at + len(parts)} <= borders:
                places.setdefault(label, set()).update(range(at, at + len(parts)))
    widest = [label for label, at in places.items() if not any(at < other for other in places.values())]
    if len(widest) != 1:
        return None
    denied = any(word in _DENIALS for at, word in enumerate(words) if at not in places[widest[0]])
    return None if denied else widest[0]


def _close(said: str, known: dict[str, tuple[str, ...]]) -> str | None:
    """The only label that differs from `said` by a slip. The first letter must be right: `unconfirmed` is no slip."""
    if len(said) < _LEAST_CHARS:
        return None
    matcher = difflib.SequenceMatcher(None, "", said, autojunk=False)
    ratios = []
    for label, parts in known.items():
        matcher.set_seq1(" ".join(parts))
        # The first two are cheap bounds of the third.
        if parts and parts[0][0] == said[0] and matcher.real_quick_ratio() >= _CLOSE - _APART <= matcher.quick_ratio():
            ratios.append((matcher.ratio(), label))
    ratios.sort(reverse=True)
    if not ratios or ratios[0][0] < _CLOSE:
        return None
    alone = len(ratios) == 1 or ratios[1][0] <= ratios[0][0] - _APART
    return ratios[0][1] if alone else None
