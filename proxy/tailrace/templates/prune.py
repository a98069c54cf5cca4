"""A request without what its template says anyway. Pure; the relay and the exporters call the same function.

What is left of a text are its slots: one alone as it is, several as a line `name: words` each. Before the first text
stands the template's tag, on a line of its own. A text of which nothing is left goes, and a message without anything
goes with it.

    system  "You answer for ACME."                  ──▶   system  "support\\nACME"
    user    "Context: C\\nQuestion: Q"               ──▶   user    "context: C\\nquestion: Q"

Nothing else changes: an assistant's turns, tools, and what is no text stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.records import Json
from tailrace.templates.match import Match, Templates, with_texts
from tailrace.templates.template import Left, texts_of

_CHARS_A_TOKEN: Final = 4

Edits = Mapping[int, tuple[str | None, ...]]
"""By index of the message, what becomes of each of its texts; None: it goes."""
CountText = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Pruned:
    """A conversation that was made from a template."""

    messages: list[Json]
    template_id: str
    slots: Mapping[str, str]
    saved_tokens: int
    kept: tuple[int, ...]
    """For each of `messages` its index before."""
    edits: Edits


def estimated(text: str) -> int:
    """About how many tokens a text is: one for four characters."""
    return -(-len(text) // _CHARS_A_TOKEN)


def prune(messages: Sequence[Json], templates: Templates, count: CountText = estimated) -> Pruned | None:
    """The conversation without its template's static text; None where no template fits. `count` counts tokens."""
    match = templates.match(messages)
    if match is None:
        return None
    made: list[Json] = list(messages)
    edits: dict[int, tuple[str | None, ...]] = {}
    saved = 0
    for index, texts in _edits(match):
        before = texts_of(messages[index])
        if texts != before:
            saved += _tokens(before, count) - _tokens(texts, count)
            made[index] = with_texts(messages[index], texts)
            edits[index] = texts
    kept = tuple(index for index, message in enumerate(made) if message is not None)
    return Pruned([made[index] for index in kept], match.template.id, match.slots, saved, kept, edits)


def _edits(match: Match) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    frames, left = match.template.frames, match.template.left
    for index, frame in enumerate(frames):
        if frame.texts and not frame.keep:
            yield index, tuple(_said(each, each.tag, match.slots) for each in left[index])
    for index, slots in match.later:
        yield index, tuple(_said(each, "", slots) for each in left[-1])


def _said(left: Left, tag: str, slots: Mapping[str, str]) -> str | None:
    names = left.slots
    if not names:
        return tag or None
    words = slots[names[0]] if len(names) == 1 else "\n".join([f"{name}: {slots[name]}" for name in names])
    return f"{tag}\n{words}" if tag else words


def _tokens(texts: Sequence[str | None], count: CountText) -> int:
    return sum(count(text) for text in texts if text is not None)
