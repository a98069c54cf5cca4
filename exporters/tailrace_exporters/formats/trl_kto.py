"""Hugging Face TRL's unpaired preference rows, for `KTOTrainer`: an answer, and whether it was wanted.

    {"prompt": [...], "completion": [{...}], "label": true, "tools": [...] or null}

Thumbs and scores go here as they are. Pairs go to `trl-preference`; TRL's `unpair_preference_dataset` takes them apart.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.reading import at
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.formats.trl_shape import PROMPTED, TRL_REASONS, TRL_RULES, check_messages, prompted
from tailrace_exporters.rows import Kind, Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    assert row.judgement is not None
    shaper = Shaper(row)
    found = prompted(shaper, row)
    line = {
        "prompt": found[:-1],
        "completion": found[-1:],
        "label": row.judgement.wanted,
        "tools": shaper.tools(),
    }
    return Line(line, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What TRL asks of a line."""
    for name in ("prompt", "completion"):
        yield from check_messages(at(line, name), f"/{name}")
    if type(at(line, "label")) is not bool:
        yield Problem("/label", "expected true or false")


FORMAT: Final = Format(
    about="Hugging Face TRL unpaired judgements, for KTOTrainer",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | PROMPTED,
    kinds=frozenset({Kind.JUDGED}),
    check=check,
)
