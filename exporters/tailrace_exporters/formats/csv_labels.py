"""A table of labels, for spreadsheets and gold sets: a line for each label of a row.

    completion,classifier,text,label,confidence,source

RFC 4180, UTF-8, with a head. A cell that a spreadsheet would take for a formula is quoted with an apostrophe (OWASP,
"CSV Injection"); line breaks become spaces, so that a line of the file is a line of the table.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem, UnfitError
from tailrace_exporters.formats.reading import items
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.rows import Labelled, Row, id_text

COLUMNS: Final = ("completion", "classifier", "text", "label", "confidence", "source")
FORMULA: Final = "formula_quoted"
BREAKS: Final = "line_breaks_as_spaces"
UNLABELLED: Final = "no_label"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def project(row: Row) -> Line:
    """A row's labels, a line each."""
    if not row.labels:
        raise UnfitError(UNLABELLED, "/labels")
    rules: set[str] = set()
    text = _user_text(row)
    first, *more = [_cells(row, label, text, rules) for label in row.labels]
    return Line(first, frozenset(rules), tuple(more))


def _cells(row: Row, label: Labelled, text: str, rules: set[str]) -> list[str]:
    said = label.label if isinstance(label.label, str) else json.dumps(label.label, ensure_ascii=False)
    sure = "" if label.confidence is None else repr(label.confidence)
    cells = [id_text(row.head.id), label.classifier, text, said, sure, label.source]
    return [_safe(cell, rules) for cell in cells]


def _user_text(row: Row) -> str:
    """The words that were labelled: the newest of the user in the head's request."""
    shaper = Shaper(row)
    for index in range(len(row.messages) - 1, -1, -1):
        message = row.messages[index]
        if type(message) is dict and message.get("role") == "user":
            content = message.get("content")
            if type(content) is list:
                kept = [part["text"] for part in content if type(part) is dict and type(part.get("text")) is str]
                return "".join(kept)
            return shaper.text(index) or ""
    return ""


def _safe(cell: str, rules: set[str]) -> str:
    flat = " ".join(cell.splitlines()) if any(char in cell for char in "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029") else cell
    if flat != cell:
        rules.add(BREAKS)
    if flat.startswith(_FORMULA):
        rules.add(FORMULA)
        return f"'{flat}"
    return flat


def encode(value: Json) -> bytes:
    """Cells as a line."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(value)
    return out.getvalue().encode()


def decode(data: bytes) -> Json:
    """A line as its cells."""
    return next(csv.reader([data.decode()]), [])


def check(line: Json) -> Iterator[Problem]:
    """That it has the head's cells, and none that a spreadsheet would calculate."""
    cells = items(line)
    if len(cells) != len(COLUMNS):
        yield Problem("", f"expected {len(COLUMNS)} cells")
    for index, cell in enumerate(cells):
        if type(cell) is not str or cell.startswith(_FORMULA):
            yield Problem(f"/{index}", "expected no cell that a spreadsheet takes for a formula")


FORMAT: Final = Format(
    about="a table of labels (CSV), a line for each label of a row",
    project=project,
    rules={
        FORMULA: "a cell that a spreadsheet would take for a formula begins with an apostrophe",
        BREAKS: "line breaks inside a cell become spaces",
    },
    reasons={
        UNLABELLED: "no classifier's label counts for the row",
        "unknown_shape": "a message is not shaped as the endpoint's reference says",
    },
    check=check,
    suffix=".csv",
    encode=encode,
    decode=decode,
    head=encode(list(COLUMNS)),
)
