"""The user's new turn of each endpoint, and the window before it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.turn import CUT, Subject, Turn, shorten, subject_of
from tailrace.records import Endpoint
from tailrace.settings_classifiers import Context
from tailrace.wire.endpoints import ENDPOINTS

CHAT = ENDPOINTS[Endpoint.CHAT]
ALL = Context(turns=9, chars=9000, previous_label=True)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def bot(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def chat(*messages: dict[str, Any], context: Context = ALL, **more: Any) -> Subject | None:
    return subject_of({"messages": list(messages)}, CHAT, context, **more)


def test_the_new_turn_is_what_the_user_said_since_the_last_answer() -> None:
    found = chat({"role": "system", "content": "Be good."}, user("Hi"), bot("Hello"), user("Book it."), user("Now."))
    assert found == Subject("Book it.\n\nNow.", (Turn("user", "Hi"), Turn("assistant", "Hello")), None, "assistant")
    assert chat({"role": "developer", "content": "x"}, user("Hi")) == Subject("Hi")
    assert chat(user("Hi")) == Subject("Hi")


def test_a_tools_results_are_not_the_users_words() -> None:
    asked = bot(None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}])
    result = {"role": "tool", "tool_call_id": "1", "content": "yes, I agree"}
    assert chat(user("Look it up"), asked, result) is None
    assert chat(user("Look it up"), asked) is None  # a pending call is no beginning of an answer
    assert chat(user("Look it up"), asked, result, user("And?")) == Subject(
        "And?", (Turn("user", "Look it up"),), None, "tool"
    )
    assert chat(user("Look it up"), asked, result, role="tool") == Subject(
        "yes, I agree", (Turn("user", "Look it up"),), None, "assistant"
    )


def test_a_begun_answer_does_not_hide_the_users_turn() -> None:
    assert chat(user("Hi"), bot("{")) == Subject("Hi")


def test_the_answer_that_a_request_came_upon_can_be_classified_too() -> None:
    assert chat(user("Hi"), bot("Hello"), user("x"), role="assistant") == Subject(
        "Hello", (Turn("user", "Hi"),), None, "user"
    )
    assert chat(user("Hi"), role="assistant") is None


def test_parts_are_joined_and_what_is_no_text_is_named() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:…", "alt": "say confirm"}}
    found = chat(user([{"type": "text", "text": "What is this?"}, image]))
    assert found is not None
    assert found.text == "What is this?\n[image]"
    assert chat(user([image])) is None


@pytest.mark.parametrize(
    ("endpoint", "request_body", "text"),
    [
        (Endpoint.COMPLETIONS, {"prompt": "Say hi"}, "Say hi"),
        (Endpoint.COMPLETIONS, {"prompt": ["Say hi"]}, "Say hi"),
        (Endpoint.COMPLETIONS, {"prompt": ["a", "b"]}, None),
        (Endpoint.COMPLETIONS, {"prompt": [1, 2]}, None),
        (Endpoint.RESPONSES, {"input": "Say hi"}, "Say hi"),
        (
            Endpoint.RESPONSES,
            {"input": [user("a"), bot("b"), user([{"type": "input_text", "text": "Say hi"}])]},
            "Say hi",
        ),
        (Endpoint.RESPONSES, {"input": [{"type": "function_call_output", "call_id": "1", "output": "ok"}]}, None),
        (Endpoint.RESPONSES, {"previous_response_id": "r", "input": [user("Say hi")]}, "Say hi"),
        (Endpoint.MESSAGES, {"system": "s", "messages": [user("Say hi")]}, "Say hi"),
        (Endpoint.MESSAGES, {"messages": [user([{"type": "text", "text": "Say hi"}])]}, "Say hi"),
        (
            Endpoint.MESSAGES,
            {"messages": [user("x"), bot([{"type": "tool_use", "id": "1", "name": "f", "input": {}}]),
                          user([{"type": "tool_result", "tool_use_id": "1", "content": "yes"},
                                {"type": "text", "text": "<system-reminder>be nice</system-reminder>"}])]},
            None,
        ),
        (Endpoint.EMBEDDINGS, {"input": "Say hi"}, None),
    ],
)  # fmt: skip
def test_each_endpoint(endpoint: Endpoint, request_body: dict[str, Any], text: str | None) -> None:
    found = subject_of(request_body, ENDPOINTS[endpoint], ALL)
    assert (found and found.text) == text


def test_the_window_is_bounded_and_keeps_the_newest_ends() -> None:
    talk = [user("one"), bot("two"), user("three"), bot("What about four?"), user("yes")]
    assert chat(*talk, context=Context(turns=0)) == Subject("yes", (), None, "assistant")
    assert chat(*talk, context=Context(turns=1, chars=6)) == Subject(
        "yes", (Turn("assistant", f"{CUT}four?"),), None, "assistant"
    )
    found = chat(*talk, context=Context(turns=3, chars=20))
    assert found is not None
    assert [turn.text for turn in found.turns] == [f"{CUT}ree", "What about four?"]


def test_of_a_very_long_turn_its_end_is_looked_at() -> None:
    dump = "<tool_output>" + "x" * 70_000 + "</tool_output>"
    found = chat(user("first"), user(dump + "yes"), context=Context(text_chars=50))
    assert found is not None
    assert found.text == "yes"
    many = chat(user([{"type": "text", "text": str(n)} for n in range(200)]))
    assert many is not None
    assert many.text.split() == [str(n) for n in range(136, 200)]


def test_the_previous_label_shows_only_where_it_is_asked_for() -> None:
    assert chat(user("a"), context=Context(), previous="x") == Subject("a")
    assert chat(user("a"), context=Context(previous_label=True), previous="x") == Subject("a", previous="x")


def test_the_harness_is_stripped_from_the_window_too() -> None:
    found = chat(user("<system-reminder>x</system-reminder>Hi"), bot("<think>hm</think>Hello"), user("yes"))
    assert found is not None
    assert found.turns == (Turn("user", "Hi"), Turn("assistant", "Hello"))


@given(st.text(max_size=50), st.integers(1, 60))
def test_a_shortened_text_has_its_beginning_and_its_end(text: str, chars: int) -> None:
    short = shorten(text, chars)
    assert len(short) <= chars
    assert short == text if len(text) <= chars else CUT in short
    if len(text) > chars > 4:
        assert (short[0], short[-1]) == (text[0], text[-1])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "messages", "input", "prompt"]), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "prompt", "x"]), JSON), st.sampled_from(list(ENDPOINTS)))
def test_any_request_is_read_or_left_alone(request_body: dict[str, Any], endpoint: Endpoint) -> None:
    found = subject_of(request_body, ENDPOINTS[endpoint], Context(text_chars=10))
    assert found is None or (found.text.strip() and len(found.text) <= 10)
