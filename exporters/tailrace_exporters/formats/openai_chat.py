"""OpenAI's supervised fine-tuning file, which Azure, Fireworks, Together and Mistral read as well.

    {"messages": [...], "tools": [...], "parallel_tool_calls": false}

All assistant messages are learned but those with `weight` 0: written where one is not to be learned. Source:
`FineTuneChatRequestInput` of openai/openai-openapi, branch 2025-03-21.
"""

from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, UnfitError
from tailrace_exporters.formats.shape import REASONS, RULES, Shaper
from tailrace_exporters.rows import Row

_KEYS: Final = {
    "system": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "refusal", "tool_calls", "function_call"),
    "tool": ("role", "content", "tool_call_id"),
    "function": ("role", "content", "name"),
}
_PARTS: Final = {
    "system": ("text",),
    "user": ("text", "image_url"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": ("text",),
}


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    messages = [_message(shaper, row, index) for index in range(len(row.messages))]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if not all(row.train[index] for index in answers):
        for index in answers:
            messages[index]["weight"] = int(row.train[index])
    line: dict[str, Json] = {"messages": messages}
    tools = shaper.tools()
    if tools:
        line["tools"] = tools
        if type(row.parallel_tool_calls) is bool:
            line["parallel_tool_calls"] = row.parallel_tool_calls
    return Line(line, frozenset(shaper.rules))


def _message(shaper: Shaper, row: Row, index: int) -> dict[str, Json]:
    role = shaper.role(index)
    known = shaper.known(index, _KEYS[role])
    content = known.get("content")
    message = {"role": role, "content": content} | known | {"role": role}
    if content is not None and type(content) is not str:
        message["content"] = shaper.parts(index, _PARTS[role])
    if role == "assistant":
        return _answer(shaper, row, index, message)
    if content is None:
        raise UnfitError("unknown_shape", f"/messages/{index}/content")
    if role == "tool":
        shaper.answered(index)
    return message


def _answer(shaper: Shaper, row: Row, index: int, message: dict[str, Json]) -> dict[str, Json]:
    calls = shaper.calls(index)
    if calls:
        message["tool_calls"] = calls
    else:
        message.pop("tool_calls", None)
    says = message.get("content") or calls or message.get("function_call") or message.get("refusal")
    if row.train[index] and not says:
        raise UnfitError("empty_answer", f"/messages/{index}/content")
    return message


FORMAT: Final = Format(
    about="OpenAI supervised fine-tuning (JSONL); also Azure, Fireworks, Together",
    project=project,
    rules=RULES,
    reasons=REASONS,
    least_rows=10,
)
