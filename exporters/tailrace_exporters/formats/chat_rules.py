"""What a line in OpenAI's chat shape must be, by a vendor's dialect: checks a line as it stands in a file. Pure.

Takes any JSON, as a file may hold any; never raises. A projection refuses a row by the same checks, so that what it
writes always passes them.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import images
from tailrace_exporters.formats.base import Problem
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.shape import MASK

SHAPE: Final = "unknown_shape"
KEY: Final = "unknown_key"
LAST: Final = "no_last_answer"
NOTHING: Final = "nothing_learned"
SYSTEM: Final = "system_not_first"
ADJACENT: Final = "turns_unfit"
TOOL: Final = "tool_unfit"
UNANSWERED: Final = "unanswered_call"

REASONS: Final = {
    LAST: "the last message is no answer",
    NOTHING: "no answer of the row is learned",
    MASK: "the target has no mark for what is learned of the row and what is not",
    TOOL: "a tool's name, or one of its other members, is not what the target takes",
    KEY: "a key that the target does not know",
}
UNANSWERED_REASON: Final = {UNANSWERED: "the results of an answer's tool calls do not stand right behind it, each once"}
SYSTEM_REASON: Final = {SYSTEM: "a system message that is not the first message, or a second one"}
ADJACENT_REASON: Final = {ADJACENT: "messages do not follow each other as the target wants"}


def check(line: Json, dialect: Dialect) -> Iterator[Problem]:
    """All that the vendor would refuse about a line."""
    if type(line) is not dict:
        yield Problem("", "a line is an object", SHAPE)
        return
    yield from unknown_keys(line, dialect.top, "")
    messages = line.get("messages")
    if type(messages) is not list or not messages:
        yield Problem("/messages", "a line has a list of messages", SHAPE)
        return
    yield from check_messages(messages, dialect, "/messages")
    yield from _learned(messages)
    yield from check_tools(line, dialect, "")


def unknown_keys(value: dict[str, Json], known: tuple[str, ...], pointer: str) -> Iterator[Problem]:
    """The members of `value`, which stands at `pointer`, that the target does not know."""
    for key in value:
        if key not in known:
            escaped = key.replace("~", "~0").replace("/", "~1")
            yield Problem(f"{pointer}/{escaped}", f"an unknown key; known are {', '.join(known)}", KEY)


def check_messages(messages: list[Json], dialect: Dialect, pointer: str) -> Iterator[Problem]:
    """The messages one by one, and what holds between them; not how they end."""
    called: set[str] = set()
    before = None
    pictures = 0
    for index, message in enumerate(messages):
        role = role_of(message)
        at = f"{pointer}/{index}"
        if not _plain(message, role, dialect):
            yield from _message(message, dialect, at)
            called.update(_ids(message))
            pictures += _pictures(message)
        if role == "system" and dialect.system_first and index:
            yield Problem(at, f"{dialect.vendor} takes one system message, before all others", SYSTEM)
        if role == before == "assistant" and dialect.answers_apart:
            yield Problem(at, f"{dialect.vendor} takes no two assistant messages in a row", ADJACENT)
        if role == "tool" and _id(message.get("tool_call_id")) not in called:
            yield Problem(f"{at}/tool_call_id", "no tool call before it has this id", "orphan_tool_result")
        before = role
    most = None if dialect.images is None else dialect.images.most
    if most is not None and pictures > most:
        yield Problem(pointer, f"{pictures} images; {dialect.vendor} takes {most}", images.TOO_MANY)
    if dialect.uniform_content:
        yield from _uniform(messages, pointer)
    if dialect.calls_answered:
        yield from answered(messages, pointer)


def answered(messages: list[Json], pointer: str) -> Iterator[Problem]:
    """That the results of tool calls stand right behind them; the last answer's are not there yet."""
    open_: list[str] = []
    caller = 0
    for index, message in enumerate(messages):
        if role_of(message) == "tool":
            id_ = _id(message.get("tool_call_id"))
            if id_ in open_:
                open_.remove(id_)
            else:
                yield Problem(f"{pointer}/{index}/tool_call_id", "the answer before it makes no such call", UNANSWERED)
            continue
        if open_:
            yield Problem(f"{pointer}/{caller}/tool_calls", "a call has no result right behind it", UNANSWERED)
        open_, caller = _ids(message), index
    if open_ and caller != len(messages) - 1:
        yield Problem(f"{pointer}/{caller}/tool_calls", "a call has no result right behind it", UNANSWERED)


def check_tools(line: dict[str, Json], dialect: Dialect, pointer: str) -> Iterator[Problem]:
    """`tools` and `parallel_tool_calls` of an object that may have them."""
    if type(line.get("parallel_tool_calls", False)) is not bool:
        yield Problem(f"{pointer}/parallel_tool_calls", "true or false", SHAPE)
    tools = line.get("tools", [])
    if type(tools) is not list:
        yield Problem(f"{pointer}/tools", "a list of tools", SHAPE)
        return
    for index, tool in enumerate(tools):
        yield from _tool(tool, dialect, f"{pointer}/tools/{index}")


def role_of(message: Json) -> str | None:
    """The role of what may be no message at all."""
    role = message.get("role") if type(message) is dict else None
    return role if type(role) is str else None


def says(message: dict[str, Json]) -> bool:
    """Whether an answer has any words or calls."""
    return any(message.get(key) for key in ("content", "tool_calls", "function_call", "refusal"))


def _learned(messages: list[Json]) -> Iterator[Problem]:
    last = len(messages) - 1
    if role_of(messages[last]) != "assistant":
        yield Problem(f"/messages/{last}", "the last message is the assistant's", LAST)
    answers = [message for message in messages if role_of(message) == "assistant"]
    if answers and all(message.get("weight") == 0 for message in answers):
        yield Problem("/messages", "no answer is learned: each has weight 0", NOTHING)


def _plain(message: Json, role: str | None, dialect: Dialect) -> bool:
    """Whether there is nothing to a message but its role and a text, as in most: then there is nothing to find."""
    if role not in dialect.keys:
        return False
    if len(message) != 2:
        weighed = len(message) == 3 and role == "assistant" and dialect.weights
        weight = message.get("weight") if weighed else None
        if type(weight) is not int or weight not in (0, 1):
            return False
    content = message.get("content")
    return type(content) is str and content != ""


def _message(message: Json, dialect: Dialect, at: str) -> Iterator[Problem]:
    if type(message) is not dict:
        yield Problem(at, "a message is an object", SHAPE)
        return
    role = role_of(message)
    if role is None or role not in dialect.keys:
        yield Problem(f"{at}/role", f"{dialect.vendor} knows the roles {', '.join(dialect.keys)}", "unknown_role")
        return
    extra = ("weight",) if role == "assistant" and dialect.weights else ()
    yield from unknown_keys(message, (*dialect.keys[role], *extra), at)
    for key in ("name", "refusal", "reasoning_content", "reasoning"):
        if type(message.get(key, "")) is not str:
            yield Problem(f"{at}/{key}", "is text", SHAPE)
    yield from _content(message, role, dialect, at)
    if role == "assistant":
        yield from _answer(message, at)


def _content(message: dict[str, Json], role: str, dialect: Dialect, at: str) -> Iterator[Problem]:
    content = message.get("content")
    if type(content) is str:
        return
    if content is None:
        if role != "assistant" or "content" not in message:
            yield Problem(f"{at}/content", "a message has a content", SHAPE)
        elif not says(message):
            yield Problem(f"{at}/content", "an answer has words, or calls a tool", "empty_answer")
        return
    kinds = dialect.parts.get(role, ())
    if type(content) is not list or not content or not kinds:
        yield Problem(f"{at}/content", "a content is text" + (" or a list of parts" if kinds else ""), SHAPE)
        return
    for index, part in enumerate(content):
        yield from _part(part, kinds, dialect, f"{at}/content/{index}")


def _part(part: Json, kinds: tuple[str, ...], dialect: Dialect, at: str) -> Iterator[Problem]:
    kind = part.get("type") if type(part) is dict else None
    if type(kind) is not str or kind not in kinds or kind not in part:
        yield Problem(at, f"a part is of the kind {' or '.join(kinds)}, under a key of that name", "unknown_part")
        return
    yield from unknown_keys(part, ("type", kind), at)
    if kind != "image_url":
        if type(part[kind]) is not str:
            yield Problem(f"{at}/{kind}", "is text", SHAPE)
        return
    fault = dialect.images.fault(part[kind]) if dialect.images is not None else None
    if fault is not None:
        yield Problem(f"{at}/{kind}", fault, images.UNFIT)


def _answer(message: dict[str, Json], at: str) -> Iterator[Problem]:
    weight = message.get("weight", 1)
    if type(weight) is not int or weight not in (0, 1):
        yield Problem(f"{at}/weight", "a weight is 0 or 1", MASK)
    elif weight and not says(message) and message.get("content") is not None:
        yield Problem(f"{at}/content", "a learned answer has words, or calls a tool", "empty_answer")
    called = message.get("function_call")
    if called is not None and not _function(called, ("name", "arguments")):
        yield Problem(f"{at}/function_call", "a name and arguments, both text", SHAPE)
    calls = message.get("tool_calls")
    if calls is None:
        return
    if type(calls) is not list or not calls:
        yield Problem(f"{at}/tool_calls", "a list of calls", SHAPE)
        return
    for index, call in enumerate(calls):
        yield from _call(call, f"{at}/tool_calls/{index}")


def _call(call: Json, at: str) -> Iterator[Problem]:
    if type(call) is not dict or call.get("type") != "function" or not _function(call.get("function")):
        yield Problem(at, "a call is of type function, with its name and its arguments as text", "unknown_tool")
        return
    yield from unknown_keys(call, ("id", "type", "function"), at)
    if type(call.get("id")) is not str:
        yield Problem(f"{at}/id", "a call has an id", SHAPE)


def _function(called: Json, keys: tuple[str, ...] = ("name", "arguments")) -> bool:
    return type(called) is dict and set(called) == set(keys) and all(type(called[key]) is str for key in keys)


def _tool(tool: Json, dialect: Dialect, at: str) -> Iterator[Problem]:
    function = tool.get("function") if type(tool) is dict else None
    if type(function) is not dict or tool.get("type") != "function":
        yield Problem(at, "a tool is of type function, with its function", "unknown_tool")
        return
    yield from unknown_keys(tool, ("type", "function"), at)
    at = f"{at}/function"
    yield from unknown_keys(function, dialect.function_keys, at)
    name = function.get("name")
    if type(name) is not str or dialect.tool_name.fullmatch(name) is None:
        yield Problem(f"{at}/name", f"a name that {dialect.vendor} takes", TOOL)
    for key, kind in (("description", str), ("parameters", dict), ("strict", bool)):
        if key in function and type(function[key]) is not kind:
            yield Problem(f"{at}/{key}", f"a {kind.__name__}", TOOL)


def _ids(message: Json) -> list[str]:
    calls = message.get("tool_calls") if type(message) is dict else None
    if type(calls) is not list or message.get("role") != "assistant":
        return []
    ids = [call.get("id") if type(call) is dict else None for call in calls]
    return [id_ for id_ in ids if type(id_) is str]


def _id(value: Json) -> str | None:
    return value if type(value) is str else None


def _pictures(message: Json) -> int:
    content = message.get("content") if type(message) is dict else None
    if type(content) is not list:
        return 0
    return sum(type(part) is dict and part.get("type") == "image_url" for part in content)


def _uniform(messages: list[Json], pointer: str) -> Iterator[Problem]:
    contents = [message.get("content") if type(message) is dict else None for message in messages]
    if not any(type(content) is list for content in contents):
        return
    for index, content in enumerate(contents):
        if content and type(content) is str:
            yield Problem(f"{pointer}/{index}/content", "another content is of parts, so each must be", SHAPE)
