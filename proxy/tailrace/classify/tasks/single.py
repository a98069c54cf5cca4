"""What the tasks share that give one label of a list: its schema, and how it is read."""

from typing import Any

from tailrace.classify.ladder import place
from tailrace.classify.tasks.task import Brief, ReadError, Reading, nothing
from tailrace.records import Json


def properties(brief: Brief) -> dict[str, Any]:
    """As `Task.properties`."""
    return {"label": {"type": "string", "enum": list(brief.labels)}}


def read(said: Json, brief: Brief, _text: str) -> Reading:
    """As `Task.read`. Of a bare text its last line counts first: what came before it may be thoughts."""
    if isinstance(said, dict):
        said = said.get("label")
    if not isinstance(said, str):
        return nothing(ReadError.SHAPE)
    lines = said.strip().splitlines() or [""]
    for text in (said, lines[-1]):
        if (placed := place(text, brief.labels)) is not None:
            return Reading((placed.label,))
    return nothing(ReadError.OFF_LIST)
