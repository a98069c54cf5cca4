"""Rows of preferences and for reinforcement: two answers, or a reference, to what was asked."""

import orjson
import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import UnfitError
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALL, CALLING, RESULT, WEATHER
from tests.exporters.vendors import STEPS, SYSTEM, found, made, picture, preference, refused

TWO_CALLS = CALLING | {"tool_calls": [CALL, CALL | {"id": "call_2"}]}

# ── preferences ──


def test_two_answers_to_the_same_messages() -> None:
    turns = [SYSTEM, user("one"), said("1"), user("two"), said("2")]
    line = FORMATS["openai-dpo"].project(preference(turns, said("no"), tools=[WEATHER], parallel_tool_calls=True))
    assert list(line.value) == ["input", "preferred_output", "non_preferred_output"]
    assert [message["role"] for message in line.value["input"]["messages"]] == ["system", "user", "assistant", "user"]
    assert line.value["input"]["tools"] == [WEATHER]
    assert line.value["input"]["parallel_tool_calls"] is True
    assert line.value["preferred_output"] == [{"role": "assistant", "content": "2"}]
    assert line.value["non_preferred_output"] == [{"role": "assistant", "content": "no"}]
    assert b"weight" not in orjson.dumps(line.value)


@pytest.mark.parametrize(
    ("messages", "rejected", "reason", "pointer"),
    [
        ([user("U"), CALLING], said("B"), "output_not_text", "/messages/1/tool_calls"),
        ([user("U"), said("A")], CALLING, "output_not_text", "/judgement/rejected/tool_calls"),
        ([user("U"), said("A")], said(""), "empty_answer", "/judgement/rejected/content"),
        ([user("U"), said("A")], said("A"), "equal_outputs", "/judgement/rejected"),
        ([user("U"), said("A")], user("B"), "unknown_role", "/judgement/rejected/role"),
        ([user("U"), said("A")], None, "unknown_shape", "/judgement/rejected"),
        ([said("A")], said("B"), "unknown_shape", "/messages"),
        ([user("U"), said("x"), said("A")], said("B"), "turns_unfit", "/messages/1"),
        ([user("U"), TWO_CALLS, RESULT, said("A")], said("B"), "unanswered_call", "/messages/1/tool_calls"),
        ([picture("https://x/a.png"), said("A")], said("B"), "unknown_part", "/messages/0/content/1"),
    ],
)
def test_preferences_that_cannot_be_told(messages: list[Json], rejected: Json, reason: str, pointer: str) -> None:
    with pytest.raises(UnfitError) as caught:
        FORMATS["openai-dpo"].project(preference(messages, rejected))
    assert (caught.value.reason, caught.value.pointer) == (reason, pointer)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"preferred_output": []}, "/preferred_output"),
        ({"preferred_output": [{"role": "assistant", "content": "A"}] * 2}, "/preferred_output"),
        ({"non_preferred_output": [{"role": "user", "content": "A"}]}, "/non_preferred_output"),
        ({"non_preferred_completion": []}, "/non_preferred_completion"),
        ({"input": []}, "/input"),
        ({"input": {"messages": []}}, "/input/messages"),
        ({"input": {"messages": [{"role": "assistant", "content": "A"}]}}, "/input/messages/0"),
    ],
)
def test_a_check_of_preferences(change: Json, pointer: str) -> None:
    line = FORMATS["openai-dpo"].project(preference([user("U"), said("A")], said("B"))).value
    assert pointer in [at for at, _ in found("openai-dpo", line | change)]


# ── reinforcement ──


def test_the_reference_stands_beside_what_was_asked() -> None:
    line = made("openai-rft", [SYSTEM, user("U"), said("42")])
    assert line.value == {
        "messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "U"}],
        "reference_answer": "42",
    }
    assert line.rules == {"system_as_developer"}
    assert not made("openai-rft", [{"role": "developer", "content": "D"}, user("U"), said("42")]).rules


def test_calls_of_the_reference_are_for_the_grader() -> None:
    line = made("openai-rft", [user("U"), CALLING], tools=[WEATHER])
    assert line.value["reference_tool_calls"] == ["weather"]
    assert line.value["reference_tool_args"] == [{"city": "Zürich"}]
    assert line.value["reference_answer"] == ""
    plain = made("openai-rft", [user("U"), said("A")], tools=[WEATHER])
    assert (plain.value["reference_tool_calls"], plain.value["reference_tool_args"]) == ([], [])


def test_what_is_asked_ends_with_the_user_and_only_the_last_answer_is_the_reference() -> None:
    assert refused("openai-rft", STEPS, learn=[3]) == ("no_user_last", "/messages/2")
    assert refused("openai-rft", [user("1"), said("2"), user("3"), said("4")]) == (
        "mask_not_expressible",
        "/messages/1",
    )
    good = made("openai-rft", [user("U"), said("A")]).value
    assert not found("openai-rft", good | {"difficulty": 3})  # the grader's own
    assert found("openai-rft", good | {"reference_answer": 42}) == [("/reference_answer", "unknown_shape")]
    system = {"role": "system", "content": "S"}
    assert ("/messages/0/role", "unknown_role") in found("openai-rft", good | {"messages": [system, user("U")]})
