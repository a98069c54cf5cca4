"""Files of texts with what is known of them, as people and commands write them: JSON lines, or CSV with a header. Pure.

In CSV `labels` are separated by commas, what is no text is JSON, and the guard that keeps a cell from being a formula
is taken off. What a row must hold is for whoever reads it.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson

from tailrace.classify.cells import unguarded
from tailrace.classify.turn import Turn
from tailrace.errors import UserError
from tailrace.records import Json


class GoldError(UserError):
    """A gold file is wrong; the text names the line."""


def parse_rows(data: bytes, suffix: str) -> Iterator[tuple[int, Json]]:
    """The rows of a file with the number of their line; `suffix` `.csv`, or JSON lines.

    Raises:
        GoldError: a line is no JSON, or the file is no CSV of UTF-8.
    """
    return _csv(data) if suffix.lower() == ".csv" else _jsonl(data)


def turns_in(context: Json) -> Iterator[Turn]:
    """The turns of a row's `context`, a list of `{role, text}`; what is none is left out."""
    for turn in context if isinstance(context, list) else ():
        if isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("text"), str):
            yield Turn(turn["role"], turn["text"])


def _jsonl(data: bytes) -> Iterator[tuple[int, Json]]:
    for line, text in enumerate(data.split(b"\n"), 1):
        if text.strip():
            try:
                yield line, orjson.loads(text)
            except orjson.JSONDecodeError as exc:
                raise GoldError(f"line {line}: is no JSON ({exc.msg}); write one object a line") from exc


def _csv(data: bytes) -> Iterator[tuple[int, Json]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise GoldError(f"byte {exc.start} is no UTF-8; save the file as UTF-8") from exc
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield reader.line_num, {name: _cell(name, value) for name, value in row.items() if name and value}
    except csv.Error as exc:
        raise GoldError(f"line {reader.line_num}: is no CSV ({exc})") from exc


def _cell(name: str, value: Any) -> Json:
    value = unguarded(value) if isinstance(value, str) else value
    if name == "labels":
        return [label.strip() for label in value.split(",")]
    if name in {"entities", "attributes", "context", "turns"}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value  # refused by its kind
    return value
