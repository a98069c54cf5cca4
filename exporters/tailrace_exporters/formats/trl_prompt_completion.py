"""Hugging Face TRL's prompt and completion rows, for `SFTTrainer`, which learns the completion only.

    {"prompt": [...], "completion": [{"role": "assistant", ...}], "tools": [...] or null}

The safest target where one answer a row is learned: TRL masks the prompt by itself. A row that learns anything else
than its last message is refused; `unit = "step"` or `train = "last"` make rows that fit.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES, check_messages, messages
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = messages(shaper, row)
    shaper.last_learned()
    line = {"prompt": found[:-1], "completion": found[-1:], "tools": shaper.tools()}
    return Line(line, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What TRL asks of a line."""
    yield from check_messages(line.get("prompt"), "/prompt")
    yield from check_messages(line.get("completion"), "/completion")
    answers = line.get("completion")
    if type(answers) is list and answers and type(answers[0]) is dict and answers[0].get("role") != "assistant":
        yield Problem("/completion/0/role", "expected assistant: only an answer is learned")


FORMAT: Final = Format(
    about="Hugging Face TRL prompt and completion, for SFTTrainer: the completion is learned",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | {MASK: "something else than the last message is learned"},
    check=check,
)
