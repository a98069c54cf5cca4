"""Any number of labels of a list."""

from typing import Any, Final

from tailrace.classify.ladder import place
from tailrace.classify.tasks.task import Brief, ReadError, Reading, Task, in_order, nothing, prompt_of
from tailrace.records import Json


def _properties(brief: Brief) -> dict[str, Any]:
    return {"labels": {"type": "array", "items": {"type": "string", "enum": list(brief.labels)}}}


def _read(said: Json, brief: Brief, _text: str) -> Reading:
    if isinstance(said, dict):
        said = said.get("labels", said.get("label"))
    if isinstance(said, str):
        said = [word for word in said.replace("\n", ",").split(",") if word.strip()]
    if not isinstance(said, list):
        return nothing(ReadError.SHAPE)
    found: set[str] = set()
    off_list = False
    for each in said[: 4 * len(brief.labels)]:
        placed = place(each, brief.labels) if isinstance(each, str) else None
        if placed is None:
            off_list = True
        else:
            found.add(placed.label)
    return Reading(in_order(found, brief), error=ReadError.OFF_LIST if off_list else None)


TASK: Final = Task("multilabel", prompt_of("multilabel"), _properties, _read)
