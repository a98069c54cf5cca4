"""What a target format is: a pure projection of a canonical row, with each of its losses named.

A part of a row that the target cannot carry is converted by one of the format's `rules`, which are counted, or the row
is refused for one of its `reasons`, with a JSON pointer to the part. Nothing is lost without one of the two.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from tailrace.records import Json
from tailrace_exporters.lines import json_line
from tailrace_exporters.rows import Kind, Row


class UnfitError(Exception):
    """A row that a format cannot carry. Raised inside a projection, counted by the pipeline."""

    def __init__(self, reason: str, pointer: str) -> None:
        super().__init__(f"{reason} at {pointer}")
        self.reason = reason
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Line:
    """A row in the target's shape, and the rules by which parts of it were converted."""

    value: Json
    rules: frozenset[str] = frozenset()
    more: tuple[Json, ...] = ()
    """Further lines, of a target that takes a row in several."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a target's own documents forbid about one line of a file."""

    pointer: str
    """JSON pointer into the line."""
    message: str
    """What is wrong, and what the target wants."""
    reason: str = ""
    """The word, of the format's `reasons`, by which its projection refuses a row for just this."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a target says of whole files. An export beyond them is worth a warning: its lines are as they should be."""

    least_rows: int = 0
    """Fewer rows than this are worth a warning."""
    most_rows: int | None = None
    """Of one split, in all its shards: what one job takes."""
    most_file_bytes: int | None = None
    """Of one file; what is larger goes in shards (`shard_rows`) or by another way."""
    most_row_tokens: int | None = None
    """Of one row, by the provider's own count; what is beyond is cut or refused by the target."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the data."""

    split: str
    rows: int
    sha256: str
    """Of the file as it stands on the disk, hex."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What there is to tell of a target's files: the dataset's name, and the files by name, in order."""

    name: str
    files: Mapping[str, Written]


def _nothing_beside(_told: Beside) -> Mapping[str, Json | str]:
    return {}


def _unchecked(_line: Json) -> Iterator[Problem]:
    yield from ()


@dataclass(frozen=True, slots=True)
class Format:
    """One target. `project` raises `UnfitError` with one of `reasons`, and marks conversions with keys of `rules`."""

    about: str
    project: Callable[[Row], Line]
    rules: Mapping[str, str]
    reasons: Mapping[str, str]
    limits: Limits = Limits()
    kinds: frozenset[Kind] = frozenset({Kind.CONVERSATION})
    """Which rows are meant for it; it is not shown the others."""
    check: Callable[[Json], Iterator[Problem]] = _unchecked
    """The target's rules and limits, on a line as it stands in a file: what `tailrace export verify` goes by."""
    split_names: Mapping[str, str] = field(default_factory=dict)
    """What the target calls a split, where it insists on a name."""
    is_sharded: bool = True
    """Whether the target reads several files of a split."""
    beside: Callable[[Beside], Mapping[str, Json | str]] = _nothing_beside
    """Files that belong beside the data, text or JSON, by name; made once all rows are written."""
    suffix: str = ".jsonl"
    encode: Callable[[Json], bytes] = json_line
    decode: Callable[[bytes], Json] = orjson.loads
    """`encode` undone; raises ValueError for what is no such line."""
    head: bytes = b""
    """A file's first line, where it is no row."""


def settled(line: Line, problems: Iterator[Problem], origin: Callable[[str], str] = str) -> Line:
    """`line`, if its own format's check finds no `problems` in it.

    `origin` gives the pointer into the row for one into the line; they are the same where a format moves nothing.

    Raises:
        UnfitError: for the first of the problems.
    """
    for problem in problems:
        raise UnfitError(problem.reason, origin(problem.pointer))
    return line
