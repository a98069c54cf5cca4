"""A template: the text that the requests of one task share, and the slots in it. Values, nothing else.

    system   "You answer for {company}."                     ─┐  the frame: the messages that such a request begins with
    user     "Context: {context}\\nQuestion: {question}"      ─┘

A message is known by its role and its texts alone: a content that is text is one, a list of parts has one for each part
that is text. What else a message carries (images, sound, files) is of no account, and is never touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import orjson

from tailrace.records import Json

ASSISTANT: Final = "assistant"
ROLES: Final = ("system", "developer", "user", ASSISTANT)
_ID_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where requests differ. A name that stands twice in a template stands for the same words."""

    name: str


Segment = str | Slot
Pattern = tuple[Segment, ...]
"""One text: static text and slots in turns. Two slots never stand side by side, as nothing tells where one ends."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a template."""

    role: str
    texts: tuple[Pattern, ...]
    keep: bool = False
    """It is recognised, and goes on as it is: an example's turns, always so of an assistant's."""

    @property
    def slots(self) -> Iterator[str]:
        """The names of its slots, in order; one that stands twice comes twice."""
        return (segment.name for text in self.texts for segment in text if isinstance(segment, Slot))

    @property
    def static_chars(self) -> int:
        """How much of it never changes."""
        return sum(len(segment) for text in self.texts for segment in text if isinstance(segment, str))


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one text when its static text is left out."""

    slots: tuple[str, ...]
    """Those that stand here for the first time."""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """What all requests of one task begin with."""

    name: str
    frames: tuple[Frame, ...]
    tag: str
    """The word that stands for the static text where that is left out; empty: none does."""
    id: str = field(init=False)
    """Of the static text and the places of its slots, whatever anything is called: 12 hex digits."""
    left: tuple[tuple[Left, ...], ...] = field(init=False)
    """By message and text; the tag comes first of all that is left."""

    def __post_init__(self) -> None:
        digest = blake2b(orjson.dumps([*_numbered(self.frames)]), digest_size=_ID_BYTES)
        object.__setattr__(self, "id", digest.hexdigest())
        object.__setattr__(self, "left", tuple(_left(self.frames, self.tag)))

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of its slots, in order, each once."""
        return tuple(dict.fromkeys(name for frame in self.frames for name in frame.slots))

    @property
    def static_chars(self) -> int:
        """How much of it never changes."""
        return sum(frame.static_chars for frame in self.frames)


def texts_of(message: Json) -> tuple[str, ...]:
    """The texts of a message, in order."""
    content = message.get("content")
    if isinstance(content, str):
        return (content,)
    if not isinstance(content, list):
        return ()
    return tuple(part["text"] for part in content if is_text(part))


def is_text(part: Json) -> bool:
    """Whether a part of a content is text."""
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _numbered(frames: tuple[Frame, ...]) -> Iterator[Json]:
    numbers: dict[str, int] = {}
    for frame in frames:
        yield [
            frame.role,
            [
                [each if isinstance(each, str) else numbers.setdefault(each.name, len(numbers)) for each in text]
                for text in frame.texts
            ],
        ]


def _left(frames: tuple[Frame, ...], tag: str) -> Iterator[tuple[Left, ...]]:
    known: set[str] = set()
    for frame in frames:
        lefts = []
        for text in frame.texts:
            names = dict.fromkeys(each.name for each in text if isinstance(each, Slot) and each.name not in known)
            known.update(names)
            lefts.append(Left(tuple(names), "" if frame.keep else tag))
            tag = tag if frame.keep else ""
        yield tuple(lefts)
