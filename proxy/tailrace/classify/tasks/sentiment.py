"""The feeling that a text expresses; the labels are its own unless others are named."""

from typing import Final

from tailrace.classify.tasks import single
from tailrace.classify.tasks.task import Task, prompt_of

TASK: Final = Task("sentiment", prompt_of("sentiment"), single.properties, single.read, single=True)
