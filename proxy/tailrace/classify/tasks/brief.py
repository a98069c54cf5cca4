"""From a classifier's settings to what a model is asked."""

from tailrace.classify.tasks import TASKS
from tailrace.classify.tasks.task import Brief
from tailrace.settings_classifiers import Classifier


def brief_of(classifier: Classifier, instructions: str = "") -> Brief | None:
    """What `classifier` asks its model, with what stands in its file of instructions; None where it asks none."""
    llm = classifier.llm
    if llm is None:
        return None
    return Brief(
        task=TASKS[classifier.task],
        model=llm.model,
        labels=classifier.definitions(),
        named=bool(classifier.labels),
        question=classifier.question or "",
        glossary=classifier.glossary,
        instructions=instructions,
        reasoning=llm.reasoning,
        output=llm.output,
        logprobs=llm.logprobs,
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
    )
