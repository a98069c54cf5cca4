"""What of a response's request and answer is a conversation, and how an answer ended."""

from typing import Any

import pytest

from tailrace.chains.links import answer_links, links_of
from tailrace.chains.turns import turn_of
from tailrace.errors import Refused
from tailrace.records import Turn, Usage, UsageSource
from tailrace.wire.endpoint import Read
from tailrace.wire.endpoints import responses
from tests.wire.streams import CALL, MESSAGE, REASONING, RESPONSE

USER = {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "42"}


def turns(*items: Any) -> list[Turn]:
    return [turn_of(message) for message in responses.turns_of({"input": list(items)})]


def answer(*items: Any) -> Turn:
    ((index, message),) = responses.answers_of({"output": list(items)})
    assert index == 0
    return turn_of(message)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"input": "Hello"}, Read(1, "Hello")),
        ({"input": "x" * 2000}, Read(1, "x" * 512)),
        ({"input": [USER]}, Read(1, "Hello")),
        ({"input": [USER, REASONING, MESSAGE, CALL, OUTPUT, MESSAGE, USER]}, Read(3, "Hello")),
        ({"input": [{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}]}, Read(1, "y")),
        ({"input": [OUTPUT], "previous_response_id": "resp_1"}, Read(1, "")),
        ({"prompt": {"id": "pmpt_1"}}, Read(1, "")),
        ({"input": [], "stream": True}, Read(1, "")),
    ],
)
def test_what_the_relay_learns(asked: dict[str, Any], expected: Read) -> None:
    assert responses.read(asked) == expected


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"input": 7}, "`input`"), ({"input": {"role": "user"}}, "`input`"), ({"input": [USER, "x"]}, r"`input\[1\]`")],
)
def test_what_is_no_input_is_refused_by_name(asked: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named):
        responses.read(asked)


def test_text_is_a_users_turn() -> None:
    assert [turn_of(one) for one in responses.turns_of({"input": "Hello", "instructions": "Be brief."})] == turns(USER)


def test_the_items_of_an_answer_are_one_turn() -> None:
    assert turns(USER, REASONING, MESSAGE, CALL, OUTPUT, MESSAGE) == [
        Turn("user", "Hello"),
        Turn("assistant", "Hello", (("f", '{"a":1}'),)),
        Turn("tool", "42"),
        Turn("assistant", "Hello"),
    ]


@pytest.mark.parametrize(
    "echo",
    [
        [REASONING, MESSAGE, CALL],
        [MESSAGE, CALL],
        [{"role": "assistant", "content": "Hello"}, {"type": "function_call", "name": "f", "arguments": '{"a":1}'}],
        [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}, CALL],
        [CALL | {"id": None, "status": None}, MESSAGE],
    ],
)
def test_one_answer_in_many_echoes_links_exactly(echo: list[dict[str, Any]]) -> None:
    before = responses.turns_of({"input": [USER]})
    ((_, message),) = responses.answers_of(RESPONSE)
    after = responses.turns_of({"input": [USER, *echo, OUTPUT]})
    assert links_of(after).parent == answer_links(links_of(before), message).answer
    assert links_of(after).step == responses.read({"input": [USER, *echo, OUTPUT]}).step == 2


def test_references_to_different_items_are_different_turns() -> None:
    assert turns({"type": "item_reference", "id": "msg_1"}) != turns({"type": "item_reference", "id": "msg_2"})
    for kind in ({"type": "item_reference"}, {}, {"type": None}):
        assert turns({**kind, "id": "msg_1"}) == turns({"type": "item_reference", "id": "msg_1"})


def test_calls_of_other_kinds_are_calls_too() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    assert answer(search).calls == (("web_search_call", '{"action":{"type":"search"}}'),)
    assert answer(search) == answer({**search, "id": "ws_2", "status": None, "results": None})
    assert answer(search) != answer({**search, "action": {"type": "open"}})
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls -l"}
    assert answer(custom).calls == (("sh", "ls -l"),)
    assert answer({"type": "mcp_list_tools", "tools": []}, MESSAGE) == answer(MESSAGE)


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        ({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}, Turn("tool", "x")),
        ({"type": "function_call_output", "output": [{"type": "input_text", "text": "x"}]}, Turn("tool", "x")),
        ({"type": "tool_search_output", "execution": "client", "output": "x"}, Turn("tool", "x")),
        ({"role": "system", "content": "x"}, Turn("system", "x")),
        ({"type": "message", "role": "user", "content": "x"}, Turn("user", "x")),
    ],
)
def test_whose_turn_an_item_is(item: dict[str, Any], turn: Turn) -> None:
    assert turns(item) == [turn]


def test_what_a_client_decides_counts() -> None:
    def approval(value: bool) -> list[Turn]:
        return turns({"type": "mcp_approval_response", "approval_request_id": "a", "approve": value})

    assert approval(True)[0].role == "tool"
    assert approval(True) != approval(False)
    assert turns({"type": "configuration_update", "x": 1})[0].role == "system"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "completed", "output": [MESSAGE]}, "stop"),
        ({"status": "completed", "output": []}, "stop"),
        ({"status": "completed"}, "stop"),
        ({"status": "completed", "output": [MESSAGE, CALL]}, "tool_calls"),
        ({"status": "completed", "output": [{"type": "custom_tool_call"}]}, "tool_calls"),
        ({"status": "completed", "output": [{"type": "web_search_call"}]}, "stop"),
        ({"status": "completed", "output": [CALL, MESSAGE]}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "steered"),
        ({"status": "incomplete"}, "incomplete"),
        ({"status": "failed"}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "in_progress"}, None),
        ({"status": "queued"}, None),
        ({}, None),
    ],
)
def test_how_an_answer_ended(fields: dict[str, Any], expected: str | None) -> None:
    assert responses.finish_reason(fields) == expected


def test_an_answer_without_output_is_no_turn() -> None:
    assert responses.answers_of({"output": []}) == responses.answers_of({"error": {}}) == ()


def test_usage() -> None:
    assert responses.WIRE.usage(RESPONSE, True) == Usage(
        UsageSource.PROVIDER, 10, 5, cached_tokens=4, reasoning_tokens=3, cache_write_tokens=2
    )
