"""Passages of a folder of documents that fit a text, for a model that needs to look something up.

`read_folder` reads the disk, once; the rest is pure. A passage is a part of one section, with the headings above it, so
that it is understood alone. The documents are the operator's own: their words may stand in the system message.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tailrace.classify.nearness import Index, words
from tailrace.classify.turn import Subject
from tailrace.errors import UserError

MOST_FILES: Final = 5000
MOST_BYTES: Final = 50 * 2**20
NEAR: Final = 30
"""Of so many of the nearest passages is chosen."""

_PASSAGE_CHARS: Final = 1200
_SUFFIXES: Final = frozenset((".md", ".txt"))
_HEADING: Final = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE: Final = re.compile(r"^[ \t]*(```|~~~)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n")


class DocumentsError(UserError):
    """A folder of documents is too large, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document."""

    source: str  # its file, from the folder on
    heading: str  # `Refunds › Deadlines`; empty where there is none
    text: str

    def shown(self) -> str:
        """As a model sees it."""
        return f"[{self.source}{f' › {self.heading}' if self.heading else ''}]\n{self.text}"


class Passages:
    """The passages of one folder, and which of them fit a text. Immutable."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        self._index = Index([words(f"{passage.heading} {passage.text}") for passage in self.passages])

    def near(self, subject: Subject) -> list[Passage]:
        """The `NEAR` passages nearest to the text and to the turn before it, the nearest first."""
        before = subject.turns[-1].text if subject.turns else ""
        return [self.passages[number] for number in self._index.top(words(f"{subject.text} {before}"), NEAR)]


def passages_of(source: str, text: str) -> Iterator[Passage]:
    """A document in passages of at most 1,200 characters, cut at headings, then paragraphs, then sentences."""
    for heading, body in _sections(text.replace("\r\n", "\n")):
        held = ""
        for piece in _pieces(body):
            if held and len(held) + len(piece) + 2 > _PASSAGE_CHARS:
                yield Passage(source, heading, held)
                held = ""
            held = f"{held}\n\n{piece}" if held else piece
        if held:
            yield Passage(source, heading, held)


def read_folder(folder: Path) -> tuple[Passage, ...]:
    """The passages of every `.md` and `.txt` file below `folder`, in the order of their names.

    Raises:
        DocumentsError: there are too many files or bytes, or one cannot be read.
    """
    passages: list[Passage] = []
    files, left = 0, MOST_BYTES
    try:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in _SUFFIXES or not path.is_file():
                continue
            files += 1
            left -= path.stat().st_size
            if files > MOST_FILES or left < 0:
                raise DocumentsError(
                    f"{folder} holds more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB; name a smaller folder"
                )
            name = path.relative_to(folder).as_posix()
            passages += passages_of(name, path.read_bytes().decode("utf-8-sig", "replace"))
    except OSError as exc:
        raise DocumentsError(f"{exc.filename or folder} cannot be read ({exc.strerror})") from exc
    return tuple(passages)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Each part between headings, with the headings that it stands under."""
    above: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= _FENCE.match(line) is not None
        match = None if fenced else _HEADING.match(line[:500])
        if match is None:
            lines.append(line)
            continue
        yield " › ".join(title for _, title in above), "\n".join(lines)
        lines = []
        level = len(match[1])
        above = [*((depth, title) for depth, title in above if depth < level), (level, match[2])]
    yield " › ".join(title for _, title in above), "\n".join(lines)


def _pieces(body: str) -> Iterator[str]:
    """Its paragraphs; one that is too long in sentences, and a sentence that is too long in parts."""
    for paragraph in re.split(r"\n[ \t]*\n", body):
        parts = [paragraph] if len(paragraph) <= _PASSAGE_CHARS else _SENTENCE_END.split(paragraph)
        for part in parts:
            stripped = part.strip()
            for at in range(0, len(stripped), _PASSAGE_CHARS):
                yield stripped[at : at + _PASSAGE_CHARS]
