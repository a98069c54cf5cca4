"""Hugging Face TRL's preference rows, for `DPOTrainer` and its kin, with the prompt told apart.

{"prompt": [...], "chosen": [{...}], "rejected": [{...}], "tools": [...] or null}
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem, UnfitError
from tailrace_exporters.formats.reading import at
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.formats.trl_shape import PROMPTED, TRL_REASONS, TRL_RULES, check_messages, prompted, rejected
from tailrace_exporters.rows import Kind, Row

SAME: Final = "equal_outputs"


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = prompted(shaper, row)
    other, rules = rejected(row)
    if found[-1] == other:
        raise UnfitError(SAME, f"/messages/{len(found) - 1}")
    line = {"prompt": found[:-1], "chosen": found[-1:], "rejected": [other], "tools": shaper.tools()}
    return Line(line, frozenset(shaper.rules) | rules)


def check(line: Json) -> Iterator[Problem]:
    """What TRL asks of a line."""
    for name in ("prompt", "chosen", "rejected"):
        yield from check_messages(at(line, name), f"/{name}")
    if at(line, "chosen") == at(line, "rejected"):
        yield Problem("/rejected", "expected another answer than the chosen one")


FORMAT: Final = Format(
    about="Hugging Face TRL preference pairs, for DPOTrainer",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | PROMPTED | {SAME: "what is left of the two answers in this target's shape is the same"},
    kinds=frozenset({Kind.PREFERENCE}),
    check=check,
)
