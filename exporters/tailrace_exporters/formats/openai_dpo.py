"""OpenAI's preference rows, which Azure, Together and Fireworks read as well.

    {"input": {"messages": [...], "tools": [...], "parallel_tool_calls": true},
     "preferred_output": [{"role": "assistant", "content": "good"}],
     "non_preferred_output": [{"role": "assistant", "content": "bad"}]}

Text only, and one turn: two answers to the same messages. The keys are those of the guide to direct preference
optimisation; `FineTunePreferenceRequestInput` of openai/openai-openapi (2025-03-21) has others, which nobody reads.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules
from tailrace_exporters.formats.base import Format, Limits, Line, Problem, UnfitError, settled
from tailrace_exporters.formats.dialect import OPENAI_TOOL, Dialect
from tailrace_exporters.formats.images import MEGABYTE
from tailrace_exporters.rows import Kind, Row

DIALECT: Final = Dialect(
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
    answers_apart=True,
    calls_answered=True,
    weights=False,
)
_OUTPUTS: Final = ("preferred_output", "non_preferred_output")
_REJECTED: Final = "/judgement/rejected"
_TEXT: Final = "output_not_text"
_SAME: Final = "equal_outputs"


def project(row: Row) -> Line:
    """A row of kind `preference` as one line of the file."""
    if row.judgement is None or type(row.judgement.rejected) is not dict:
        raise UnfitError("unknown_shape", _REJECTED)
    if row.judgement.rejected.get("role") != "assistant":
        raise UnfitError("unknown_role", f"{_REJECTED}/role")
    last = len(row.messages) - 1
    line, shaper = chat.shaped(row, DIALECT)
    shaper.last_learned()
    other = replace(row, messages=[*row.messages[:-1], row.judgement.rejected])
    try:
        rejected, other_shaper = chat.shaped(other, DIALECT)
    except UnfitError as unfit:
        raise UnfitError(unfit.reason, _origin(unfit.pointer, f"/messages/{last}", _REJECTED)) from unfit
    preferred = line["messages"].pop()
    value: dict[str, Json] = {"input": line}
    for name, message in zip(_OUTPUTS, (preferred, rejected["messages"][-1]), strict=True):
        value[name] = [message]

    def origin(pointer: str) -> str:
        pointer = _origin(pointer, "/preferred_output/0", f"/messages/{last}")
        return _origin(_origin(pointer, "/non_preferred_output/0", _REJECTED), "/input", "")

    return settled(Line(value, frozenset(shaper.rules | other_shaper.rules)), check(value), origin)


def check(line: Json) -> Iterator[Problem]:
    """What OpenAI, Azure, Together or Fireworks would refuse about a line."""
    if type(line) is not dict:
        yield Problem("", "a line is an object", chat_rules.SHAPE)
        return
    yield from chat_rules.unknown_keys(line, ("input", *_OUTPUTS), "")
    given = line.get("input")
    if type(given) is not dict:
        yield Problem("/input", "an object with the messages", chat_rules.SHAPE)
        return
    yield from chat_rules.unknown_keys(given, DIALECT.top, "/input")
    messages = given.get("messages")
    if type(messages) is not list or not messages:
        yield Problem("/input/messages", "messages that are answered", chat_rules.SHAPE)
        return
    yield from chat_rules.check_messages(messages, DIALECT, "/input/messages")
    last = len(messages) - 1
    if chat_rules.role_of(messages[last]) == "assistant":
        yield Problem(f"/input/messages/{last}", "the outputs answer it, so it is no answer", chat_rules.ADJACENT)
    yield from chat_rules.check_tools(given, DIALECT, "/input")
    for name in _OUTPUTS:
        yield from _output(line.get(name), f"/{name}")
    if line.get(_OUTPUTS[0]) == line.get(_OUTPUTS[1]):
        yield Problem(f"/{_OUTPUTS[1]}/0", "the outputs are the same", _SAME)


def _output(output: Json, at: str) -> Iterator[Problem]:
    if type(output) is not list or len(output) != 1 or chat_rules.role_of(output[0]) != "assistant":
        yield Problem(at, "a list of one assistant message", chat_rules.SHAPE)
        return
    (message,) = output
    if "tool_calls" in message:
        yield Problem(f"{at}/0/tool_calls", "an output is text", _TEXT)
        return
    yield from chat_rules.unknown_keys(message, ("role", "content"), f"{at}/0")
    content = message.get("content")
    if type(content) is not str or not content:
        yield Problem(f"{at}/0/content", "an output is text", _TEXT)


def _origin(pointer: str, here: str, there: str) -> str:
    return there + pointer.removeprefix(here) if pointer.startswith(here) else pointer


FORMAT: Final = Format(
    about="OpenAI preference rows (DPO, JSONL); also Azure, Together, Fireworks",
    project=project,
    rules=chat.TEXT_RULES,
    reasons=chat.CHAT_REASONS
    | chat_rules.UNANSWERED_REASON
    | chat_rules.ADJACENT_REASON
    | {
        _TEXT: "one of the two answers calls tools or has no text",
        _SAME: "the two answers are the same",
    },
    limits=Limits(least_rows=10, most_file_bytes=512 * MEGABYTE),
    kinds=frozenset({Kind.PREFERENCE}),
    check=check,
)
