"""What single tasks read beyond what all do: confidence, open questions, several labels, attributes."""

import math
from typing import Any

import pytest

from tailrace.classify.tasks.answer import reading_of
from tailrace.classify.tasks.brief import brief_of
from tailrace.classify.tasks.task import Brief, ReadError, Reading
from tailrace.classify.turn import Subject
from tailrace.settings_classifiers import Classifier, Llm
from tests.classify.tasks.asking import SUBJECT, brief, said


def with_logprobs(text: str, p: float) -> dict[str, Any]:
    top = [
        {"token": text, "logprob": math.log(p)},
        {"token": "no" if text == "yes" else "yes", "logprob": math.log(1 - p)},
    ]
    content = [
        {"token": '{"label":"', "logprob": 0.0, "top_logprobs": [{"token": '{"label":"', "logprob": 0.0}]},
        {"token": text, "logprob": math.log(p), "top_logprobs": top},
        {"token": '"}', "logprob": 0.0, "top_logprobs": [{"token": '"}', "logprob": 0.0}]},
    ]
    return said({"label": text}, logprobs={"content": content})


@pytest.mark.parametrize("name", ["classification", "sentiment", "matching", "qa"])
def test_confidence_is_the_labels_probability(name: str) -> None:
    assert reading_of(brief(name), SUBJECT, with_logprobs("yes", 0.8)).confidence == pytest.approx(0.8)
    assert reading_of(brief(name), SUBJECT, said({"label": "yes"}, logprobs=None)).confidence is None


def test_a_corrected_label_has_no_confidence_as_its_tokens_are_others() -> None:
    reading = reading_of(brief("classification"), SUBJECT, with_logprobs("maybe", 0.8))
    assert (reading.labels, reading.confidence, reading.error) == (("none",), None, ReadError.OFF_LIST)


def test_several_labels_stand_in_the_lists_order_and_none_stands_alone() -> None:
    def labels(*given: str) -> Reading:
        return reading_of(brief("multilabel"), SUBJECT, said({"labels": list(given)}))

    assert labels("no", "Yes", "no").label == "yes,no"
    assert labels("none", "yes").labels == ("yes",)
    assert labels().labels == labels("none").labels == ("none",)
    assert labels("yes", "safe") == Reading(("yes",), error=ReadError.OFF_LIST)
    assert reading_of(brief("multilabel"), SUBJECT, said("yes, no")).labels == ("yes", "no")


def open_question() -> Brief:
    made = brief_of(Classifier(task="qa", question="Who?", llm=Llm(model="m")))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ({"answer": "Anna"}, Reading(("answered",), value="Anna")),
        ({"answer": None}, Reading(("none",))),
        ({"answer": " "}, Reading(("none",))),
        ({"answer": 3}, Reading(("none",), error=ReadError.SHAPE)),
        ("Anna", Reading(("none",), error=ReadError.SHAPE)),
    ],
    ids=str,
)
def test_an_open_question_is_answered_or_not(answer: Any, reading: Reading) -> None:
    assert reading_of(open_question(), SUBJECT, said(answer)) == reading


def test_attributes_that_the_text_does_not_state_are_left_out() -> None:
    def found(**given: Any) -> Reading:
        return reading_of(brief("extraction"), SUBJECT, said({"attributes": given}))

    assert found(yes=" two ", no=None) == Reading(("yes",), value={"yes": "two"})
    assert found(yes=2, no="") == Reading(("yes",), value={"yes": "2"})
    assert found(no=[1]).labels == ("none",)
    assert found(yes="a", safe="b") == Reading(("yes",), value={"yes": "a"}, error=ReadError.OFF_LIST)


def test_thoughts_in_tags_or_before_the_last_line_are_no_answer() -> None:
    for text in ("<think>yes? no.</think>no", "It could be yes.\nBut he declines.\n\nno"):
        assert reading_of(brief("classification"), Subject("x"), said(text)).labels == ("no",)
