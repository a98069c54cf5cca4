"""Entities of a text, with their offsets. The model quotes; where the quote stands is looked up here.

A quote is searched from the end of the last match on, so that the second of two equal names is the second. What is not
found there is kept and marked: it has no offsets.
"""

from collections.abc import Sequence
from typing import Any, Final

from tailrace.classify.ladder import place
from tailrace.classify.tasks.task import Brief, ReadError, Reading, Span, Task, in_order, nothing, prompt_of
from tailrace.records import Json
from tailrace.settings_classifiers import NONE

_MOST_ENTITIES: Final = 500
_MOST_CHARS: Final = 1000


def spans_of(quotes: Sequence[tuple[str, str]], text: str) -> tuple[Span, ...]:
    """Each (label, quote) with its place in `text`."""
    at, spans = 0, list[Span]()
    for label, quote in quotes:
        start = text.find(quote, at) if quote else -1
        if start < 0:
            spans.append(Span(label, quote, None, None))
        else:
            at = start + len(quote)
            spans.append(Span(label, quote, start, at))
    return tuple(spans)


def _types(brief: Brief) -> list[str]:
    return [label for label in brief.labels if label != NONE]


def _properties(brief: Brief) -> dict[str, Any]:
    entity = {"text": {"type": "string"}, "label": {"type": "string", "enum": _types(brief)}}
    one = {"type": "object", "properties": entity, "required": [*entity], "additionalProperties": False}
    return {"entities": {"type": "array", "items": one}}


def _read(said: Json, brief: Brief, text: str) -> Reading:
    if isinstance(said, dict):
        said = said.get("entities")
    if not isinstance(said, list):
        return nothing(ReadError.SHAPE)
    types = _types(brief)
    quotes: list[tuple[str, str]] = []
    error = None
    for each in said[:_MOST_ENTITIES]:
        quote, label = (each.get("text"), each.get("label")) if isinstance(each, dict) else (None, None)
        placed = place(label, types) if isinstance(label, str) else None
        if placed is None or not isinstance(quote, str):
            error = ReadError.OFF_LIST
        else:
            quotes.append((placed.label, quote[:_MOST_CHARS]))
    return Reading(in_order({label for label, _ in quotes}, brief), spans=spans_of(quotes, text), error=error)


TASK: Final = Task("ner", prompt_of("ner"), _properties, _read, folds=False)
