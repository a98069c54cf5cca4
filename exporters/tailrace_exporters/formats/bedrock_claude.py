"""Bedrock's rows for Claude 3 Haiku: text, strictly in turns, and no other keys.

    {"system": "S", "messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]}

Every answer is learned. Source: the fine-tuning guide of Anthropic's cookbook for Bedrock; 32 to 10,000 rows is what it
says, unchecked.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules
from tailrace_exporters.formats.base import Format, Limits, Line, Problem, UnfitError, settled
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.shape import TOOLS
from tailrace_exporters.rows import Row

_READ: Final = Dialect(
    vendor="Bedrock",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={},
    top=("messages",),
    system_first=True,
    weights=False,
)
_TURN: Final = ("user", "assistant")


def project(row: Row) -> Line:
    """A row as one line of the file."""
    line, moved = plain_turns(row, _READ)
    messages = line.value["messages"]
    value: dict[str, Json] = {}
    if moved:
        value["system"] = messages.pop(0)["content"]
    value["messages"] = messages
    return settled(Line(value, line.rules), check(value), lambda pointer: back(pointer, moved))


def plain_turns(row: Row, dialect: Dialect) -> tuple[Line, int]:
    """A row of text without tools, in OpenAI's shape, every answer learned; and how many system messages lead it.

    Raises:
        UnfitError: it has tools, or an answer is not to be learned, or a system message stands elsewhere.
    """
    line, shaper = chat.shaped(row, dialect)
    shaper.all_learned()
    if "tools" in line:
        raise UnfitError(TOOLS, "/tools")
    for index, message in enumerate(line["messages"]):
        if message["role"] == "tool" or "tool_calls" in message:
            raise UnfitError(TOOLS, f"/messages/{index}")
    roles = [message["role"] for message in line["messages"]]
    leading = next((index for index, role in enumerate(roles) if role != "system"), len(roles))
    late = roles.index("system", leading) if "system" in roles[leading:] else None
    if late is None and dialect.system_first and leading > 1:
        late = 1
    if late is not None:
        raise UnfitError(chat_rules.SYSTEM, f"/messages/{late}")
    return Line(line, frozenset(shaper.rules)), leading


def back(pointer: str, moved: int) -> str:
    """The pointer into the row for one into a line whose first `moved` messages stand elsewhere in it."""
    head, _, rest = pointer.removeprefix("/messages/").partition("/")
    if not pointer.startswith("/messages/") or not head.isdigit():
        return "/messages/0" if pointer.startswith("/system") else pointer
    return f"/messages/{int(head) + moved}" + (f"/{rest}" if rest else "")


def check(line: Json) -> Iterator[Problem]:
    """What Bedrock would refuse about a line."""
    if type(line) is not dict:
        yield Problem("", "a line is an object", chat_rules.SHAPE)
        return
    yield from chat_rules.unknown_keys(line, ("system", "messages"), "")
    if "system" in line and (type(line["system"]) is not str or not line["system"]):
        yield Problem("/system", "is text", "empty_text")
    messages = line.get("messages")
    if type(messages) is not list or not messages:
        yield Problem("/messages", "a line has a list of messages", chat_rules.SHAPE)
        return
    yield from turns(messages)
    for index, message in enumerate(messages):
        if type(message) is dict:
            yield from chat_rules.unknown_keys(message, ("role", "content"), f"/messages/{index}")
            if type(message.get("content")) is not str or not message["content"]:
                yield Problem(f"/messages/{index}/content", "is text", "empty_text")


def turns(messages: list[Json]) -> Iterator[Problem]:
    """That user and assistant take turns, the user first, the assistant last."""
    for index, message in enumerate(messages):
        if chat_rules.role_of(message) != _TURN[index % 2]:
            yield Problem(f"/messages/{index}", f"it is the {_TURN[index % 2]}'s turn", chat_rules.ADJACENT)
            return
    if len(messages) % 2:
        yield Problem(f"/messages/{len(messages) - 1}", "the last turn is the assistant's", chat_rules.LAST)


TURN_REASONS: Final = (
    chat.CHAT_REASONS
    | chat_rules.SYSTEM_REASON
    | chat_rules.ADJACENT_REASON
    | {
        TOOLS: "the row has tools, and the target takes none",
        "empty_text": "a content is empty",
    }
)
FORMAT: Final = Format(
    about="Bedrock fine-tuning of Claude 3 Haiku (JSONL), text only, without tools",
    project=project,
    rules=chat.TEXT_RULES,
    reasons=TURN_REASONS,
    limits=Limits(least_rows=32, most_rows=10_000),
    check=check,
)
