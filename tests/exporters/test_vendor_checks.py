"""What the vendors' checks find in lines that no projection wrote: one part of a good line changed."""

from typing import Final

import orjson
import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALLING, RESULT, WEATHER
from tests.exporters.vendors import STEPS, SYSTEM, found, made, picture, png, preference

GONE: Final = object()


def edited(line: Json, pointer: str, value: object) -> Json:
    """A copy of the line with the part at `pointer` set to `value`, or taken out."""
    copy = orjson.loads(orjson.dumps(line))
    *way, last = pointer.split("/")[1:]
    at = copy
    for word in way:
        at = at[int(word) if type(at) is list else word]
    key = int(last) if type(at) is list else last
    if value is GONE:
        del at[key]
    else:
        at[key] = value
    return copy


CHAT_LINE: Final = made("openai-chat", [SYSTEM, picture(png()), CALLING, RESULT, said("A")], tools=[WEATHER]).value
CHAT_EDITS: Final = [
    ("/messages/0", 3, "", "unknown_shape"),
    ("/messages/0/content", GONE, "", "unknown_shape"),
    ("/messages/0/content", 3, "", "unknown_shape"),
    ("/messages/0/name", 3, "", "unknown_shape"),
    ("/messages/1/content", [], "", "unknown_shape"),
    ("/messages/1/content/0", {"type": "text"}, "", "unknown_part"),
    ("/messages/1/content/0", {"type": "video", "video": {}}, "", "unknown_part"),
    ("/messages/1/content/0/text", 3, "", "unknown_shape"),
    ("/messages/1/content/0/extra", 3, "", "unknown_key"),
    ("/messages/1/content/1/image_url", "x", "", "image_unfit"),
    ("/messages/2/content", GONE, "", "unknown_shape"),
    ("/messages/2/tool_calls", [], "", "unknown_shape"),
    ("/messages/2/tool_calls", {}, "", "unknown_shape"),
    ("/messages/2/tool_calls/0", 3, "", "unknown_tool"),
    ("/messages/2/tool_calls/0/id", 3, "", "unknown_shape"),
    ("/messages/2/tool_calls/0/index", 0, "", "unknown_key"),
    ("/messages/2/tool_calls/0/function/arguments", {}, "/messages/2/tool_calls/0", "unknown_tool"),
    ("/messages/2/function_call", {"name": "f"}, "", "unknown_shape"),
    ("/messages/3/tool_call_id", [], "", "orphan_tool_result"),
    ("/messages/4/content", None, "", "empty_answer"),
    ("/messages/4/content", "", "", "empty_answer"),
    ("/tools", {}, "", "unknown_shape"),
    ("/tools/0", {"type": "custom"}, "", "unknown_tool"),
    ("/tools/0/cache_control", {}, "", "unknown_key"),
    ("/tools/0/function/examples", [], "", "unknown_key"),
    ("/tools/0/function/description", 3, "", "tool_unfit"),
    ("/tools/0/function/parameters", "x", "", "tool_unfit"),
    ("/parallel_tool_calls", 1, "", "unknown_shape"),
]


@pytest.mark.parametrize(("pointer", "value", "shows_at", "reason"), CHAT_EDITS)
def test_the_chat_shape(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("openai-chat", CHAT_LINE)
    assert (shows_at or pointer, reason) in found("openai-chat", edited(CHAT_LINE, pointer, value))


def test_calls_before_another_answer_or_before_the_end_of_what_is_asked() -> None:
    call = CHAT_LINE["messages"][2]
    answer = {"role": "assistant", "content": "A"}
    line = {"messages": [user("U"), call, answer]}
    assert found("openai-chat", line) == [("/messages/1/tool_calls", "unanswered_call")]
    asked = {"messages": [user("U"), call, user("V")], "reference_answer": "A"}
    assert found("openai-rft", asked) == [("/messages/1/tool_calls", "unanswered_call")]
    given = {"messages": [user("U"), call, call | {"tool_calls": call["tool_calls"] * 2}, RESULT, user("V")]}
    assert ("/messages/2/tool_calls", "unanswered_call") in found("openai-rft", given | {"reference_answer": "A"})


GEMINI_LINE: Final = made(
    "vertex-gemini", [SYSTEM, picture("gs://b/a.png"), CALLING, RESULT, said("A")], tools=[WEATHER]
).value
GEMINI_EDITS: Final = [
    ("/extra", 1, "", "unknown_key"),
    ("/contents", [], "", "unknown_shape"),
    ("/contents/0", 3, "/contents/0/role", "unknown_role"),
    ("/contents/0/role", "assistant", "", "unknown_role"),
    ("/contents/0/weight", 1, "", "unknown_key"),
    ("/contents/0/parts", [], "", "unknown_shape"),
    ("/contents/0/parts/0", {"text": "a", "x": 1}, "", "unknown_part"),
    ("/contents/0/parts/0", {"functionCall": {"name": "f", "args": {}}}, "", "unknown_part"),
    ("/contents/0/parts/0/text", "", "", "empty_text"),
    ("/contents/0/parts/1/fileData/mimeType", "image/bmp", "/contents/0/parts/1/fileData", "image_unfit"),
    ("/contents/0/parts/1/fileData/fileUri", "file:///x", "/contents/0/parts/1/fileData", "image_unfit"),
    ("/contents/0/parts/1/fileData/fileUri", GONE, "/contents/0/parts/1/fileData", "image_unfit"),
    ("/contents/1/parts/0/functionCall/args", "{}", "", "arguments_unfit"),
    ("/contents/1/parts/0/functionCall/id", "x", "/contents/1/parts/0/functionCall", "unknown_shape"),
    ("/contents/1/parts/0/functionCall/name", "größe", "", "tool_unfit"),
    ("/contents/2/parts/0/functionResponse/name", "other", "/contents/2", "unanswered_call"),
    ("/contents/2/parts/0", {"text": "wet"}, "/contents/2", "unanswered_call"),
    ("/contents/3", GONE, "/contents/2", "no_last_answer"),
    ("/systemInstruction/role", "user", "", "unknown_role"),
    ("/tools", [], "", "unknown_tool"),
    ("/tools/0/functionDeclarations", [], "/tools", "unknown_tool"),
    ("/tools/0/functionDeclarations/0", 3, "/tools/0/functionDeclarations/0/name", "tool_unfit"),
    ("/tools/0/functionDeclarations/0/name", "a b", "", "tool_unfit"),
    ("/tools/0/functionDeclarations/0/strict", True, "", "unknown_key"),
    ("/tools/0/functionDeclarations/0/description", 3, "", "tool_unfit"),
    ("/tools/0/functionDeclarations/0/parameters", 3, "", "schema_unfit"),
    ("/tools/0/functionDeclarations/0/parameters/type", "object", "", "schema_unfit"),
    ("/tools/0/functionDeclarations/0/parameters/$ref", "#", "", "schema_unfit"),
    ("/tools/0/functionDeclarations/0/parameters/properties/city", {"items": {"type": "x"}},
     "/tools/0/functionDeclarations/0/parameters/properties/city/items/type", "schema_unfit"),
    ("/tools/0/functionDeclarations/0/parameters/anyOf", [{"x": 1}],
     "/tools/0/functionDeclarations/0/parameters/anyOf/0/x", "schema_unfit"),
]  # fmt: skip


@pytest.mark.parametrize(("pointer", "value", "shows_at", "reason"), GEMINI_EDITS)
def test_geminis_shape(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("vertex-gemini", GEMINI_LINE)
    assert (shows_at or pointer, reason) in found("vertex-gemini", edited(GEMINI_LINE, pointer, value))


NOVA_LINE: Final = made("bedrock-converse", [SYSTEM, picture("s3://b/a.png"), said("A")]).value
NOVA_EDITS: Final = [
    ("/extra", 1, "", "unknown_key"),
    ("/system", {}, "", "unknown_shape"),
    ("/system/0", "S", "", "unknown_part"),
    ("/system/0/text", 3, "", "unknown_shape"),
    ("/system/0/text", "User: x", "", "forbidden_words"),
    ("/messages", {}, "", "unknown_shape"),
    ("/messages/0/role", "assistant", "/messages/0", "turns_unfit"),
    ("/messages/0/content", "U", "", "unknown_shape"),
    ("/messages/0/content/0", {"text": "a", "x": 1}, "", "unknown_part"),
    ("/messages/0/content/1/image/format", "webp", "/messages/0/content/1/image", "image_unfit"),
    ("/messages/0/content/1/image/source", {"bytes": "x"}, "/messages/0/content/1/image", "image_unfit"),
    ("/messages/0/content/1/image/source/s3Location/uri", "https://x", "/messages/0/content/1/image", "image_unfit"),
    ("/messages/1", GONE, "/messages/0", "no_last_answer"),
]


@pytest.mark.parametrize(("pointer", "value", "shows_at", "reason"), NOVA_EDITS)
def test_novas_shape(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("bedrock-converse", NOVA_LINE)
    assert (shows_at or pointer, reason) in found("bedrock-converse", edited(NOVA_LINE, pointer, value))


CLAUDE_LINE: Final = made("bedrock-claude", [SYSTEM, user("U"), said("A")]).value


@pytest.mark.parametrize(
    ("pointer", "value", "shows_at", "reason"),
    [
        ("/system", "", "", "empty_text"),
        ("/messages", [], "", "unknown_shape"),
        ("/messages/1", GONE, "/messages/0", "no_last_answer"),
        ("/messages/1/content", [{"text": "A"}], "", "empty_text"),
        ("/messages/0", 3, "", "turns_unfit"),
    ],
)
def test_claudes_shape(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("bedrock-claude", CLAUDE_LINE)
    assert (shows_at or pointer, reason) in found("bedrock-claude", edited(CLAUDE_LINE, pointer, value))


MISTRAL_LINE: Final = made("mistral", [*STEPS[:-1], said("A")], learn=[3], tools=[WEATHER]).value


@pytest.mark.parametrize(
    ("pointer", "value", "shows_at", "reason"),
    [
        ("/messages/1/weight", 1, "/messages/1", "mask_not_expressible"),
        ("/messages/3/weight", GONE, None, None),
        ("/messages/1/tool_calls/0/function/name", "a.b", "", "tool_unfit"),
        ("/messages/1/content", "Let me see.", "/messages/1", "words_and_calls"),
        ("/messages/0/role", "assistant", "", "turns_unfit"),
        ("/tools/0/function/parameters", GONE, "", "tool_unfit"),
        ("/tools/0/function/strict", True, "", "unknown_key"),
    ],
)
def test_mistrals_shape(pointer: str, value: object, shows_at: str | None, reason: str | None) -> None:
    assert not found("mistral", MISTRAL_LINE)
    told = found("mistral", edited(MISTRAL_LINE, pointer, value))
    assert (shows_at or pointer, reason) in told if reason is not None else not told


DPO_LINE: Final = FORMATS["openai-dpo"].project(preference([user("U"), said("A")], said("B"), tools=[WEATHER])).value


@pytest.mark.parametrize(
    ("pointer", "value", "shows_at", "reason"),
    [
        ("/input/metadata", {}, "", "unknown_key"),
        ("/input/tools/0/type", "custom", "/input/tools/0", "unknown_tool"),
        ("/input/messages/0/content", [{"type": "text", "text": "U"}], "", "unknown_shape"),
        ("/preferred_output/0/content", None, "", "output_not_text"),
        ("/preferred_output/0/tool_calls", [], "", "output_not_text"),
        ("/preferred_output/0/weight", 1, "", "unknown_key"),
        ("/non_preferred_output/0/content", "A", "/non_preferred_output/0", "equal_outputs"),
    ],
)
def test_the_shape_of_preferences(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("openai-dpo", DPO_LINE)
    assert (shows_at or pointer, reason) in found("openai-dpo", edited(DPO_LINE, pointer, value))


RFT_LINE: Final = made("openai-rft", [SYSTEM, user("U"), CALLING], tools=[WEATHER]).value


@pytest.mark.parametrize(
    ("pointer", "value", "shows_at", "reason"),
    [
        ("/messages", [], "", "unknown_shape"),
        ("/messages/0/weight", 1, "", "unknown_key"),
        ("/tools/0", 3, "", "unknown_tool"),
        ("/reference_tool_args", [], "/reference_tool_calls", "unknown_shape"),
        ("/reference_answer", GONE, "", "unknown_shape"),
    ],
)
def test_the_shape_of_references(pointer: str, value: object, shows_at: str, reason: str) -> None:
    assert not found("openai-rft", RFT_LINE)
    assert (shows_at or pointer, reason) in found("openai-rft", edited(RFT_LINE, pointer, value))


@pytest.mark.parametrize("name", ["openai-dpo", "openai-rft", "vertex-gemini", "bedrock-converse", "bedrock-claude"])
@pytest.mark.parametrize("line", [None, [], "x", 3, {}])
def test_what_is_no_line_at_all(name: str, line: Json) -> None:
    assert found(name, line)
