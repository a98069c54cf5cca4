"""Gemini's and Bedrock's rows: strict turns, other shapes, words and schemas that they do not take."""

import orjson
import pytest

from tailrace.records import Json
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALL, CALLING, RESULT, WEATHER
from tests.exporters.vendors import SYSTEM, found, made, picture, refused

# ── Gemini ──


def test_gemini_takes_arguments_as_objects_and_results_in_one_turn() -> None:
    two = CALLING | {"content": "Let me see.", "tool_calls": [CALL, CALL | {"id": "call_2"}]}
    line = made("vertex-gemini", [user("U"), two, RESULT, RESULT | {"tool_call_id": "call_2"}, said("A")])
    asked, model, results, _ = line.value["contents"]
    assert asked["role"] == results["role"] == "user"
    assert model["parts"] == [
        {"text": "Let me see."},
        *[{"functionCall": {"name": "weather", "args": {"city": "Zürich"}}}] * 2,
    ]
    assert results["parts"] == [{"functionResponse": {"name": "weather", "response": {"output": "wet"}}}] * 2
    assert line.rules == {"tool_result_as_output"}


@pytest.mark.parametrize(
    ("messages", "reason", "pointer"),
    [
        ([user("U"), CALLING, said("A")], "turns_unfit", "/messages/2"),
        ([user("U"), CALLING, user("V"), said("A")], "unanswered_call", "/messages/2"),
        ([user("U"), CALLING, RESULT, user("V"), said("A")], "turns_unfit", "/messages/2"),
        ([said("A"), user("U"), said("B")], "turns_unfit", "/messages/0"),
        ([user(""), said("A")], "empty_text", "/messages/0/content"),
        (
            [user("U"), CALLING | {"tool_calls": [CALL | {"function": {"name": "weather", "arguments": "[]"}}]}],
            "arguments_unfit",
            "/messages/1/tool_calls/0/function/arguments",
        ),
    ],
)
def test_turns_that_gemini_does_not_take(messages: list[Json], reason: str, pointer: str) -> None:
    assert refused("vertex-gemini", messages) == (reason, pointer)


def test_neighbours_of_the_users_side_become_one_turn_by_rule() -> None:
    line = made("vertex-gemini", [user("a"), user("b"), said("A")])
    assert line.value["contents"][0] == {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    assert line.rules == {"turns_merged"}


@pytest.mark.parametrize(
    ("schema", "gemini", "omitted"),
    [
        ({"type": "string", "enum": ["a"]}, {"type": "STRING", "enum": ["a"]}, False),
        ({"type": ["integer", "null"], "minimum": 0}, {"type": "INTEGER", "nullable": True, "minimum": 0}, False),
        ({"type": "object", "additionalProperties": False}, {"type": "OBJECT"}, True),
        ({"type": "array", "items": {"type": "null"}}, {"type": "ARRAY", "items": {"type": "NULL"}}, False),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "STRING"}]}, False),
        ({"type": ["string", "integer"]}, "/type", False),
        ({"type": "strange"}, "/type", False),
        ({"properties": {"a": {"$ref": "#"}}}, "/properties/a/$ref", False),
        ({"oneOf": []}, "/oneOf", False),
        ({"enum": [1]}, "/enum", False),
        ({"items": True}, "/items", False),
        ({"anyOf": [3]}, "/anyOf/0", False),
        ({"properties": {"a": 3}}, "/properties/a", False),
    ],
)
def test_schemas_in_geminis_words(schema: Json, gemini: Json, *, omitted: bool) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    if type(gemini) is str:
        at = f"/tools/0/function/parameters{gemini}"
        assert refused("vertex-gemini", [user("U"), said("A")], tools=[tool]) == ("schema_unfit", at)
        return
    line = made("vertex-gemini", [user("U"), said("A")], tools=[tool])
    assert line.value["tools"] == [{"functionDeclarations": [{"name": "f", "parameters": gemini}]}]
    assert ("schema_keys_omitted" in line.rules) == omitted


# ── Bedrock ──


@pytest.mark.parametrize("name", ["bedrock-converse", "bedrock-claude"])
@pytest.mark.parametrize(
    ("messages", "reason", "pointer"),
    [
        ([SYSTEM, said("A"), user("U"), said("B")], "turns_unfit", "/messages/1"),
        ([SYSTEM, user("U"), user("V"), said("B")], "turns_unfit", "/messages/2"),
        ([SYSTEM, user("U"), said("A"), said("B")], "turns_unfit", "/messages/3"),
        ([SYSTEM, user(""), said("A")], "empty_text", "/messages/1/content"),
        ([SYSTEM, user("U"), CALLING, RESULT, said("A")], "tools_unfit", "/messages/2"),
    ],
)
def test_bedrock_wants_turns_of_text(name: str, messages: list[Json], reason: str, pointer: str) -> None:
    assert refused(name, messages) == (reason, pointer)


@pytest.mark.parametrize("name", ["bedrock-converse", "bedrock-claude"])
def test_bedrock_takes_no_tools_and_no_other_keys(name: str) -> None:
    assert refused(name, [user("U"), said("A")], tools=[WEATHER]) == ("tools_unfit", "/tools")
    line = made(name, [SYSTEM, user("U"), said("A")]).value
    assert found(name, line | {"tools": []}) == [("/tools", "unknown_key")]
    line["messages"][0]["name"] = "x"
    assert found(name, line) == [("/messages/0/name", "unknown_key")]


@pytest.mark.parametrize(
    "word", ["System:", "USER:", "User:", "Bot:", "Assistant:", "ASSISTANT:", "Thought:", "[EOS]", "<image>", "<video>"]
)
def test_words_that_nova_does_not_take(word: str) -> None:
    text = f"say {word} now"
    assert refused("bedrock-converse", [user(text), said("A")]) == ("forbidden_words", "/messages/0/content")
    assert refused("bedrock-converse", [SYSTEM, user("U"), said(text)]) == ("forbidden_words", "/messages/2/content")
    system = {"role": "system", "content": text}
    assert refused("bedrock-converse", [SYSTEM, system, user("U"), said("A")]) == (
        "forbidden_words",
        "/messages/1/content",
    )
    made("bedrock-converse", [user(word.lower() if word[0] not in "[<" else "EOS"), said("A")])


def test_a_check_of_nova_rows() -> None:
    line = made("bedrock-converse", [SYSTEM, picture("s3://b/a.png"), said("A")]).value
    assert found("bedrock-converse", line | {"schemaVersion": "2"}) == [("/schemaVersion", "unknown_shape")]
    moved = orjson.loads(orjson.dumps(line))
    moved["messages"][1]["content"].append(moved["messages"][0]["content"][1])
    assert found("bedrock-converse", moved) == [("/messages/1/content/1", "unknown_part")]
    moved["messages"][1]["content"] = [{"text": ""}]
    assert found("bedrock-converse", moved) == [("/messages/1/content", "empty_text")]


def test_schemas_within_schemas_have_an_end() -> None:
    deep: Json = {"type": "string"}
    for _ in range(40):
        deep = {"type": "array", "items": deep}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    reason, pointer = refused("vertex-gemini", [user("U"), said("A")], tools=[tool])
    assert reason == "schema_unfit"
    assert pointer.count("/items") == 33
