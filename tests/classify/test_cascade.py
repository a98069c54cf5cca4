"""The cascade: who is asked in which order, what shadow means, and that no failure of a model is an exception."""

from dataclasses import dataclass
from typing import Any

import pytest

from tailrace.classify.cascade import CACHED, Cascade, labels_of
from tailrace.classify.learned import Learned
from tailrace.classify.ready import Ready, load
from tailrace.classify.turn import Subject
from tailrace.records import LabelMode, LabelSource, Origin
from tailrace.settings_classifiers import Classifier
from tailrace.wire.own import Completed

LABELS = {"confirm": "agrees", "reject": "declines"}
RULES = [{"label": "confirm", "exact": ["yes"]}, {"label": "reject", "exact": ["yes", "no"]}]


def ready(**more: Any) -> Ready:
    values = {"labels": LABELS, "rules": RULES, "llm": {"model": "m"}} | more
    return load("c", Classifier.model_validate(values))


class Models:
    """Answers with what it was told to, in turn; the last one again and again."""

    def __init__(self, *said: str | Completed) -> None:
        self.said = list(said)
        self.asked: list[tuple[dict[str, Any], str, str | None, bool]] = []

    async def complete(
        self, request: Any, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        self.asked.append((request, origin, source, private))
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Completed):
            return said
        message = {"role": "assistant", "content": said}
        return Completed(200, {"choices": [{"message": message, "finish_reason": "stop"}]})

    async def embed(self, model: str, texts: Any) -> None:
        raise AssertionError("nobody asked for embeddings")


@dataclass(frozen=True)
class Answer:
    labels: tuple[str, ...]
    confidence: float
    alone: bool


class Student:
    def __init__(self, *, sure: bool) -> None:
        self.sure = sure

    def say(self, subject: Subject) -> Answer:
        return Answer(("reject",), 0.97, self.sure)


def test_rules_come_first_and_say_which_of_them_fired() -> None:
    said = Cascade(ready(), Student(sure=True)).at_once(Subject("Yes!")).said
    assert said is not None
    assert (said.value, said.source, said.confidence) == ("confirm", LabelSource.RULE, None)
    assert said.note == '{"rules":[1,2],"conflict":true}'


def test_a_student_that_is_not_sure_leaves_it_to_the_model() -> None:
    assert Cascade(ready(), Student(sure=False)).at_once(Subject("hm")).said is None
    said = Cascade(ready(), Student(sure=True)).at_once(Subject("hm")).said
    assert said is not None
    assert (said.source, said.confidence) == (LabelSource.STUDENT, 0.97)


def test_a_source_in_shadow_stands_beside_and_a_source_that_is_off_is_not_asked() -> None:
    at_once = Cascade(ready(modes={"rules": "shadow"}), Student(sure=True)).at_once(Subject("yes"))
    assert at_once.said is not None
    assert at_once.said.source == LabelSource.STUDENT
    assert [(shadow.source, shadow.mode) for shadow in at_once.shadows] == [(LabelSource.RULE, LabelMode.SHADOW)]
    at_once = Cascade(ready(modes={"rules": "off"}, cascade=["rules", "llm"])).at_once(Subject("yes"))
    assert (at_once.said, at_once.shadows) == (None, ())


def test_a_whole_classifier_in_shadow_decides_nothing() -> None:
    cascade = Cascade(ready(mode="shadow"), Student(sure=True))
    at_once = cascade.at_once(Subject("yes"))
    assert at_once.said is None
    assert {shadow.source for shadow in at_once.shadows} == {LabelSource.RULE, LabelSource.STUDENT}
    assert not cascade.asks_model


async def test_what_the_model_said_is_given_again_for_the_very_same_turn() -> None:
    cascade, models = Cascade(ready()), Models('{"label":"confirm"}')
    said = await cascade.ask(Subject("go for it"), models, source="id", private=True)
    assert (said.value, said.source, said.error) == ("confirm", LabelSource.LLM, None)
    assert models.asked[0][1:] == (Origin.CLASSIFIER, "id", True)
    again = cascade.at_once(Subject("GO  for it")).said
    assert again is not None
    assert (again.value, again.source) == ("confirm", LabelSource.CACHE)
    assert cascade.at_once(Subject("go for it", previous="reject")).said is None


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.classify.cascade.CACHED", 2)
    cascade, models = Cascade(ready()), Models('{"label":"confirm"}')
    for text in "abc":
        await cascade.ask(Subject(text), models, source=None)
    assert [cascade.at_once(Subject(text)).said is not None for text in "abc"] == [False, True, True]
    assert CACHED > 1000


async def test_off_the_list_the_model_is_asked_once_more_and_then_it_failed() -> None:
    models = Models('{"label":"perhaps"}', '{"label":"reject"}')
    said = await Cascade(ready()).ask(Subject("x"), models, source=None)
    assert (said.value, len(models.asked)) == ("reject", 2)
    models = Models('{"label":"perhaps"}')
    cascade = Cascade(ready())
    said = await cascade.ask(Subject("x"), models, source=None)
    assert (said.value, said.error, len(models.asked)) == (None, "off_list", 2)
    assert cascade.at_once(Subject("x")).said is None  # a failure is not remembered


async def test_a_model_that_does_not_answer_is_a_failure_with_its_reason() -> None:
    models = Models(Completed(503, None, "status 503: down"))
    said = await Cascade(ready()).ask(Subject("x"), models, source=None)
    assert (said.value, said.error, said.note) == (None, "unanswered", "status 503: down")


def test_a_rule_that_left_is_not_asked() -> None:
    cascade = Cascade(ready())
    cascade.learned = Learned({1: "was wrong"})
    assert cascade.at_once(Subject("no")).said is None
    said = cascade.at_once(Subject("yes")).said
    assert said is not None
    assert said.note == '{"rules":[1],"conflict":false}'


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a", ("a",)),
        (("a", "b"), ("a", "b")),
        ([{"label": "city", "text": "Bonn"}, {"label": "city", "text": "Rom"}, {"label": "day"}], ("city", "day")),
        ({"size": 3, "colour": "red"}, ("size", "colour")),
        (3, ()),
    ],
)
def test_what_actions_may_be_set_on(value: Any, words: tuple[str, ...]) -> None:
    assert labels_of(value) == words
