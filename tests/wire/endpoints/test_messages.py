"""What of Anthropic's requests and answers is a conversation, and how an answer ended."""

from typing import Any

import pytest

from tailrace.chains.links import answer_links, links_of
from tailrace.chains.turns import turn_of
from tailrace.errors import Refused
from tailrace.records import Turn
from tailrace.wire.endpoint import Read
from tailrace.wire.endpoints import messages
from tests.wire.streams import ANTHROPIC

USER = {"role": "user", "content": "Hello"}
CONTENT = ANTHROPIC["content"]
RESULTS = {
    "role": "user",
    "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "43"}]},
        {"type": "text", "text": "Go on."},
    ],
}


def turns(*said: Any) -> list[Turn]:
    return [turn_of(message) for message in messages.turns_of({"messages": list(said), "system": "S"})]


def test_what_the_relay_learns() -> None:
    said = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}, {"role": "assistant", "content": "Hi"}]
    assert messages.read({"messages": [*said, USER], "stream": True}) == Read(2, "Hello", usage_open=False)
    for bad in (None, [], ["x"], "x"):
        with pytest.raises(Refused, match="`messages"):
            messages.read({"messages": bad})


def test_tools_and_their_results() -> None:
    assert turns(USER, {"role": "assistant", "content": CONTENT}, RESULTS) == [
        Turn("user", "Hello"),
        Turn("assistant", "Hello", (("f", '{"a":1,"b":[2]}'), ("g", "{}"))),
        Turn("tool", "42"),
        Turn("tool", "43"),
        Turn("user", "Go on."),
    ]


@pytest.mark.parametrize(
    "echo",
    [
        CONTENT,
        CONTENT[1:],
        [{**CONTENT[1], "citations": None, "cache_control": {"type": "ephemeral"}}, *CONTENT[2:]],
        [*CONTENT[1:3], {**CONTENT[3], "id": "other", "cache_control": {"type": "ephemeral"}}],
        [{"type": "redacted_thinking", "data": "x"}, *CONTENT[1:]],
    ],
)
def test_one_answer_in_many_echoes_links_exactly(echo: Any) -> None:
    before = links_of(messages.turns_of({"messages": [USER]}))
    ((index, message),) = messages.answers_of(ANTHROPIC)
    after = links_of(messages.turns_of({"messages": [USER, {"role": "assistant", "content": echo}, RESULTS]}))
    assert index == 0
    assert after.parent == answer_links(before, message).answer
    assert after.step == 2


def test_a_text_answer_echoed_as_text() -> None:
    ((_, message),) = messages.answers_of({"role": "assistant", "content": [{"type": "text", "text": "Hi"}]})
    assert turns({"role": "assistant", "content": "Hi"}) == [turn_of(message)]


def test_what_has_no_turn() -> None:
    assert messages.answers_of({"type": "error", "error": {}}) == ()
    assert messages.answers_of({"role": "user", "content": []}) == ()
    assert turns({"role": "user", "content": []}) == [Turn("user", "")]
    assert turns({"role": "system", "content": "x"}) == [Turn("system", "x")]


def test_results_count_by_what_they_hold() -> None:
    def result(content: Any) -> list[Turn]:
        return turns({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]})

    image = {"type": "image", "source": {"type": "base64", "data": "x"}}
    assert result("42") == result([{"type": "text", "text": "42"}]) == [Turn("tool", "42")]
    assert len({result(one)[0].text for one in ("42", "43", [image], None, [image, image])}) == 5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("of_tomorrow", "of_tomorrow"),
        (None, None),
        ("", None),
        ("x" * 100, None),
        (7, None),
    ],
)
def test_how_an_answer_ended(said: Any, expected: str | None) -> None:
    assert messages.finish_reason({"stop_reason": said}) == expected
