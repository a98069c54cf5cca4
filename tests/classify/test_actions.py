"""Which action fires: of live sources, as sure as it asks, one alone that changes the call, and each with its why."""

from typing import Any

import pytest

from tailrace.classify.actions import Act, Decision, Labelled, Why, decide
from tailrace.settings_classifiers import Action, Classifier

REPLY = Action(on="a", do="reply", text="Bye.")
ROUTE = Action(on="a", do="route", target="sim/echo")
NOTE = Action(on="a", do="note", text="x")
TAG = Action(on="a", do="tag", tag="t")
HOOK = Action(on="a", do="webhook", url="https://h.test")


def dry(action: Action) -> Action:
    return action.model_copy(update={"dry_run": True})


def labelled(name: str = "c", *labels: str, **more: Any) -> Labelled:
    labels = labels or ("a",)
    values = {"confidence": 0.95, "source": "llm", "version": "v", "live": True, **more}
    return Labelled(name, ",".join(labels), labels, **values)


def decided(*actions: Action, in_time: bool = True, **more: Any) -> Decision:
    return decide([labelled(**more)], {"c": Classifier(labels={"a": "", "b": ""}, actions=actions)}, in_time=in_time)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, None),
        ({"confidence": 0.9}, None),
        ({"confidence": 0.89}, Why.CONFIDENCE),
        ({"confidence": 0.0}, Why.CONFIDENCE),
        ({"confidence": None}, Why.UNKNOWN),
        ({"confidence": None, "source": "cache"}, Why.UNKNOWN),
        ({"confidence": None, "source": "rule"}, None),
        ({"confidence": 0.1, "source": "rule"}, Why.CONFIDENCE),
        ({"confidence": None, "source": "human"}, None),
        ({"live": False}, Why.SHADOW),
        ({"live": False, "source": "rule"}, Why.SHADOW),
    ],
)
def test_an_action_fires_for_a_live_label_that_is_sure_enough(more: dict[str, Any], why: Why | None) -> None:
    (act,) = decided(TAG, **more).acts
    assert (act.why_not, act.fires) == (why, why is None)


def test_no_confidence_is_enough_where_none_is_asked_for() -> None:
    assert decided(TAG.model_copy(update={"min_confidence": 0}), confidence=None).fired("tag")


def test_only_the_label_that_came_up_calls() -> None:
    settings = {"c": Classifier(labels={"a": "", "b": ""}, actions=(TAG, TAG.model_copy(update={"on": "b"})))}
    assert [act.index for act in decide([labelled("c", "b")], settings).acts] == [1]
    assert [act.index for act in decide([labelled("c", "a", "b")], settings).acts] == [0, 1]
    assert decide([labelled("c", "none")], settings) == decide([labelled("gone")], settings) == Decision()
    assert decide([labelled("c", "a", "b")], settings).acts[0].tag == ("t", "a,b")


def test_one_action_changes_the_call_and_the_first_one_does() -> None:
    assert whys(decided(ROUTE, REPLY, NOTE, TAG, HOOK)) == [None, Why.TAKEN, None, None, None]
    assert whys(decided(NOTE, REPLY, ROUTE, TAG, HOOK)) == [Why.TAKEN, None, Why.TAKEN, None, None]
    found = decided(NOTE, REPLY, ROUTE, TAG, HOOK)
    assert found.reply is found.acts[1]
    assert found.route is None


def whys(decision: Decision) -> list[Why | None]:
    return [act.why_not for act in decision.acts]


def test_a_dry_run_takes_no_place_and_is_not_carried_out() -> None:
    found = decided(dry(REPLY), ROUTE, dry(ROUTE), dry(TAG))
    assert whys(found) == [None] * 4
    assert (found.reply, found.route, found.fired("tag")) == (None, found.acts[1], ())


def test_classifiers_count_in_the_order_of_the_settings() -> None:
    settings = {name: Classifier(labels={"a": ""}, actions=(ROUTE,)) for name in ("x", "y")}
    found = decide([labelled("y"), labelled("x")], settings)
    assert [(act.cause.classifier, act.why_not) for act in found.acts] == [("x", None), ("y", Why.TAKEN)]
    unsure = decide([labelled("y"), labelled("x", confidence=0.1)], settings)
    assert whys(unsure) == [Why.CONFIDENCE, None]


def test_after_the_answer_only_tags_and_webhooks_are_left() -> None:
    assert whys(decided(REPLY, ROUTE, NOTE, TAG, HOOK, in_time=False)) == [Why.LATE] * 3 + [None] * 2


def test_every_action_that_was_called_for_is_told_once_with_its_cause() -> None:
    found = decided(REPLY, dry(ROUTE), NOTE)
    assert found.acts == (
        Act(REPLY, 0, labelled()),
        Act(dry(ROUTE), 1, labelled()),
        Act(NOTE, 2, labelled(), Why.TAKEN),
    )
