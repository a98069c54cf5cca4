"""A classifier of any task to ask with, and what a provider answers."""

from typing import Any, Final

import orjson

from tailrace.classify.tasks.brief import brief_of
from tailrace.classify.tasks.task import Brief
from tailrace.classify.turn import Subject, Turn
from tailrace.settings_classifiers import Classifier, Llm

SUBJECT: Final = Subject("Book it for Anna", (Turn("user", "hi"), Turn("assistant", "which?")), "question", "assistant")


def brief(name: str, **llm: Any) -> Brief:
    made = brief_of(
        Classifier(
            task=name,
            labels={"yes": "agrees", "no": "declines"},
            question="Does he?" if name == "qa" else None,
            glossary={"PNR": "booking reference", "Anna": "a colleague"},
            llm=Llm(model="m", **llm),
        ),
        "Mind the house rules.",
    )
    assert made is not None
    return made


def said(content: Any, **choice: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else orjson.dumps(content).decode()
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}]}
