"""Records of labels and actions: complete, and without a word of calls that may not be logged."""

from uuid import UUID

import pytest

from tailrace.classify.actions import Act, Labelled
from tailrace.classify.cascade import Said
from tailrace.classify.ready import load
from tailrace.classify.written import PRIVATE, action_record, label_record, labelled, new_id, outcome_of, without_words
from tailrace.clock import Clock
from tailrace.records import LabelMode, LabelSource, Outcome
from tailrace.settings_classifiers import Action, Classifier

CALL = UUID(int=7)
READY = load("c", Classifier(labels={"a": ""}))
CLOCK = Clock(0)


def act(**values: object) -> Act:
    cause = Labelled("c", "a", ("a",), 0.9, "llm", "v", live=True)
    return Act(Action.model_validate({"on": "a", **values}), 3, cause)


def test_a_label_says_whence_it_came() -> None:
    said = Said(LabelSource.LLM, "a", 0.8, LabelMode.AUDIT, note="why")
    record = label_record(READY, said, CALL, id_=new_id(CLOCK), at_us=9, took_us=5)
    assert (record.completion, record.classifier, record.version) == (CALL, "c", READY.version)
    assert (record.label, record.confidence, record.source, record.mode) == ("a", 0.8, "llm", "audit")
    assert (record.at_us, record.latency_us, record.note) == (9, 5, "why")
    assert new_id(CLOCK) != record.id


@pytest.mark.parametrize("value", ["a", ("a", "b"), None])
def test_labels_may_be_logged_of_any_call_but_no_reasoning(value: object) -> None:
    kept = without_words(Said(LabelSource.LLM, value, 0.8, note="the user said …"))
    assert (kept.value, kept.note, kept.error) == (value, None, None)


@pytest.mark.parametrize("value", [[{"label": "city", "text": "Bonn"}], {"name": "Ann"}, 3.5])
def test_what_repeats_the_user_is_left_out(value: object) -> None:
    kept = without_words(Said(LabelSource.LLM, value, 0.8, note="x"))
    assert (kept.value, kept.note, kept.error) == (None, None, PRIVATE)


def test_a_webhook_is_planned_and_everything_else_done_or_failed() -> None:
    hook = act(do="webhook", url="https://h.example/x")
    assert outcome_of(hook) is Outcome.PLANNED
    record = action_record(hook, CALL, CLOCK)
    assert (record.key, record.target, record.outcome, record.label) == ("c:3", "https://h.example/x", "planned", "a")
    assert outcome_of(act(do="webhook", url="https://h.example/x", dry_run=True)) is Outcome.DONE
    assert outcome_of(act(do="route", target="m")) is Outcome.DONE
    failed = action_record(act(do="note", text="n"), CALL, CLOCK, failure="no_place")
    assert (failed.outcome, failed.error, failed.target) == ("failed", "no_place", "n")


def test_what_actions_are_decided_by() -> None:
    said = labelled(READY, Said(LabelSource.RULE, ("a", "b"), None, LabelMode.SHADOW))
    assert (said.label, said.labels, said.live) == ("a,b", ("a", "b"), False)
