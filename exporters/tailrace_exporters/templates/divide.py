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
from tailrace_exporters.templates.words import pieces, weight

_LOOKED_AT: Final = 32
"""Openings from which a pattern is made; all others must fit it."""

_ALIKE: Final = 0.6
"""The share of their words that instructions must have in common."""
_LEAST_ALIKE: Final = 3
_LONG: Final = 4
"""Words that are text of a template rather than a word in a slot."""

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
        parts = _parts(leaf) or _constants(leaf)
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
    whole = {text[0].name for texts in leaf.patterns for text in texts if len(text) == 1 and isinstance(text[0], Slot)}
    for name in _gaps(leaf):
        found = _grouped([held[name] for held in leaf.held], is_whole=name in whole)
        total = sum(group.worth for group in found)
        if total > worth and all(len(group.texts) < len(leaf.openings) for group in found):
            worth, best = total, [group.texts for group in found]
    if not best:
        return []
    inside = {n for part in best for n in part}
    parts = [*best, tuple(n for n in range(len(leaf.openings)) if n not in inside)]
    return [tuple(leaf.openings[n] for n in part) for part in parts]


def _constants(leaf: Leaf) -> list[tuple[Opening, ...]]:
    """The openings by what many share word for word in one gap, and the rest; nothing where no gap is of that kind.

    Instructions, or words beside an image, of which no word is common to all: those that differ in little are of one
    template, with a slot, where there are `_LEAST_ALIKE` of them. And gaps of few constants, some of them long.
    """
    told = set(_told(leaf))
    for name in _gaps(leaf):
        same: dict[str, list[int]] = {}
        for n, held in enumerate(leaf.held):
            same.setdefault(held[name], []).append(n)
        often = [words for words, some in same.items() if len(some) >= LEAST_TEXTS]
        if name in told:
            alike = _alike(often)
        elif len(same) < _LEAST_ALIKE and len(often) == len(same) and max(map(_weight, often)) >= _LONG:
            alike = [[words] for words in often]
        else:
            continue
        parts = [sorted(n for words in some for n in same[words]) for some in alike]
        inside = {n for part in parts for n in part}
        parts.append([n for n in range(len(leaf.openings)) if n not in inside])
        if max(map(len, parts)) < len(leaf.openings):
            return [tuple(leaf.openings[n] for n in part) for part in parts]
    return []


def _told(leaf: Leaf) -> Iterator[str]:
    """The slots that are whole instructions, or all words beside an image."""
    first = leaf.openings[0]
    for role, beside, patterns in zip(first.roles, first.beside, leaf.patterns, strict=True):
        if role in {"system", "developer"} or beside:
            yield from (each[0].name for each in patterns if len(each) == 1 and isinstance(each[0], Slot))


def _weight(text: str) -> int:
    return weight(pieces(text))


def _alike(texts: Sequence[str]) -> list[list[str]]:
    """Texts in groups of those that are nearly the same."""
    found: list[list[str]] = []
    for text in texts:
        for some in found:
            static = sum(_weight(each) for each in pattern_of([*some, text]) if isinstance(each, str))
            if static >= _ALIKE * _weight(text):
                some.append(text)
                break
        else:
            found.append([text])
    return [part for some in found for part in ([some] if len(some) >= _LEAST_ALIKE else [[text] for text in some])]


def _gaps(leaf: Leaf) -> Iterator[str]:
    for role, patterns in zip(leaf.openings[0].roles, leaf.patterns, strict=True):
        if role != ASSISTANT:
            yield from (each.name for pattern in patterns for each in pattern if isinstance(each, Slot))


def _grouped(words: Sequence[str], *, is_whole: bool) -> list[Group]:
    """Groups of what stands in one gap, which may be a whole text; equal words count once."""
    same: dict[str, list[int]] = {}
    for n, each in enumerate(words):
        same.setdefault(each, []).append(n)
    found = groups([[piece for piece in pieces(each) if not piece.isspace()] for each in same], is_whole=is_whole)
    members = list(same.values())
    return [Group(tuple(sorted(n for text in group.texts for n in members[text])), group.pieces) for group in found]
