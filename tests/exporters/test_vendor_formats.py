"""OpenAI's chat shape as the vendors take it: each rule and limit, what is converted, refused, found."""

from dataclasses import replace
from typing import Final

import jsonschema_rs
import orjson
import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.rows import Judgement, Kind
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALL, CALLING, RESULT, ROWS, WEATHER, row
from tests.exporters.vendors import CHAT, IN_TURNS, STEPS, SYSTEM, found, made, picture, png, refused

# ── the mask ──


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"csv"}))  # from a table nobody learns
def test_nothing_but_an_answer_is_learned(name: str) -> None:
    bad = row([user("U"), said("A")], learn=[0, 1])
    if Kind.CONVERSATION not in FORMATS[name].kinds:
        bad = replace(bad, kind=Kind.PREFERENCE, judgement=Judgement("told", None, rejected=said("B")))
    with pytest.raises(UnfitError) as caught:
        FORMATS[name].project(bad)
    assert (caught.value.reason, caught.value.pointer) == ("learns_no_answer", "/train/0")


@pytest.mark.parametrize("name", CHAT)
def test_weights_say_what_is_learned(name: str) -> None:
    line = made(name, [user("one"), said("1"), user("two"), said("2")], learn=[3])
    assert [message.get("weight") for message in line.value["messages"]] == [None, 0, None, 1]


@pytest.mark.parametrize("name", IN_TURNS)
def test_a_target_without_weights_takes_no_row_that_is_learned_in_part(name: str) -> None:
    turns = [SYSTEM, user("one"), said("1"), user("two"), said("2")]
    assert refused(name, turns, learn=[4]) == ("mask_not_expressible", "/messages/2")
    assert refused(name, turns, learn=[2]) == ("mask_not_expressible", "/messages/4")


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("weight", [2, -1, 0.5, 1.0, True, "1", None])
def test_a_weight_is_0_or_1(name: str, weight: Json) -> None:
    messages = [user("U"), {"role": "assistant", "content": "A", "weight": weight}]
    assert ("/messages/1/weight", "mask_not_expressible") in found(name, {"messages": messages})


@pytest.mark.parametrize("name", CHAT)
def test_only_answers_have_weights_and_one_is_learned(name: str) -> None:
    answer = {"role": "assistant", "content": "A", "weight": 0}
    assert found(name, {"messages": [user("U"), answer]}) == [("/messages", "nothing_learned")]
    line = {"messages": [user("U") | {"weight": 1}, answer | {"weight": 1}]}
    assert found(name, line) == [("/messages/0/weight", "unknown_key")]


# ── OpenAI ──


@pytest.mark.parametrize("name", CHAT)
def test_a_row_ends_with_an_answer(name: str) -> None:
    assert ("/messages/0", "no_last_answer") in found(name, {"messages": [user("U")]})
    assert refused(name, [user("U"), said("A"), user("V")]) == ("no_last_answer", "/messages/2")


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("line", [None, [], "x", {}, {"messages": []}, {"messages": {}}, {"messages": [3]}])
def test_what_is_no_line_at_all(name: str, line: Json) -> None:
    assert found(name, line)


@pytest.mark.parametrize("name", CHAT)
def test_unknown_keys_are_found_and_pointed_at(name: str) -> None:
    line: Json = {"messages": [user("U") | {"a/b~": 1}, {"role": "assistant", "content": "A"}], "metadata": {}}
    assert found(name, line) == [("/metadata", "unknown_key"), ("/messages/0/a~1b~0", "unknown_key")]


@pytest.mark.parametrize("name", ["openai-chat", "azure-chat", "mistral"])
def test_the_results_of_calls_stand_right_behind_them(name: str) -> None:
    two = CALLING | {"tool_calls": [CALL, CALL | {"id": "call_2"}]}
    reason = "unanswered_call"
    assert refused(name, [user("U"), two, RESULT, said("A")]) == (reason, "/messages/1/tool_calls")
    assert refused(name, [user("U"), CALLING, RESULT, RESULT, said("A")]) == (reason, "/messages/3/tool_call_id")
    assert refused(name, [user("U"), CALLING, user("V"), RESULT, said("A")])[0] == reason
    made(name, [user("U"), CALLING])  # the last answer's are not there yet


def test_azure_takes_no_two_answers_in_a_row_and_openai_does() -> None:
    adjacent = [user("U"), said("A"), said("B")]
    assert refused("azure-chat", adjacent) == ("turns_unfit", "/messages/2")
    made("openai-chat", adjacent)


@pytest.mark.parametrize("name", ["openai-chat", "azure-chat", "mistral", "openai-rft"])
@pytest.mark.parametrize("tool", ["a.b", "x" * 65, "", "größe"])
def test_names_of_tools(name: str, tool: str) -> None:
    bad = {"type": "function", "function": {"name": tool, "parameters": {}}}
    assert refused(name, [user("U"), said("A")], tools=[bad]) == ("tool_unfit", "/tools/0/function/name")


def test_keys_of_a_tool_that_are_not_openais_are_left_out_by_rule() -> None:
    tool = WEATHER | {"cache_control": {"type": "ephemeral"}}
    line = made("openai-chat", [user("U"), said("A")], tools=[tool])
    assert line.value["tools"] == [WEATHER]
    assert line.rules == {"extra_keys_omitted"}


REQUEST_SCHEMA: Final = {
    "type": "object",
    "required": ["messages"],
    "properties": {
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": ["system", "user", "assistant", "tool", "function"]},
                    "weight": {"enum": [0, 1]},
                    "tool_calls": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "type", "function"],
                            "properties": {
                                "id": {"type": "string"},
                                "type": {"const": "function"},
                                "function": {
                                    "type": "object",
                                    "required": ["name", "arguments"],
                                    "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}},
                                },
                            },
                        },
                    },
                },
                "allOf": [
                    {"if": {"properties": {"role": {"const": role}}}, "then": {"required": wants}}
                    for role, wants in {
                        "system": ["content"],
                        "user": ["content"],
                        "tool": ["content", "tool_call_id"],
                    }.items()
                ],
            },
        },
        "tools": {"type": "array", "items": {"type": "object", "required": ["type", "function"]}},
        "parallel_tool_calls": {"type": "boolean"},
    },
}
"""What `FineTuneChatRequestInput` of openai/openai-openapi (branch 2025-03-21) demands, in words of our own."""


@pytest.mark.parametrize("title", sorted(ROWS))
@pytest.mark.parametrize("name", ["openai-chat", "azure-chat"])
def test_lines_are_what_openais_published_request_demands(name: str, title: str) -> None:
    jsonschema_rs.validate(REQUEST_SCHEMA, FORMATS[name].project(ROWS[title]).value)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 2},
        {"role": "robot"},
        {"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"tool_calls": [CALL | {"function": {"name": "f", "arguments": {}}}]},
    ],
)
def test_what_the_published_request_forbids_the_check_finds(change: Json) -> None:
    line = {"messages": [user("U"), {"role": "assistant", "content": "A"} | change]}
    assert not jsonschema_rs.is_valid(REQUEST_SCHEMA, line)
    assert found("openai-chat", line)


# ── images ──


@pytest.mark.parametrize(
    ("name", "url", "fits"),
    [
        ("openai-chat", "https://example.com/a.png", True),
        ("azure-chat", "https://example.com/a.png", True),
        ("together", "https://example.com/a.png", False),
        ("fireworks", "https://example.com/a.png", False),
        *((name, png(), True) for name in ("openai-chat", "azure-chat", "together", "fireworks")),
        *((name, "data:image/gif;base64,AA==", False) for name in ("openai-chat", "together", "fireworks")),
        *((name, "data:image/png;base64,A", False) for name in ("openai-chat", "together", "fireworks")),
        *((name, "AA==", False) for name in ("openai-chat", "together", "fireworks")),
        *((name, png(10_000_001), False) for name in ("openai-chat", "azure-chat", "together")),
        ("vertex-gemini", "gs://bucket/a.JPG", True),
        ("vertex-gemini", "https://example.com/a.webp", True),
        ("vertex-gemini", "https://example.com/a", False),
        ("vertex-gemini", png(), False),
        ("bedrock-converse", "s3://bucket/a.png", True),
        ("bedrock-converse", "s3://bucket/a b.png", False),
        ("bedrock-converse", "s3://bucket/a.webp", False),
        ("bedrock-converse", png(), False),
    ],
)
def test_images(name: str, url: str, *, fits: bool) -> None:
    messages = [picture(url), said("A")]
    if fits:
        assert url in orjson.dumps(made(name, messages).value).decode()
    else:
        assert refused(name, messages) == ("image_unfit", "/messages/0/content/1/image_url")


@pytest.mark.parametrize(
    ("name", "most", "url"),
    [
        ("openai-chat", 10, png()),
        ("azure-chat", 64, png()),
        ("together", 10, png()),
        ("bedrock-converse", 10, "s3://b/a.png"),
    ],
)
def test_number_of_images(name: str, most: int, url: str) -> None:
    def pictures(count: int) -> Json:
        return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}] * count}

    made(name, [pictures(most), said("A")])
    assert refused(name, [pictures(most + 1), said("A")])[0] == "too_many_images"


@pytest.mark.parametrize("name", ["mistral", "openai-rft", "bedrock-claude"])
def test_targets_of_text_only(name: str) -> None:
    assert refused(name, [picture(png()), said("A")]) == ("unknown_part", "/messages/0/content/1")


# ── Together ──


def test_together_takes_contents_of_one_sort() -> None:
    line = made("together", [SYSTEM, picture(png()), CALLING, RESULT, said("A")])
    contents = [message["content"] for message in line.value["messages"]]
    assert [type(content) for content in contents] == [list, list, type(None), list, list]
    assert line.rules == {"text_as_parts"}
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert made("together", [SYSTEM, parts, said("A")]).value["messages"][1]["content"] == "ab"
    mixed = {"messages": [SYSTEM, parts, {"role": "assistant", "content": [{"type": "text", "text": "A"}]}]}
    assert found("together", mixed) == [("/messages/0/content", "unknown_shape")]


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_together_carries_reasoning(key: str) -> None:
    line = made("together", [user("U"), said("A") | {key: "hmm"}])
    assert line.value["messages"][1] == {"role": "assistant", "content": "A", key: "hmm"}
    assert "reasoning_omitted" not in line.rules


@pytest.mark.parametrize("name", ["together", "fireworks", "mistral"])
def test_columns_are_known_ones(name: str) -> None:
    line = made(name, [user("U"), said("A")], tools=[WEATHER], parallel_tool_calls=True)
    assert list(line.value) == ["messages", "tools"]
    assert "parallel_tool_calls_omitted" in line.rules
    assert ("/parallel_tool_calls", "unknown_key") in found(name, line.value | {"parallel_tool_calls": True})


# ── one system message, first ──


@pytest.mark.parametrize("name", ["fireworks", "mistral", "bedrock-claude"])
def test_one_system_message_before_all_others(name: str) -> None:
    assert refused(name, [user("U"), SYSTEM, said("A")]) == ("system_not_first", "/messages/1")
    assert refused(name, [SYSTEM, SYSTEM, user("U"), said("A")]) == ("system_not_first", "/messages/1")


@pytest.mark.parametrize("name", ["vertex-gemini", "bedrock-converse"])
def test_several_system_messages_but_none_later(name: str) -> None:
    assert refused(name, [SYSTEM, user("U"), SYSTEM, said("A")]) == ("system_not_first", "/messages/2")
    made(name, [SYSTEM, {"role": "developer", "content": "D"}, user("U"), said("A")])


# ── Mistral ──


def test_mistral_ids_are_nine_letters_and_digits_the_same_for_call_and_result_and_in_every_row() -> None:
    messages = [user("rain?"), CALLING, RESULT, said("It rains.")]
    line = made("mistral", messages)
    (call,) = line.value["messages"][1]["tool_calls"]
    assert call["id"] == line.value["messages"][2]["tool_call_id"]
    assert len(call["id"]) == 9
    assert call["id"].isalnum()
    assert line.rules == {"tool_call_ids_mapped"}
    again = made("mistral", [SYSTEM, *messages])
    assert again.value["messages"][2]["tool_calls"][0]["id"] == call["id"]


def test_mistral_ids_that_fit_stay_and_no_other_becomes_one_of_them() -> None:
    line = made("mistral", STEPS)
    nine = line.value["messages"][2]["tool_call_id"]
    taken = CALLING | {"tool_calls": [CALL, CALL | {"id": nine}]}
    both = made("mistral", [user("U"), taken, RESULT, RESULT | {"tool_call_id": nine}, said("A")])
    first, second = (call["id"] for call in both.value["messages"][1]["tool_calls"])
    assert second == nine
    assert first != nine
    assert [message["tool_call_id"] for message in both.value["messages"][2:4]] == [first, second]
    bad = orjson.loads(orjson.dumps(both.value))
    bad["messages"][1]["tool_calls"][0]["id"] = bad["messages"][2]["tool_call_id"] = "call_1"
    assert [pointer for pointer, _ in found("mistral", bad)] == [
        "/messages/1/tool_calls/0/id",
        "/messages/2/tool_call_id",
    ]


def test_mistral_with_tools_learns_the_last_answer_and_no_other() -> None:
    assert refused("mistral", STEPS, tools=[WEATHER]) == ("mask_not_expressible", "/messages/1")
    assert refused("mistral", STEPS, tools=[WEATHER], learn=[1]) == ("mask_not_expressible", "/messages/1")
    line = made("mistral", STEPS, tools=[WEATHER], learn=[3])
    assert [message.get("weight") for message in line.value["messages"]] == [None, 0, None, 1]
    made("mistral", STEPS)  # without tools each answer counts


def test_mistral_wants_description_and_parameters() -> None:
    line = made("mistral", [user("U"), said("A")], tools=[{"type": "function", "function": {"name": "f"}}])
    empty = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
    assert line.value["tools"] == [{"type": "function", "function": empty}]
    assert line.rules == {"tool_members_filled"}
    line.value["tools"][0]["function"].pop("description")
    assert found("mistral", line.value) == [("/tools/0/function/description", "tool_unfit")]


def test_mistral_takes_words_or_calls() -> None:
    both = CALLING | {"content": "Let me see."}
    assert refused("mistral", [user("U"), both, RESULT, said("A")]) == ("words_and_calls", "/messages/1")
    assert refused("mistral", [user("U"), said(""), user("V"), said("A")], learn=[3]) == ("empty_answer", "/messages/1")
    assert refused("mistral", [said("A"), user("U"), said("B")]) == ("turns_unfit", "/messages/0/role")
