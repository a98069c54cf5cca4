"""Labels as gold files have them (`classify/examples.py`), and back: one field of a row, by the task. Pure."""

from collections.abc import Mapping
from typing import Final

from tailrace.classify.cascade import value_of
from tailrace.classify.ready import Ready
from tailrace.classify.tasks import TASKS
from tailrace.classify.tasks.task import Brief
from tailrace.records import Json, LabelValue
from tailrace.settings_classifiers import NONE, Classifier, Task

_FIELD: Final[Mapping[Task, str]] = {
    "multilabel": "labels",
    "ner": "entities",
    "qa": "answer",
    "extraction": "attributes",
}


def field_of(classifier: Classifier) -> str:
    """What a row's answer is called."""
    if classifier.task == "qa" and classifier.labels:
        return "label"
    return _FIELD.get(classifier.task, "label")


def gold_of(field: str, value: LabelValue) -> Json:
    """A label as that field of a row has it."""
    if field == "labels":
        return list(value) if isinstance(value, tuple) else [value]
    if field == "entities":
        return [{"text": one["text"], "label": one["label"]} for one in value] if isinstance(value, list) else []
    if field == "attributes":
        return value if isinstance(value, dict) else {}
    return None if field == "answer" and value == NONE else value


def value_in(ready: Ready, row: Mapping[str, Json], text: str) -> tuple[LabelValue | None, str]:
    """The label that a row says of `text`; None: it is none of this classifier's, and the reason."""
    field = field_of(ready.settings)
    if field not in row:
        return None, f"has no {field}, which is what {ready.settings.task} answers with"
    known = ready.settings.definitions()
    said = row[field]
    if field in {"label", "labels"}:
        words = [said] if field == "label" else said
        unknown = [word for word in words if word not in known] if isinstance(words, list) else [said]
        if unknown or not words:
            told = str(unknown[0] if unknown else said)[:60]
            return None, f"{told!r} is no label; there are: {', '.join(known)}"
    brief = brief_for(ready)
    reading = brief.task.read({field: said}, brief, text)
    if reading.error is not None or any(span.start is None for span in reading.spans):
        return None, f"its {field} holds what is no label here, or a quote that is not in its text"
    return value_of(brief, reading), ""


def brief_for(ready: Ready) -> Brief:
    """What the classifier's answers are read with, whether or not it asks a model."""
    if ready.brief is not None:
        return ready.brief
    settings = ready.settings
    return Brief(TASKS[settings.task], "", settings.definitions(), bool(settings.labels), settings.question or "")
