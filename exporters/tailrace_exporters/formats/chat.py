"""A row as a line in OpenAI's chat shape, by a vendor's dialect. Moves nothing.

    {"messages": [...], "tools": [...], "parallel_tool_calls": false}

A pointer into the line is one into the row. All answers are learned but those with `weight` 0: written where one is not
to be learned.
"""

from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat_rules
from tailrace_exporters.formats.base import Line, UnfitError, settled
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.shape import JOINED, PARALLEL, REASONS, REFUSAL, RULES, Shaper
from tailrace_exporters.rows import Row

AS_PARTS: Final = "text_as_parts"
_AS_THEY_ARE: Final = ("user", "assistant", "system")
TEXT_RULES: Final = RULES | {
    JOINED: "a content of several text parts becomes one text",
    REFUSAL: "a refusal without other text becomes the content",
}
PARALLEL_RULE: Final = {PARALLEL: "the request's `parallel_tool_calls` is left out"}
CHAT_REASONS: Final = REASONS | chat_rules.REASONS


def project(row: Row, dialect: Dialect) -> Line:
    """A row as one line, if the vendor takes it."""
    line, shaper = shaped(row, dialect)
    return settled(Line(line, frozenset(shaper.rules)), chat_rules.check(line, dialect))


def shaped(row: Row, dialect: Dialect) -> tuple[dict[str, Json], Shaper]:
    """A row in the vendor's shape, and who shaped it; whether the vendor takes what it says is not looked at."""
    shaper = Shaper(row)
    pictured = dialect.uniform_content and _pictured(row)
    messages = [_message(shaper, row, dialect, index, pictured=pictured) for index in range(len(row.messages))]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if dialect.weights and not all(row.train[index] for index in answers):
        for index in answers:
            messages[index]["weight"] = int(row.train[index])
    line: dict[str, Json] = {"messages": messages}
    tools = shaper.functions(dialect.function_keys)
    if tools:
        line["tools"] = tools
        if type(row.parallel_tool_calls) is bool:
            if "parallel_tool_calls" in dialect.top:
                line["parallel_tool_calls"] = row.parallel_tool_calls
            else:
                shaper.rules.add(PARALLEL)
    return line, shaper


def _message(shaper: Shaper, row: Row, dialect: Dialect, index: int, *, pictured: bool) -> dict[str, Json]:
    given = row.messages[index]
    if type(given) is dict and len(given) == 2 and not pictured:  # as most are: words alone
        role, content = given.get("role"), given.get("content")
        fits = role in _AS_THEY_ARE and role in dialect.keys and row.train[index] <= (role == "assistant")
        if fits and content and type(content) is str:
            return {"role": role, "content": content}
    role = shaper.role(index)
    if role not in dialect.keys:
        raise UnfitError("unknown_role", f"/messages/{index}/role")
    keys = dialect.keys[role]
    known = shaper.known(index, (*keys, "refusal") if role == "assistant" else keys)
    refusal = None if "refusal" in keys else known.pop("refusal", None)
    message = {"role": role, "content": None} | known | {"role": role}
    message["content"] = _content(shaper, dialect, index, role, message["content"], pictured=pictured)
    if role == "assistant":
        if not message["content"] and type(refusal) is str:
            shaper.rules.add(REFUSAL)
            message["content"] = _content(shaper, dialect, index, role, refusal, pictured=pictured)
        return _answer(shaper, row, index, message)
    if message["content"] is None:
        raise UnfitError("unknown_shape", f"/messages/{index}/content")
    if role == "tool":
        shaper.answered(index)
    return message


def _content(shaper: Shaper, dialect: Dialect, index: int, role: str, content: Json, *, pictured: bool) -> Json:
    if content is None:
        return None
    if type(content) is str:
        return _as_parts(shaper, content) if pictured and content else content
    kinds = dialect.parts.get(role, ())
    if not kinds or (dialect.uniform_content and not pictured):
        return shaper.text(index)
    parts: Json = shaper.parts(index, kinds)
    return parts


def _as_parts(shaper: Shaper, text: str) -> list[Json]:
    shaper.rules.add(AS_PARTS)
    return [{"type": "text", "text": text}]


def _answer(shaper: Shaper, row: Row, index: int, message: dict[str, Json]) -> dict[str, Json]:
    calls = shaper.calls(index)
    if calls:
        message["tool_calls"] = calls
    else:
        message.pop("tool_calls", None)
    if row.train[index] and not chat_rules.says(message):
        raise UnfitError("empty_answer", f"/messages/{index}/content")
    return message


def _pictured(row: Row) -> bool:
    for message in row.messages:
        content = message.get("content")
        if type(content) is list and any(type(part) is dict and part.get("type") == "image_url" for part in content):
            return True
    return False
