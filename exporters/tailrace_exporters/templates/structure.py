"""Which of many texts share text of their own, among texts that may have nothing in common. Pure.

Of each text its pairs of pieces are looked at. Pairs that stand in exactly the same texts belong together: the static
text of a template does, words of a language hardly ever. A group is taken for one where what it shares is long, or
where it is many; both count, length twice, since chance falls with each further piece. And a template has its place:
its text stands at the beginning or the end, and nowhere else. A passage that many documents quote stands anywhere.

Linear in pieces but for one sort; texts count once, however often they came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_TEXTS: Final = 8
"""Fewer texts that share something are not told from chance."""
_LEAST_PIECES: Final = 3
_LEAST_WORTH: Final = 2.0
"""Pieces shared, squared, times the share of the texts: 3 pieces in a quarter of them, 15 in a hundredth."""
_CORE: Final = 0.95
_MOST_TRIED: Final = 300
_BEGIN, _END = 0, 1
_LEFT: Final = 0.5
"""So many of the texts that share something must still be in no group."""
_LEFT_ANYWHERE: Final = 0.95
_LEAST_ANYWHERE: Final = 20
_SIZE: Final = 2
_MOST_PIECES: Final = 2**31
_SEED: Final = 5

_Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """Texts, by index, that share so many pieces."""

    texts: tuple[int, ...]
    pieces: int

    @property
    def worth(self) -> int:
        """How many pieces need not be said again and again."""
        return self.pieces * len(self.texts)


def groups(texts: Sequence[Sequence[str]], *, is_whole: bool) -> list[Group]:
    """Groups of `texts`, each a list of its pieces without spaces; no two have a text in common.

    `is_whole`: they are whole texts, not what stands in a gap of a template. Only then, and where no group at an end
    has any of them, can texts share what stands anywhere.
    """
    if len(texts) < LEAST_TEXTS:
        return []
    if not any(texts):
        return []
    runs = _Runs(texts)
    left = np.ones(len(texts), dtype=bool)
    found: list[Group] = []
    for at_end in (True, False) if is_whole else (True,):
        least, share = (LEAST_TEXTS, _LEFT) if at_end else (_LEAST_ANYWHERE, _LEFT_ANYWHERE)
        for members in runs.candidates():
            stay = members[left[members]]
            if len(stay) < least or len(stay) < share * len(members):
                continue
            pieces = runs.core(stay, at_end=at_end)
            if pieces >= _LEAST_PIECES and pieces * pieces * len(stay) >= _LEAST_WORTH * len(texts):
                found.append(Group(tuple(stay.tolist()), pieces))
                left[stay] = False
    return found


class _Runs:
    """The pairs that at least `LEAST_TEXTS` texts have, and which have them."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._of_text = [*_numbered(texts)]
        run = np.concatenate([np.unique(runs) for runs in self._of_text])
        text = np.repeat(np.arange(len(texts)), [len(np.unique(runs)) for runs in self._of_text])
        order = np.argsort(run, kind="stable")
        run, text = run[order], text[order]
        starts = np.flatnonzero(np.concatenate([[True], run[1:] != run[:-1]]))
        counts = np.diff(np.append(starts, len(run)))
        often = counts >= LEAST_TEXTS
        self._names = run[starts][often]  # sorted
        self._counts = counts[often]
        self._starts = starts[often]
        self._text = text
        lots = np.random.default_rng(_SEED).integers(0, 2**63, len(texts), dtype=np.uint64)
        self._sums = np.add.reduceat(lots[text], starts)[often]  # equal for runs of equal texts, and hardly ever else
        self._pair_run = np.repeat(np.arange(len(self._names)), self._counts)
        keep = np.repeat(often, counts)
        self._pair_text = text[keep]

    def candidates(self) -> Iterator[_Ints]:
        """Texts that have the same runs, those first whose runs are the most."""
        classes: dict[tuple[int, int], list[int]] = {}
        for n, key in enumerate(zip(self._counts.tolist(), self._sums.tolist(), strict=True)):
            classes.setdefault(key, []).append(n)
        best = sorted(classes.values(), key=lambda runs: (-(len(runs) + 1) * int(self._counts[runs[0]]), runs[0]))
        inner = (self._names // _MOST_PIECES > _END) & (self._names % _MOST_PIECES > _END)
        for runs in best[:_MOST_TRIED]:
            if inner[runs].any():
                at = self._starts[runs[0]]
                yield self._text[at : at + self._counts[runs[0]]]

    def core(self, members: _Ints, *, at_end: bool) -> int:
        """How many pieces of such a text nearly all of `members` have; with `at_end` 0 where none of them begins or
        ends it."""
        among = np.zeros(len(self._of_text), dtype=bool)
        among[members] = True
        counts = np.bincount(self._pair_run[among[self._pair_text]], minlength=len(self._names))
        shared = self._names[counts >= _CORE * len(members)]
        at_edge = (shared // _MOST_PIECES == _BEGIN) | (shared % _MOST_PIECES == _END)
        if at_end and not at_edge.any():
            return 0
        covered = [self._covered(self._of_text[int(each)], shared) for each in members[:8]]
        return int(np.median(covered))

    def _covered(self, runs: _Ints, shared: _Ints) -> int:
        hit = np.isin(runs, shared)
        pieces = np.zeros(len(runs) + _SIZE - 1, dtype=bool)
        for shift in range(_SIZE):
            pieces[shift : shift + len(runs)] |= hit
        return int(pieces[1:-1].sum())


def _numbered(texts: Sequence[Sequence[str]]) -> Iterator[_Ints]:
    """The runs of each text as numbers; a text begins and ends with a piece of its own."""
    numbers: dict[Any, int] = {}
    for text in texts:
        ids = [numbers.setdefault(piece, min(len(numbers) + 2, _MOST_PIECES - 1)) for piece in text]
        row = np.array([_BEGIN, *ids, _END], dtype=np.int64)
        yield row[:-1] * _MOST_PIECES + row[1:]
