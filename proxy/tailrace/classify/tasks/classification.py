"""One label of a list."""

from typing import Final

from tailrace.classify.tasks import single
from tailrace.classify.tasks.task import Task, prompt_of

TASK: Final = Task("classification", prompt_of("classification"), single.properties, single.read, single=True)
