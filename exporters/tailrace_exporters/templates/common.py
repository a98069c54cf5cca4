"""What some texts have in common, in order: their static text, and the gaps between. Pure.

Anti-unification, after Plotkin ("A note on inductive generalization", 1970), of lists of pieces: what all begin with,
what all end with, then the weightiest run that each has exactly once, and so on to the left and right of it. Whatever
is static is so in every one of the texts.
"""

from collections.abc import Container, Sequence
from typing import Final

from tailrace_exporters.templates.words import weight

_SIZES: Final = (8, 4, 2, 1)
"""Of the runs that are looked for: long ones are quicker to find and less often chance."""
_LEAST_WEIGHT: Final = 2
_MANY: Final = 16
"""So many texts do not have the same word once by chance."""
_MOST_DEPTH: Final = 40

Pieces = list[str]
Gap = None
"""A place where the texts differ."""


def common(texts: Sequence[Pieces], depth: int = 0) -> list[Pieces | None]:
    """Static runs and gaps in turns."""
    first = texts[0]
    if all(text == first for text in texts):
        return [first] if first else []
    begin = _shared(texts)
    end = _shared([text[begin:][::-1] for text in texts])
    rest = [text[begin : len(text) - end] for text in texts]
    return [
        *([first[:begin]] if begin else []),
        *_between(rest, depth),
        *([first[len(first) - end :]] if end else []),
    ]


def _shared(texts: Sequence[Pieces]) -> int:
    """How many pieces all texts begin with."""
    least = min(texts, key=len)
    for n, piece in enumerate(least):
        if any(text[n] != piece for text in texts):
            return n
    return len(least)


def _between(texts: Sequence[Pieces], depth: int) -> list[Pieces | None]:
    run = _run(texts) if depth < _MOST_DEPTH and all(texts) else None
    if run is None:
        return [Gap]
    places, size = run
    left = [text[:at] for text, at in zip(texts, places, strict=True)]
    right = [text[at + size :] for text, at in zip(texts, places, strict=True)]
    static = texts[0][places[0] : places[0] + size]
    made = [*common(left, depth + 1), static, *common(right, depth + 1)]
    return [each for n, each in enumerate(made) if each is not Gap or n == 0 or made[n - 1] is not Gap]


def _run(texts: Sequence[Pieces]) -> tuple[list[int], int] | None:
    """The weightiest run that each text has once: where it stands in each, and how long it is."""
    for size in _SIZES:
        found = _runs(texts, size)
        best = max(found, key=lambda run: (_worth(texts, run), -run[0][0]), default=None)
        if best is not None and _worth(texts, best) >= _LEAST_WEIGHT:
            return best
    return None


def _worth(texts: Sequence[Pieces], run: tuple[list[int], int]) -> int:
    (at, *_), size = run
    static = texts[0][at : at + size]
    return weight(static) + (len(texts) >= _MANY and _is_word(static))


def _is_word(static: Pieces) -> bool:
    """Whether it is words between spaces, and more than letters or numbers."""
    spaced = len(static) > 2 and static[0].isspace() and static[-1].isspace()
    return spaced and any(len(piece) > 1 and piece.isalpha() for piece in static)


def _runs(texts: Sequence[Pieces], size: int) -> list[tuple[list[int], int]]:
    """The longest runs of `size` or more that each text has once."""
    table = {run: [at] for run, at in _once(texts[0], size).items()}
    for text in texts[1:]:
        here = _once(text, size, table)
        table = {run: [*at, here[run]] for run, at in table.items() if run in here}
        if not table:
            return []
    starts = sorted(table.values())
    joined: list[tuple[list[int], int]] = []
    for at in starts:
        if joined and all(one + joined[-1][1] - size + 1 == two for one, two in zip(joined[-1][0], at, strict=True)):
            joined[-1] = (joined[-1][0], joined[-1][1] + 1)
        else:
            joined.append((at, size))
    return [_grown(texts, run) for run in joined]


def _once(text: Pieces, size: int, wanted: Container[tuple[str, ...]] | None = None) -> dict[tuple[str, ...], int]:
    """The runs of `size`, of those `wanted`, that a text has exactly once, with their places."""
    found: dict[tuple[str, ...], int] = {}
    for at, run in enumerate(zip(*(text[n:] for n in range(size)), strict=False)):
        if wanted is None or run in wanted:
            found[run] = -1 if run in found else at
    return {run: at for run, at in found.items() if at >= 0}


def _grown(texts: Sequence[Pieces], run: tuple[list[int], int]) -> tuple[list[int], int]:
    """The run with all that stands beside it in every text."""
    places, size = run
    more = 0
    while all(at > more for at in places) and len({t[at - more - 1] for t, at in zip(texts, places, strict=True)}) == 1:
        more += 1
    places, size = [at - more for at in places], size + more
    while all(at + size < len(text) for text, at in zip(texts, places, strict=True)) and (
        len({text[at + size] for text, at in zip(texts, places, strict=True)}) == 1
    ):
        size += 1
    return places, size
