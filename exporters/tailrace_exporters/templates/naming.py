"""Names for slots, from the words before them, and for templates, from their first words. Pure.

Question: {question}      <doc>{doc}      ## Context⏎{context}      role: "{role}"      else slot_1, slot_2, …
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tailrace.templates.template import Frame, Pattern, Slot

_LOOKED_AT: Final = 100
"""Characters before a slot."""
_OPENING: Final = " \t\n\"'`([{«“"
_MARKED: Final = re.compile(r"<([^\W\d][\w-]{0,30})>\s*\Z")
_HEADING: Final = re.compile(r"(?:\A|\n)[#=*]+\s*([^\n#=*:]{1,40})[\s:#=*]*\n\s*\Z")
_LABEL: Final = re.compile(r"([^\W\d][\w' -]{0,60})[*_\"]*\s*[:=]\s*\Z")
_WORD: Final = re.compile(r"[^\W_]+")
_MOST_WORDS: Final = 3
_NAME_WORDS: Final = 4
_NAME_CHARS: Final = 48


def slot_names(frames: Sequence[Frame]) -> dict[str, str]:
    """A name for each slot, by what it is called now."""
    names: dict[str, str] = {}
    for frame in frames:
        for text in frame.texts:
            for before, slot in _slots(text):
                if slot not in names:
                    wanted = frame.role if len(text) == 1 else _label(before)
                    names[slot] = _free(wanted or f"slot_{len(names) + 1}", names.values(), "_")
    return names


def template_name(frames: Sequence[Frame], taken: Iterable[str]) -> str:
    """A name that no other template has: the first words of its last message, or else of one before."""
    for frame in reversed(frames):
        static = " ".join(each for text in frame.texts for each in text if isinstance(each, str))
        words = [*dict.fromkeys(_WORD.findall(static))][:_NAME_WORDS]
        if len(words) > 1 and not frame.keep:
            return _free("-".join(words).lower()[:_NAME_CHARS], taken, "-")
    return _free("template", taken, "-")


def _slots(text: Pattern) -> Iterator[tuple[str, str]]:
    before = ""
    for each in text:
        if isinstance(each, Slot):
            yield before, each.name
        else:
            before = each


def _label(before: str) -> str | None:
    near = before[-_LOOKED_AT:]
    bare = near.rstrip(_OPENING)
    for pattern, text in ((_MARKED, near), (_HEADING, near), (_LABEL, bare)):
        found = pattern.search(text)
        if found is not None:
            words = [word.lower() for word in _WORD.findall(found[1])]
            if words:
                return "_".join(words if len(words) <= _MOST_WORDS else words[-1:])
    return None


def _free(name: str, taken: Iterable[str], mark: str) -> str:
    used = set(taken)
    number = 2
    free = name
    while free in used:
        free = f"{name}{mark}{number}"
        number += 1
    return free
