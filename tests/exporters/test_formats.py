"""The contract of every format in the registry, a golden file each, and what each converts or refuses.

`pytest --update-golden` does not exist on purpose: a golden file is changed by hand, or by deleting it and reading the
new one that the test then writes (and fails).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.logged import opened, said, user

CHAT = sorted(FORMATS.keys() - {"csv"})
GOLDEN = Path(__file__).parent / "golden"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Looks out of the window.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}
CALLING = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "wet"}


def row(messages: Sequence[Json], *, learn: Sequence[int] | None = None, **fields: Any) -> Row:
    """A row; `learn` says which messages are learned, by default all answers."""
    answers = [n for n, message in enumerate(messages) if message.get("role") == "assistant"]
    train = tuple(n in (answers if learn is None else learn) for n in range(len(messages)))
    made = Row(opened(1), messages, None, None, None, train, (opened(1),))
    return replace(made, **fields)


def fitted(name: str, made: Row) -> Row:
    """The row as one of a kind that the format takes; the rejected answer of a preference is another one."""
    if made.kind in FORMATS[name].kinds:
        return made
    last = tuple(n == len(made.messages) - 1 for n in range(len(made.messages)))
    if Kind.JUDGED in FORMATS[name].kinds:
        return replace(made, kind=Kind.JUDGED, judgement=Judgement("thumb", None, wanted=False), train=last)
    rejected = Judgement("told", 0.9, rejected={"role": "assistant", "content": "Rejected."})
    return replace(made, kind=Kind.PREFERENCE, judgement=rejected, train=last)


ROWS = {
    "plain": row([{"role": "system", "content": "S"}, user("U"), said("A")]),
    "turns": row([user("one"), said("1"), user("two"), said("2")]),
    "last": row([user("one"), said("1"), user("two"), said("2")], learn=[3]),
    "tools": row([user("rain?"), CALLING, RESULT, said("It rains.")], tools=[WEATHER], parallel_tool_calls=False),
    "developer": row([{"role": "developer", "content": "D"}, user("U"), said("A")]),
    "parts": row(
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, said("A")]
    ),
    "image": row(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ],
            },
            said("A"),
        ]
    ),
    "refusal": row([user("U"), {"role": "assistant", "content": None, "refusal": "No."}]),
    "reasoning": row([user("U"), said("A") | {"reasoning_content": "hmm", "annotations": [{"type": "x"}]}]),
    "line ends": row([user("a\u2028b\u0085c\nd"), said("\u2029 ü 🙂")], response_format={"type": "json_object"}),
}


def projected(name: str, made: Row) -> str:
    """The line that a format makes of a row, its rules after it, or why it refuses."""
    try:
        line = FORMATS[name].project(fitted(name, made))
    except UnfitError as unfit:
        return f"refused: {unfit.reason} at {unfit.pointer}\n"
    rules = "".join(f"  {rule}\n" for rule in sorted(line.rules))
    return FORMATS[name].encode(line.value).decode() + rules


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_golden(name: str) -> None:
    made = "".join(f"# {title}\n{projected(name, value)}" for title, value in ROWS.items())
    golden = GOLDEN / f"{name}.txt"
    if not golden.exists():
        golden.write_text(made, encoding="utf-8")
        pytest.fail(f"{golden} was written; read it before you commit it")
    assert made == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("title", sorted(ROWS))
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_contract(name: str, title: str) -> None:
    """One line of JSON for any reader of lines; only declared rules and reasons; the row is left as it was."""
    before = orjson.dumps(ROWS[title].messages)
    with suppress(UnfitError):
        line = FORMATS[name].project(fitted(name, ROWS[title]))
        data = FORMATS[name].encode(line.value)
        assert len(data.decode().splitlines()) == 1
        assert FORMATS[name].decode(data) == line.value
        assert line.rules <= FORMATS[name].rules.keys()
        assert not list(FORMATS[name].check(FORMATS[name].decode(data)))
    assert orjson.dumps(ROWS[title].messages) == before


BAD = {
    "unknown_role": row([{"role": "robot", "content": "x"}, said("A")]),
    "empty_answer": row([user("U"), said("")]),
    "orphan_tool_result": row([user("U"), RESULT, said("A")]),
    "unknown_shape": row([{"role": "user", "content": 3}, said("A")]),
    "unknown_part": row([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, said("A")]),
    "unknown_tool": row([user("U"), said("A")], tools=[{"type": "custom", "custom": {"name": "x"}}]),
}


@pytest.mark.parametrize("reason", sorted(BAD))
@pytest.mark.parametrize("name", CHAT)
def test_what_no_chat_format_takes(name: str, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        FORMATS[name].project(fitted(name, BAD[reason]))
    assert caught.value.reason == reason
    assert reason in FORMATS[name].reasons


@pytest.mark.parametrize(
    ("messages", "pointer"),
    [
        ([{"content": "x"}, said("A")], "/messages/0/role"),
        ([user("U"), {"role": "assistant", "audio": {"id": "a"}}], "/messages/1/audio"),
        ([user("U"), CALLING | {"tool_calls": "x"}], "/messages/1/tool_calls"),
        ([user("U"), CALLING | {"tool_calls": [CALL | {"id": 3}]}], "/messages/1/tool_calls/0/id"),
        ([user("U"), CALLING | {"tool_calls": [{"type": "custom"}]}], "/messages/1/tool_calls/0"),
        ([{"role": "user", "content": None}, said("A")], "/messages/0/content"),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}, said("A")], "/messages/0/content/0/text"),
        ([{"role": "system", "content": [{"type": "image_url", "image_url": {}}]}, said("A")], "/messages/0/content/0"),
    ],
)
@pytest.mark.parametrize("name", CHAT)
def test_a_refusal_points_at_the_part(name: str, messages: list[Json], pointer: str) -> None:
    with pytest.raises(UnfitError) as caught:
        FORMATS[name].project(fitted(name, row(messages)))
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("arguments", ["", "[1]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', "[" * 100_000])
def test_trl_refuses_arguments_that_are_no_plain_object(arguments: str) -> None:
    call = CALL | {"function": {"name": "weather", "arguments": arguments}}
    with pytest.raises(UnfitError) as caught:
        FORMATS["trl-messages"].project(row([user("U"), CALLING | {"tool_calls": [call]}]))
    assert caught.value.reason == "arguments_unfit"
    assert caught.value.pointer == "/messages/1/tool_calls/0/function/arguments"


def test_openai_keeps_arguments_as_the_text_they_came_as() -> None:
    call = CALL | {"function": {"name": "weather", "arguments": '{ "a":1, "a":2 }'}}
    line = FORMATS["openai-chat"].project(row([user("U"), CALLING | {"tool_calls": [call]}]))
    assert line.value["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{ "a":1, "a":2 }'


def test_legacy_function_calls_are_carried_by_openai_and_refused_by_trl() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    made = row([user("U"), called, {"role": "function", "name": "f", "content": "1"}, said("A")])
    line = FORMATS["openai-chat"].project(made)
    assert line.value["messages"][1] == called
    with pytest.raises(UnfitError):
        FORMATS["trl-messages"].project(made)
