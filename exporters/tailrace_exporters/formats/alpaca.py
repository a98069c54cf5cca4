"""Alpaca's rows, as LLaMA-Factory and others read them: one answer, with the turns before it as history.

    {"instruction": "U", "input": "", "output": "A", "system": "S", "history": [["u", "a"], ...]}

The answers of the history are learned too, so a row where one is not to be learned is refused. No tools; the output is
always text (LLaMA-Factory drops a row whose output is none, with a warning that nobody sees).
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Beside, Format, Line, Problem
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.turns import TEXT_REASONS, TEXT_RULES, text_turns
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = text_turns(shaper, row)
    shaper.all_learned()
    *history, instruction, output = found.turns
    line: dict[str, Json] = {
        "instruction": instruction,
        "input": "",
        "output": output,
        "system": found.system or "",
        "history": [list(pair) for pair in zip(history[::2], history[1::2], strict=True)],
    }
    return Line(line, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What readers of Alpaca rows ask of a line."""
    for name in ("instruction", "input", "output", "system"):
        if type(at(line, name)) is not str:
            yield Problem(f"/{name}", "expected text")
    if not at(line, "output"):
        yield Problem("/output", "expected an answer")
    for index, pair in enumerate(items(at(line, "history"))):
        if [type(text) for text in items(pair)] != [str, str]:
            yield Problem(f"/history/{index}", "expected a user's text and its answer")


def beside(told: Beside) -> Mapping[str, Json | str]:
    """LLaMA-Factory's register of the files."""
    columns = {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "system": "system",
        "history": "history",
    }
    return {
        "dataset_info.json": {
            f"{told.name}_{PurePosixPath(file).stem}": {"file_name": file, "columns": columns} for file in told.files
        }
    }


FORMAT: Final = Format(
    about="Alpaca instruction rows, for LLaMA-Factory and others: text only",
    project=project,
    rules=TEXT_RULES,
    reasons=TEXT_REASONS | {MASK: "an answer is not to be learned, and the history is learned too"},
    check=check,
    beside=beside,
)
