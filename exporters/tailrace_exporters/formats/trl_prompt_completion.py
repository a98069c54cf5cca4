"""Hugging Face TRL's prompt and completion rows, for `SFTTrainer`, which learns the completion only.

    {"prompt": [...], "completion": [{"role": "assistant", ...}], "tools": [...] or null}

The safest target where one answer a row is learned: TRL masks the prompt by itself. A row that learns anything else
than its last message is refused; `unit = "step"` or `train = "last"` make rows that fit.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.reading import at
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.trl_shape import PROMPTED, TRL_REASONS, TRL_RULES, check_messages, prompted
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = prompted(shaper, row)
    shaper.last_learned()
    line = {"prompt": found[:-1], "completion": found[-1:], "tools": shaper.tools()}
    return Line(line, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What TRL asks of a line."""
    yield from check_messages(at(line, "prompt"), "/prompt")
    yield from check_messages(at(line, "completion"), "/completion")
    if at(line, "completion", 0, "role") not in (None, "assistant"):
        yield Problem("/completion/0/role", "expected assistant: only an answer is learned")


FORMAT: Final = Format(
    about="Hugging Face TRL prompt and completion, for SFTTrainer: the completion is learned",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | PROMPTED | {MASK: "something else than the last message is learned"},
    check=check,
)
