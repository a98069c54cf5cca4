"""OpenAI's and Azure's rows for reinforcement fine-tuning: what was asked, and beside it what was answered.

    {"messages": [{"role": "developer", ...}, {"role": "user", ...}], "reference_answer": "42", "tools": [...]}

The model answers by itself and a grader, which is part of the job, compares: it reads the other keys as
`item.reference_answer`, … A row with tools has `reference_tool_calls` (names) and `reference_tool_args` (objects) too,
as in Azure's own samples, so that a grader's template finds them in every such row.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules
from tailrace_exporters.formats.base import Format, Limits, Line, Problem, settled
from tailrace_exporters.formats.dialect import OPENAI_TOOL, Dialect
from tailrace_exporters.formats.images import MEGABYTE
from tailrace_exporters.formats.shape import ARGUMENTS, DEVELOPER, RULES, arguments
from tailrace_exporters.rows import Row

_READ: Final = Dialect(
    vendor="OpenAI",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={},
    top=("messages", "tools", "parallel_tool_calls"),
    tool_name=OPENAI_TOOL,
    calls_answered=True,
    weights=False,
)
DIALECT: Final = replace(
    _READ, keys={"developer" if role == "system" else role: keys for role, keys in _READ.keys.items()}
)
_SYSTEM: Final = "system_as_developer"
_USER_LAST: Final = "no_user_last"
_CALLS: Final = "reference_tool_calls"
_ARGS: Final = "reference_tool_args"


def project(row: Row) -> Line:
    """A row as one line of the file: the last answer is the reference."""
    line, shaper = chat.shaped(row, _READ)
    shaper.last_learned()
    last = line["messages"].pop()
    index = len(row.messages) - 1
    shaper.rules.discard(DEVELOPER)
    for message, given in zip(line["messages"], row.messages, strict=False):
        if message["role"] == "system":
            message["role"] = "developer"
            if given["role"] == "system":
                shaper.rules.add(_SYSTEM)
    calls = last.get("tool_calls", [])
    if calls or "tools" in line:
        line[_CALLS] = [call["function"]["name"] for call in calls]
        line[_ARGS] = [arguments(call, f"/messages/{index}/tool_calls/{n}") for n, call in enumerate(calls)]
    line["reference_answer"] = last["content"] or ""
    return settled(Line(line, frozenset(shaper.rules)), check(line))


def check(line: Json) -> Iterator[Problem]:
    """What OpenAI or Azure would refuse about a line; keys of the grader's own are free."""
    if type(line) is not dict:
        yield Problem("", "a line is an object", chat_rules.SHAPE)
        return
    messages = line.get("messages")
    if type(messages) is not list or not messages:
        yield Problem("/messages", "a line has a list of messages", chat_rules.SHAPE)
        return
    yield from chat_rules.check_messages(messages, DIALECT, "/messages")
    last = len(messages) - 1
    if chat_rules.role_of(messages[last]) != "user":
        yield Problem(f"/messages/{last}", "the last message is the user's", _USER_LAST)
    yield from chat_rules.check_tools(line, DIALECT, "")
    if type(line.get("reference_answer")) is not str:
        yield Problem("/reference_answer", "is text", chat_rules.SHAPE)
    names, args = line.get(_CALLS, []), line.get(_ARGS, [])
    if type(names) is not list or type(args) is not list or len(names) != len(args):
        yield Problem(f"/{_CALLS}", "as many names as there are arguments", chat_rules.SHAPE)


FORMAT: Final = Format(
    about="OpenAI and Azure reinforcement fine-tuning (JSONL): the last answer is the grader's reference",
    project=project,
    rules={word: RULES[word] for word in RULES if word != DEVELOPER}
    | {word: chat.TEXT_RULES[word] for word in chat.TEXT_RULES if word not in RULES}
    | {_SYSTEM: "the `system` role becomes `developer`"},
    reasons=chat.CHAT_REASONS
    | chat_rules.UNANSWERED_REASON
    | {
        _USER_LAST: "what the reference answers is no message of the user",
        ARGUMENTS: "a tool call's arguments are no JSON object with distinct keys and finite numbers",
    },
    limits=Limits(least_rows=10, most_file_bytes=512 * MEGABYTE),
    check=check,
)
