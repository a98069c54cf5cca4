"""Which template a request was made from, and with which words in its slots; and back. Pure.

A text is matched from left to right: what a slot holds ends where the static text behind it begins for the first time.
There is no way back, so a text is read once for each template that is tried, however hostile it is. Where several
templates fit, the one with the most static text is meant: a template may be the beginning of another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.records import Json
from tailrace.templates.template import Pattern, Slot, Template, is_text, texts_of

MAX_TEXT_CHARS: Final = 2**20
"""A longer text belongs to no template: matching must not hold the event loop."""
MAX_TEMPLATES: Final = 1_000
_HEAD_CHARS: Final = 16
"""Of the first text, by which most templates are ruled out at once."""


@dataclass(frozen=True, slots=True)
class Match:
    """A request's template and the words in its slots."""

    template: Template
    slots: Mapping[str, str]
    later: tuple[tuple[int, Mapping[str, str]], ...] = ()
    """Messages behind the frame that are made like its last one, by index, with the words in that one's slots."""


class Templates:
    """Templates that requests are looked up in."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self.all = tuple(sorted(templates, key=lambda each: (-each.static_chars, each.id)))
        heads: dict[str, list[_Compiled]] = {}
        anything: list[_Compiled] = []
        for template in self.all:
            compiled = _Compiled(template)
            if compiled.head is None:
                anything.append(compiled)
                for some in heads.values():
                    some.append(compiled)
            else:
                heads.setdefault(compiled.head, [*anything]).append(compiled)
        self._heads = heads
        self._anything = anything

    def match(self, messages: Sequence[Json]) -> Match | None:
        """The template that the conversation `messages` begins with; None where it is none of these."""
        first = texts_of(messages[0]) if messages else ()
        candidates = self._heads.get(first[0][:_HEAD_CHARS], self._anything) if first else self._anything
        if not candidates:
            return None
        texts = _Texts(messages)
        for compiled in candidates:
            slots = compiled.slots(texts)
            if slots is not None:
                return Match(compiled.template, slots, tuple(compiled.later(texts, slots)))
        return None


def render(match: Match, messages: Sequence[Json]) -> list[Json]:
    """The conversation that `match` is of, made from the template: `messages` gives what no template holds."""
    made = list(messages)
    frames = match.template.frames
    turns = [(index, frame, match.slots) for index, frame in enumerate(frames)]
    turns += [(index, frames[-1], {**match.slots, **slots}) for index, slots in match.later]
    for index, frame, slots in turns:
        made[index] = with_texts(made[index], [_rendered(text, slots) for text in frame.texts])
    return made


def with_texts(message: Json, texts: Sequence[str | None]) -> Json:
    """`message` with these texts in place of its own; a part whose text is None is left out.

    None where nothing is left of it.
    """
    content = message["content"] if texts else None
    if isinstance(content, str):
        return None if texts[0] is None else message | {"content": texts[0]}
    if content is None:
        return message
    rest = iter(texts)
    parts = []
    for part in content:
        if not is_text(part):
            parts.append(part)
        elif (text := next(rest)) is not None:
            parts.append(part | {"text": text})
    return message | {"content": parts} if parts else None


def _rendered(pattern: Pattern, slots: Mapping[str, str]) -> str:
    return "".join(each if isinstance(each, str) else slots[each.name] for each in pattern)


class _Texts:
    """The texts of a conversation, each message's found once."""

    __slots__ = ("_found", "messages")

    def __init__(self, messages: Sequence[Json]) -> None:
        self.messages = messages
        self._found: dict[int, tuple[str, ...]] = {}

    def at(self, index: int) -> tuple[str, ...]:
        found = self._found.get(index)
        if found is None:
            found = self._found[index] = texts_of(self.messages[index])
        return found


class _Compiled:
    """A template, ready to be tried."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self._frames = [
            (frame.role, len(frame.texts), [TextMatcher(text) for text in frame.texts]) for frame in template.frames
        ]
        self._last = _later_frame(template)
        first = template.frames[0].texts
        head = first[0][0] if first else None
        whole = isinstance(head, str) and (len(head) >= _HEAD_CHARS or len(first[0]) == 1)
        self.head = head[:_HEAD_CHARS] if whole and isinstance(head, str) else None

    def slots(self, texts: _Texts) -> dict[str, str] | None:
        """What the slots hold where the conversation begins with this template."""
        messages = texts.messages
        if len(messages) < len(self._frames):
            return None
        slots: dict[str, str] = {}
        for index, (role, count, patterns) in enumerate(self._frames):
            if messages[index].get("role") != role:
                return None
            found = texts.at(index)
            if len(found) != count or not _fill(patterns, found, slots):
                return None
        return slots

    def later(self, texts: _Texts, slots: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, str]]]:
        """The messages behind the frame that are made like its last one."""
        if self._last is None:
            return
        role, count, patterns = self._frames[-1]
        before = {name: slots[name] for name in slots if name not in self._last}
        for index in range(len(self._frames), len(texts.messages)):
            if texts.messages[index].get("role") == role and len(found := texts.at(index)) == count:
                held = dict(before)
                if _fill(patterns, found, held):
                    yield index, {name: held[name] for name in self._last}


def _later_frame(template: Template) -> tuple[str, ...] | None:
    """The slots that are the last message's own; None where no later message can be made like it."""
    last = template.frames[-1]
    if last.keep or not last.static_chars:
        return None
    before = {name for frame in template.frames[:-1] for name in frame.slots}
    return tuple(dict.fromkeys(name for name in last.slots if name not in before))


def _fill(patterns: "Sequence[TextMatcher]", texts: Sequence[str], slots: dict[str, str]) -> bool:
    return all(pattern.fill(text, slots) for pattern, text in zip(patterns, texts, strict=True))


class TextMatcher:
    """One text of a template: what it begins and ends with, and in between each slot with what ends it."""

    __slots__ = ("_between", "_first", "_last", "_last_slot", "_least")

    def __init__(self, pattern: Pattern) -> None:
        statics, names = [""], []
        for segment in pattern:
            if isinstance(segment, Slot):
                names.append(segment.name)
                statics.append("")
            else:
                statics[-1] = segment
        self._first, self._last = statics[0], statics[-1]
        self._last_slot = names[-1] if names else None
        self._between = tuple(zip(names, statics[1:-1], strict=False))
        self._least = sum(map(len, statics))

    def fill(self, text: str, slots: dict[str, str]) -> bool:
        """Whether `text` is of this pattern; then `slots` has what its slots hold."""
        name = self._last_slot
        if name is None:
            return text == self._first
        if not self._least <= len(text) <= MAX_TEXT_CHARS:
            return False
        if not (text.startswith(self._first) and text.endswith(self._last)):
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for each, static in self._between:
            found = text.find(static, at, end)
            if found < 0 or slots.setdefault(each, value := text[at:found]) != value:
                return False
            at = found + len(static)
        value = text[at:end]
        return at <= end and slots.setdefault(name, value) == value
