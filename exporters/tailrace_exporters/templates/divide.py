"""Openings of one shape, divided until each group is of one template. Pure.

    what all share ──▶ gaps ──▶ do some of the words in a gap share text of their own?  ── no ──▶ one template
                                          └─ yes ──▶ each such group, and the rest, for itself

A gap whose words are a few constants (`French`, `German`) is a slot all the same: each counts once, so they share
nothing. A gap where a hundred requests say `Translate into French:` and go on differently holds another template.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.templates.match import TextMatcher
from tailrace.templates.template import ASSISTANT, Pattern, Slot
from tailrace_exporters.templates.opening import Opening
from tailrace_exporters.templates.pattern import pattern_of
from tailrace_exporters.templates.structure import LEAST_TEXTS, Group, groups
from tailrace_exporters.templates.words import pieces

_LOOKED_AT: Final = 32
"""Openings from which a pattern is made; all others must fit it."""

Patterns = tuple[tuple[Pattern, ...], ...]
"""By message and text."""
Held = dict[str, str]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Openings of one template."""

    openings: tuple[Opening, ...]
    patterns: Patterns
    held: tuple[Held, ...]
    """For each opening what its slots hold, by their numbers."""


def leaves(openings: Sequence[Opening]) -> Iterator[Leaf]:
    """The templates among `openings`, which have one shape; any order, twice none."""
    waiting = [tuple(openings)]
    while waiting:
        some = waiting.pop()
        if len(some) < LEAST_TEXTS:
            continue
        patterns = _patterns(some[:_LOOKED_AT])
        held = [_held(patterns, opening) for opening in some]
        waiting.append(tuple(each for each, slots in zip(some, held, strict=True) if slots is None))
        fit = tuple(each for each, slots in zip(some, held, strict=True) if slots is not None)
        leaf = Leaf(fit, patterns, tuple(slots for slots in held if slots is not None))
        parts = _parts(leaf)
        if parts:
            waiting += parts
        elif len(fit) >= LEAST_TEXTS:
            yield leaf


def _patterns(openings: Sequence[Opening]) -> Patterns:
    """The patterns of all texts; slots are numbered through."""
    numbers = iter(range(1_000_000))
    return tuple(
        tuple(
            tuple(
                Slot(str(next(numbers))) if isinstance(each, Slot) else each
                for each in pattern_of([opening.texts[n][m] for opening in openings])
            )
            for m in range(len(texts))
        )
        for n, texts in enumerate(openings[0].texts)
    )


def _held(patterns: Patterns, opening: Opening) -> Held | None:
    slots: Held = {}
    for some, texts in zip(patterns, opening.texts, strict=True):
        for pattern, text in zip(some, texts, strict=True):
            if not TextMatcher(pattern).fill(text, slots):
                return None
    return slots


def _parts(leaf: Leaf) -> list[tuple[Opening, ...]]:
    """The openings in groups by what they share in one gap, and the rest; nothing where they share nothing more."""
    best: list[tuple[int, ...]] = []
    worth = 0
    for name in _gaps(leaf):
        found = _grouped([held[name] for held in leaf.held])
        total = sum(group.worth for group in found)
        if total > worth and all(len(group.texts) < len(leaf.openings) for group in found):
            worth, best = total, [group.texts for group in found]
    if not best:
        return []
    inside = {n for part in best for n in part}
    parts = [*best, tuple(n for n in range(len(leaf.openings)) if n not in inside)]
    return [tuple(leaf.openings[n] for n in part) for part in parts]


def _gaps(leaf: Leaf) -> Iterator[str]:
    for role, patterns in zip(leaf.openings[0].roles, leaf.patterns, strict=True):
        if role != ASSISTANT:
            yield from (each.name for pattern in patterns for each in pattern if isinstance(each, Slot))


def _grouped(words: Sequence[str]) -> list[Group]:
    """Groups of what stands in one gap; equal words count once."""
    same: dict[str, list[int]] = {}
    for n, each in enumerate(words):
        same.setdefault(each, []).append(n)
    found = groups([[piece for piece in pieces(each) if not piece.isspace()] for each in same])
    members = list(same.values())
    return [Group(tuple(n for text in group.texts for n in members[text]), group.pieces) for group in found]
