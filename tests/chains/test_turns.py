"""What clients lose or move is no difference; what they say is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.chains.turns import turn_of

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1, "b": [2]}'}}
ANSWER: dict[str, Any] = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": [], "audio": None}
IMAGE = {"type": "image_url", "image_url": {"url": "data:x", "detail": None}}


@pytest.mark.parametrize(
    "echo",
    [
        {"role": "assistant", "content": "Hello"},
        {"role": "assistant", "content": " Hello\n"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        {"role": "assistant", "content": [{"text": "Hello", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"},
        {"role": "assistant", "content": "Hello", "reasoning_content": "hm", "reasoning": "hm", "name": "bot"},
        {"role": "assistant", "content": "Hello", "tool_calls": [], "function_call": None, "unknown": {"x": 1}},
    ],
)
def test_one_answer_in_many_echoes(echo: dict[str, Any]) -> None:
    assert turn_of(echo) == turn_of(ANSWER)


@pytest.mark.parametrize(
    "other",
    [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "hello"},
        {"role": "assistant", "content": "Hel lo"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "Hello", "tool_calls": [CALL]},
        {"role": "assistant", "content": "Hello <think>x</think>"},
        {"role": "assistant", "content": ["Hello", IMAGE]},
    ],
)
def test_other_answers_differ(other: dict[str, Any]) -> None:
    assert turn_of(other) != turn_of(ANSWER)


@pytest.mark.parametrize(
    "echo",
    [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "x", "index": 0}]},
        {
            "role": "assistant",
            "content": [],
            "tool_calls": [{"function": {"arguments": '{"b":[2],"a":1}', "name": "f"}}],
        },
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1, "b": [2]}}}]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1,"b":[2]}'}},
    ],
)
def test_one_tool_call_in_many_echoes(echo: dict[str, Any]) -> None:
    assert turn_of(echo) == turn_of({"role": "assistant", "content": None, "tool_calls": [CALL]})


def _called(name: Any, arguments: Any) -> tuple[tuple[str, str], ...]:
    return turn_of({"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}).calls


def test_arguments() -> None:
    assert _called("f", "") == _called("f", "{}") == _called("f", None) == _called("f", " ")
    assert _called("f", '{"a": 1') == (("f", '{"a": 1'),)
    assert len({_called("f", text) for text in ('{"a":1}', '{"a":1.0}', '{"a":"1"}', '{"a":2}', "[1]")}) == 5
    assert _called("f", "{}") != _called("g", "{}")
    custom = {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "ls"}}]}
    assert turn_of(custom).calls == (("f", "ls"),)


def test_roles_that_are_the_same() -> None:
    assert turn_of({"role": "developer", "content": "x"}) == turn_of({"role": "system", "content": "x"})
    assert turn_of({"role": "function", "name": "f", "content": "x"}) == turn_of(
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}]}
    )


def test_what_the_user_said_keeps_its_spaces() -> None:
    assert turn_of({"role": "user", "content": "Hello "}) != turn_of({"role": "user", "content": "Hello"})


def test_parts_that_are_no_text_count_by_their_content() -> None:
    def said(*parts: Any) -> str:
        return turn_of({"role": "user", "content": list(parts)}).text

    text = {"type": "text", "text": "x"}
    assert said(text, IMAGE) == said(text, {**IMAGE, "cache_control": {"type": "ephemeral"}})
    other = {"type": "image_url", "image_url": {"url": "data:y"}}
    assert len({said(text, IMAGE), said(IMAGE, text), said(text, other), said(text), said(text, IMAGE, IMAGE)}) == 5


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(0, 9),
        st.floats(allow_nan=False),
        st.sampled_from(["assistant", "text", "<think>"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "function", "name", "arguments", "custom"]
            ),
            inner,
        ),
    ),
)


@given(JSON, JSON, JSON)
def test_no_shape_makes_it_fail(role: Any, content: Any, calls: Any) -> None:
    turn = turn_of({"role": role, "content": content, "tool_calls": calls, "function_call": calls})
    assert isinstance(turn.text, str)
    assert turn_of({"role": "assistant", "content": content, "tool_calls": calls}).role == "assistant"
