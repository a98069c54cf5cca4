"""What messages say, in every dialect's form, and that no JSON is too strange to be shown."""

from typing import Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.commands.speech import (
    choices_of,
    complaint,
    dumped,
    messages_of,
    since_last_answer,
    speaker,
    spoken,
)
from tailrace.records import Endpoint, Json

NAMES: Final = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "name",
        "tool_calls",
        "function",
        "function_call",
        "arguments",
        "input",
        "output",
        "summary",
        "error",
        "message",
        "messages",
        "choices",
        "refusal",
        "code",
        "detail",
        "call_id",
    ]
)
WORDS: Final = st.sampled_from(
    ("assistant", "user", "system", "text", "tool_result", "tool_use", "function_call", "function_call_output", "x")
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def deep(before: bytes, after: bytes, levels: int = 320) -> Json:
    return orjson.loads(before * levels + b"null" + after * levels)


DEEP: Final = (
    deep(b"[", b"]", 1020),
    deep(b'{"content":', b"}", 1020),
    deep(b'{"type":"tool_result","content":[', b"]}"),
    deep(b'{"role":', b"}", 1020),
    deep(b'{"name":{"type":"function_call","name":', b"}}"),
    deep(b'{"error":{"message":', b"}}"),
)


@pytest.mark.parametrize(
    ("message", "who", "says"),
    [
        ({"role": "user", "content": "Hi"}, "user", "Hi"),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, "user", "a\n[image_url]"),
        ({"role": "user", "name": "bob", "content": ["plain", 1]}, "user bob", "plain\n1"),
        ({"role": "tool", "tool_call_id": "c1", "content": "wet"}, "tool c1", "wet"),
        ({"role": "assistant", "content": None, "refusal": "No."}, "assistant", "No."),
        (
            {"role": "assistant", "content": "so", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, 7]},
            "assistant",
            "so\nf({})\n7",
        ),
        ({"role": "assistant", "tool_calls": [{"custom": {"name": "g", "input": "x"}}]}, "assistant", "g(x)"),
        ({"role": "assistant", "content": "", "function_call": {"name": "old"}}, "assistant", "old()"),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]},
            "assistant",
            'f({"a":1})',
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "wet"}]}]},
            "user",
            "wet",
        ),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "function_call f", "f({})"),
        ({"type": "function_call_output", "call_id": "c", "output": "wet"}, "function_call_output c", "wet"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, "reasoning", "hm"),
        ({"type": "web_search_call", "id": "ws"}, "web_search_call", "[web_search_call]"),
        ({"content": {"odd": 1}}, "?", '{"odd":1}'),
        ("bare", "?", '"bare"'),
        (None, "?", "null"),
    ],
)
def test_a_message_says_who_and_what(message: Json, who: str, says: str) -> None:
    assert (speaker(message), spoken(message)) == (who, says)


def test_conversations_and_answers_are_found_where_each_endpoint_has_them() -> None:
    ask = {"role": "user", "content": "x"}
    assert messages_of(Endpoint.CHAT, {"messages": [ask]}) == [ask]
    assert messages_of(Endpoint.MESSAGES, {"messages": [ask], "system": "s"}) == [ask]
    assert messages_of(Endpoint.RESPONSES, {"input": "x"}) == [ask]
    assert messages_of(Endpoint.RESPONSES, {"input": [ask]}) == [ask]
    assert messages_of(Endpoint.EMBEDDINGS, {"input": ["x"]}) == []
    assert messages_of(Endpoint.OTHER, {"messages": [ask]}) == []
    said = {"role": "assistant", "content": "y"}
    assert choices_of(Endpoint.CHAT, {"choices": [{"message": said}, {}, 1]}) == [said]
    assert choices_of(Endpoint.COMPLETIONS, {"choices": [{"text": "y"}]}) == [said]
    assert choices_of(Endpoint.MESSAGES, said) == [said]
    assert choices_of(Endpoint.MESSAGES, {"type": "error"}) == []
    assert choices_of(Endpoint.RESPONSES, {"output": [said]}) == [said]


def test_what_is_new_is_what_came_after_the_last_answer() -> None:
    system, asked, said = ({"role": role, "content": "x"} for role in ("developer", "user", "assistant"))
    call, result = {"type": "function_call", "name": "f"}, {"type": "function_call_output", "output": "wet"}
    assert since_last_answer([asked, said, system, asked]) == [asked]
    assert since_last_answer([system, asked]) == [asked]
    assert since_last_answer([asked, call, result, asked]) == [result, asked]
    assert since_last_answer([said]) == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": {"message": "Too fast.", "code": "x"}}, "Too fast."),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "Overloaded"),
        ({"error": "model not found"}, "model not found"),
        ({"error": {"code": 429}}, "429"),
        ({"detail": [{"msg": "field required"}]}, '[{"msg":"field required"}]'),
        ({"message": "Unauthorized"}, "Unauthorized"),
        ({"id": "x"}, ""),
        (None, ""),
    ],
)
def test_an_error_says_why(answer: Json, says: str) -> None:
    assert complaint(answer) == says


@given(VALUES)
def test_any_json_can_be_shown(value: Json) -> None:
    show_all(value)


@pytest.mark.parametrize("value", DEEP, ids=range(len(DEEP)))
def test_json_of_any_depth_can_be_shown(value: Json) -> None:
    show_all(value)
    assert orjson.loads(dumped(value)) is not None


def show_all(value: Json) -> None:
    """Everything that takes a stranger's JSON."""
    for shown in (spoken(value), speaker(value), complaint(value)):
        assert isinstance(shown, str)
    for endpoint in Endpoint:
        for message in [*messages_of(endpoint, value), *choices_of(endpoint, value)]:
            assert isinstance(spoken(message) + speaker(message), str)
    assert isinstance(since_last_answer([value, value]), list)
