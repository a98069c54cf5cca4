"""A question about a text. Where the user names labels they are the possible answers; else the answer is a text."""

from typing import Any, Final

from tailrace.classify.tasks import single
from tailrace.classify.tasks.task import Brief, ReadError, Reading, Task, nothing, prompt_of
from tailrace.records import Json
from tailrace.settings_classifiers import LABELS

_MOST_CHARS: Final = 4000
_ANSWERED: Final = next(iter(LABELS["qa"]))


def _properties(brief: Brief) -> dict[str, Any]:
    return single.properties(brief) if brief.named else {"answer": {"type": ["string", "null"]}}


def _read(said: Json, brief: Brief, text: str) -> Reading:
    if brief.named:
        return single.read(said, brief, text)
    if not isinstance(said, dict) or "answer" not in said:
        return nothing(ReadError.SHAPE)
    answer = said["answer"]
    if answer is None:
        return nothing()
    if not isinstance(answer, str):
        return nothing(ReadError.SHAPE)
    return Reading((_ANSWERED,), value=answer[:_MOST_CHARS]) if answer.strip() else nothing()


TASK: Final = Task("qa", prompt_of("qa"), _properties, _read, single=True, folds=False)
