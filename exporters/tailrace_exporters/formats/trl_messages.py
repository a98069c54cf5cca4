"""Hugging Face TRL's conversational language-modelling rows, for `SFTTrainer(assistant_only_loss=True)`.

    {"messages": [...], "tools": [...] or null}

One shape a file, because `datasets` infers the columns: `tools` is always there. TRL learns all assistant messages or,
by default, every token: it has no mark for a single message. So a row with an answer that is not to be learned is
refused, never learned by accident.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.reading import at
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES, check_messages, messages
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = messages(shaper, row)
    shaper.all_learned()
    return Line({"messages": found, "tools": shaper.tools()}, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What TRL asks of a line."""
    yield from check_messages(at(line, "messages"), "/messages")


FORMAT: Final = Format(
    about="Hugging Face TRL conversational rows, for SFTTrainer(assistant_only_loss=True)",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | {MASK: "an answer is not to be learned, and TRL has no mark for that"},
    check=check,
)
