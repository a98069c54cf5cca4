"""Whether two descriptions in a text are of one entity."""

from typing import Final

from tailrace.classify.tasks import single
from tailrace.classify.tasks.task import Task, prompt_of

TASK: Final = Task("matching", prompt_of("matching"), single.properties, single.read, single=True)
