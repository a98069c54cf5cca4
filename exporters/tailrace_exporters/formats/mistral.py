"""Mistral's fine-tuning rows: OpenAI's shape, text only, with tool call ids of nine letters and digits.

    {"messages": [...], "tools": [...]}

With tools only the last answer is learned, whatever the weights say: a row with tools whose marks say otherwise is
refused. Sources: `MistralRequestValidatorV3(ValidationMode.finetuning)` of mistral-common, and mistral-finetune.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules
from tailrace_exporters.formats.base import Format, Limits, Line, Problem, settled
from tailrace_exporters.formats.dialect import OPENAI_TOOL, Dialect
from tailrace_exporters.formats.images import MEGABYTE
from tailrace_exporters.formats.shape import MASK
from tailrace_exporters.rows import Row

ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_IDS: Final = "tool_call_ids_mapped"
_FILLED: Final = "tool_members_filled"
_BOTH: Final = "words_and_calls"
_TURNS: Final = chat_rules.ADJACENT

DIALECT: Final = Dialect(
    vendor="Mistral",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={},
    top=("messages", "tools"),
    function_keys=("name", "description", "parameters"),
    tool_name=OPENAI_TOOL,
    system_first=True,
    calls_answered=True,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    line, shaper = chat.shaped(row, DIALECT)
    if _map_ids(line["messages"]):
        shaper.rules.add(_IDS)
    for tool in line.get("tools", []):
        if not {"description", "parameters"} <= tool["function"].keys():
            shaper.rules.add(_FILLED)
            filled = {"description": "", "parameters": {"type": "object", "properties": {}}}
            tool["function"] = filled | tool["function"]
    return settled(Line(line, frozenset(shaper.rules)), check(line))


def check(line: Json) -> Iterator[Problem]:
    """What Mistral would refuse about a line, or learn otherwise than its weights say."""
    problems = list(chat_rules.check(line, DIALECT))
    yield from problems
    if problems:
        return  # what follows reads a line that has the right shape
    messages = line["messages"]
    yield from _turns(messages)
    for index, message in enumerate(messages):
        yield from _ids(message, f"/messages/{index}")
        if message["role"] == "assistant" and bool(message["content"]) == bool(message.get("tool_calls")):
            reason = _BOTH if message["content"] else "empty_answer"
            yield Problem(f"/messages/{index}", "an answer has words or calls tools: one of the two", reason)
    if line.get("tools"):
        yield from _only_last(messages)
    for index, tool in enumerate(line.get("tools", [])):
        for key in ("description", "parameters"):
            if key not in tool["function"]:
                yield Problem(f"/tools/{index}/function/{key}", "is wanted", chat_rules.TOOL)


def _turns(messages: list[Json]) -> Iterator[Problem]:
    if messages[0]["role"] not in {"system", "user"}:
        yield Problem("/messages/0/role", "a conversation starts with a system or a user message", _TURNS)
    for index, message in enumerate(messages):
        for n, call in enumerate(message.get("tool_calls", [])):
            if OPENAI_TOOL.fullmatch(call["function"]["name"]) is None:
                yield Problem(
                    f"/messages/{index}/tool_calls/{n}/function/name", "a name that Mistral takes", chat_rules.TOOL
                )


def _ids(message: dict[str, Json], at: str) -> Iterator[Problem]:
    for n, call in enumerate(message.get("tool_calls", [])):
        if ID.fullmatch(call["id"]) is None:
            yield Problem(f"{at}/tool_calls/{n}/id", "nine letters and digits", chat_rules.SHAPE)
    if message["role"] == "tool" and ID.fullmatch(message["tool_call_id"]) is None:
        yield Problem(f"{at}/tool_call_id", "nine letters and digits", chat_rules.SHAPE)


def _only_last(messages: list[Json]) -> Iterator[Problem]:
    last = len(messages) - 1
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and message.get("weight", 1) != (index == last):
            yield Problem(f"/messages/{index}", "with tools the last answer is learned, and no other", MASK)


def _map_ids(messages: list[dict[str, Json]]) -> bool:
    """Give each call's id, and its result's, the shape that Mistral wants; true if one had another."""
    found = [call["id"] for message in messages for call in message.get("tool_calls", [])]
    taken = {id_: id_ for id_ in found if ID.fullmatch(id_)}
    fresh: dict[str, str] = {}
    for id_ in found:
        if id_ not in taken and id_ not in fresh:
            fresh[id_] = _nine(id_, {*taken, *fresh.values()})
    for message in messages:
        for call in message.get("tool_calls", []):
            call["id"] = fresh.get(call["id"], call["id"])
        if message["role"] == "tool":
            message["tool_call_id"] = fresh.get(message["tool_call_id"], message["tool_call_id"])
    return bool(fresh)


def _nine(id_: str, taken: set[str]) -> str:
    """Nine letters and digits for an id: the same everywhere, unless two of one row would be given the same."""
    for again in range(len(taken) + 1):
        digest = hashlib.sha256(f"{again}\0{id_}".encode("utf-8", "surrogatepass")).digest()
        number = int.from_bytes(digest)
        nine = "".join(_ALPHABET[number // 62**place % 62] for place in range(9))
        if nine not in taken:
            break
    return nine


FORMAT: Final = Format(
    about="Mistral fine-tuning rows (JSONL), text only",
    project=project,
    rules=chat.TEXT_RULES
    | chat.PARALLEL_RULE
    | {
        _IDS: "ids of tool calls become nine letters and digits, a call's and its result's the same",
        _FILLED: "a tool without description or parameters gets empty ones",
    },
    reasons=chat.CHAT_REASONS
    | chat_rules.SYSTEM_REASON
    | chat_rules.UNANSWERED_REASON
    | chat_rules.ADJACENT_REASON
    | {_BOTH: "an answer has words and calls tools, and the target takes one of the two"},
    limits=Limits(least_rows=10, most_rows=10_000_000, most_file_bytes=512 * MEGABYTE),
    check=check,
)
