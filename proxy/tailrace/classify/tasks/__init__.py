"""The tasks. A new one is a module and a prompt here, one line in `TASKS`, and its word in `settings_classifiers`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.classify.tasks import classification, extraction, matching, multilabel, ner, qa, sentiment
from tailrace.classify.tasks.task import Task

TASKS: Final[Mapping[str, Task]] = MappingProxyType(
    {
        task.name: task
        for task in (
            classification.TASK,
            multilabel.TASK,
            sentiment.TASK,
            ner.TASK,
            qa.TASK,
            matching.TASK,
            extraction.TASK,
        )
    }
)
