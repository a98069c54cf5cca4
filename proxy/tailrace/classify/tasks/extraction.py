"""Attributes of a text: the labels are their names, the value holds those that the text states."""

from typing import Any, Final

from tailrace.classify.tasks.task import Brief, ReadError, Reading, Task, in_order, nothing, prompt_of
from tailrace.records import Json
from tailrace.settings_classifiers import NONE

_MOST_CHARS: Final = 2000


def _properties(brief: Brief) -> dict[str, Any]:
    fields = {name: {"type": ["string", "null"]} for name in brief.labels if name != NONE}
    inner = {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
    return {"attributes": inner}


def _read(said: Json, brief: Brief, _text: str) -> Reading:
    found = said.get("attributes") if isinstance(said, dict) else None
    if not isinstance(found, dict):
        return nothing(ReadError.SHAPE)
    known = {name: value for name in brief.labels if name != NONE and (value := found.get(name)) is not None}
    value = {name: _short(each) for name, each in known.items() if _short(each)}
    off_list = any(name not in brief.labels for name in found)
    return Reading(in_order(set(value), brief), value=value, error=ReadError.OFF_LIST if off_list else None)


def _short(value: Json) -> str:
    """A value as text: models give numbers as numbers."""
    if isinstance(value, bool | int | float):
        return str(value)
    return value.strip()[:_MOST_CHARS] if isinstance(value, str) else ""


TASK: Final = Task("extraction", prompt_of("extraction"), _properties, _read, folds=False)
