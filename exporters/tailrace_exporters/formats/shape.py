"""What the chat targets share: how a message is read on its way into a target's shape. Pure.

A `Shaper` goes over one row once. It hands out the parts of messages, remembers by which rules parts were converted,
and refuses what no rule covers.
"""

import json
import math
from collections.abc import Collection
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.rows import Row

DEVELOPER: Final = "developer_as_system"
REASONING: Final = "reasoning_omitted"
MASK: Final = "mask_not_expressible"
ARGUMENTS: Final = "arguments_unfit"
TOOLS: Final = "tools_unfit"
REFUSAL: Final = "refusal_as_content"
NULL: Final = "null_content_as_empty"
PARALLEL: Final = "parallel_tool_calls_omitted"
JOINED: Final = "text_parts_joined"
EXTRA: Final = "extra_keys_omitted"
RESPONSE_FORMAT: Final = "response_format_omitted"

RULES: Final = {
    DEVELOPER: "the `developer` role becomes `system`",
    REASONING: "reasoning beside an answer (`reasoning`, `reasoning_content`) is left out",
    EXTRA: "keys of a message or of a part that the target does not know (cache markers, annotations) are left out",
    RESPONSE_FORMAT: "the request's `response_format` is left out",
}
REASONS: Final = {
    "empty_answer": "a learned answer has no text and calls no tool",
    "orphan_tool_result": "a tool message answers no call that stands before it",
    "unknown_role": "a message's role is not one of the target's",
    "unknown_shape": "a message or a tool is not shaped as the endpoint's reference says",
    "unknown_part": "a message holds something else than the target takes in this place, such as audio or a file",
    "unknown_tool": "a tool that is not a function",
    "learns_no_answer": "a message that is no answer is marked as learned; nothing is trained on it, ever",
}
_NEVER_OMITTED: Final = ("audio", "function_call", "tool_calls")  # an answer without them would be another answer
_REASONING_KEYS: Final = ("reasoning", "reasoning_content", "reasoning_details", "thinking")


class Shaper:
    """Reads one row for a target."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._called: dict[str, str] = {}
        self.rules: set[str] = {RESPONSE_FORMAT} if row.response_format is not None else set()

    def role(self, index: int) -> str:
        """The role of a message; `developer` is `system`."""
        message = self._row.messages[index]
        role = message.get("role") if type(message) is dict else None
        if self._row.train[index] and role != "assistant":
            raise UnfitError("learns_no_answer", f"/train/{index}")
        if role == "developer":
            self.rules.add(DEVELOPER)
            return "system"
        if role not in {"system", "user", "assistant", "tool", "function"}:
            raise UnfitError("unknown_role", f"/messages/{index}/role")
        return str(role)

    def known(self, index: int, keys: Collection[str]) -> dict[str, Json]:
        """The members of a message that have a value and stand in `keys`; the rest is left out by rule."""
        return self.pick(self._row.messages[index], keys, f"/messages/{index}")

    def pick(self, value: dict[str, Json], keys: Collection[str], pointer: str) -> dict[str, Json]:
        """The members of `value`, which stands at `pointer`, that have a value and stand in `keys`."""
        picked: dict[str, Json] = {}
        for key, member in value.items():
            if member is None:
                continue
            if key in keys:
                picked[key] = member
            elif key in _NEVER_OMITTED:
                raise UnfitError("unknown_part", f"{pointer}/{key}")
            elif member not in ([], {}):
                self.rules.add(REASONING if key in _REASONING_KEYS else EXTRA)
        return picked

    def text(self, index: int) -> str | None:
        """A content that must be text: the text itself, text parts joined by nothing, or None where there is none."""
        content = self._row.messages[index].get("content")
        if content is None or type(content) is str:
            return content
        self.rules.add(JOINED)
        return "".join(part["text"] for part in self.parts(index, ("text",)))

    def parts(self, index: int, kinds: Collection[str]) -> list[dict[str, Json]]:
        """A content's parts, each with its kind's own member only.

        Raises:
            UnfitError: a part of another kind than `kinds`.
        """
        content = self._row.messages[index]["content"]
        if type(content) is not list:
            raise UnfitError("unknown_shape", f"/messages/{index}/content")
        found = []
        for n, part in enumerate(content):
            kind = part.get("type") if type(part) is dict else None
            if kind not in kinds or kind not in part:
                raise UnfitError("unknown_part", f"/messages/{index}/content/{n}")
            if kind in {"text", "refusal"} and type(part[kind]) is not str:
                raise UnfitError("unknown_shape", f"/messages/{index}/content/{n}/{kind}")
            found.append(self.pick(part, ("type", str(kind)), f"/messages/{index}/content/{n}"))
        return found

    def calls(self, index: int) -> list[dict[str, Json]]:
        """A message's tool calls, each `{"id", "type", "function": {"name", "arguments"}}`; remembers their names."""
        calls = self._row.messages[index].get("tool_calls") or []
        if type(calls) is not list:
            raise UnfitError("unknown_shape", f"/messages/{index}/tool_calls")
        found = []
        for n, call in enumerate(calls):
            function = call.get("function") if type(call) is dict else None
            if type(function) is not dict or not all(type(function.get(k)) is str for k in ("name", "arguments")):
                raise UnfitError("unknown_tool", f"/messages/{index}/tool_calls/{n}")
            if type(call.get("id")) is not str:
                raise UnfitError("unknown_shape", f"/messages/{index}/tool_calls/{n}/id")
            self._called[call["id"]] = function["name"]
            found.append(
                {
                    "id": call["id"],
                    "type": "function",
                    "function": self.pick(
                        function, ("name", "arguments"), f"/messages/{index}/tool_calls/{n}/function"
                    ),
                }
            )
        return found

    def functions(self, keys: Collection[str]) -> list[Json] | None:
        """The tool schemas, each with those members of its function that stand in `keys`; None where there are none."""
        tools = self.tools()
        if tools is None:
            return None
        return [
            self.pick(tool, ("type", "function"), f"/tools/{n}")
            | {"function": self.pick(tool["function"], keys, f"/tools/{n}/function")}
            for n, tool in enumerate(tools)
        ]

    def all_learned(self) -> None:
        """For a target that learns every answer.

        Raises:
            UnfitError: one is not to be learned.
        """
        for index, message in enumerate(self._row.messages):
            if message.get("role") == "assistant" and not self._row.train[index]:
                raise UnfitError(MASK, f"/messages/{index}")

    def last_learned(self) -> None:
        """For a target that learns the last message, and no other.

        Raises:
            UnfitError: another one is to be learned, or the last one is not.
        """
        last = len(self._row.train) - 1
        for index, learned in enumerate(self._row.train):
            if learned != (index == last):
                raise UnfitError(MASK, f"/messages/{index}")

    def answered(self, index: int) -> str:
        """The name of the tool whose result a tool message is."""
        name = self._called.get(self._row.messages[index].get("tool_call_id") or "")
        if name is None:
            raise UnfitError("orphan_tool_result", f"/messages/{index}/tool_call_id")
        return name

    def tools(self) -> list[Json] | None:
        """The tool schemas, as they are; None where there are none."""
        tools = self._row.tools
        if tools is None or tools == []:
            return None
        if type(tools) is not list:
            raise UnfitError("unknown_shape", "/tools")
        for n, tool in enumerate(tools):
            if type(tool) is not dict or tool.get("type") != "function" or type(tool.get("function")) is not dict:
                raise UnfitError("unknown_tool", f"/tools/{n}")
        return tools


def arguments(call: dict[str, Json], pointer: str) -> dict[str, Json]:
    """The arguments of a tool call, which stands at `pointer`, as the object that their text is.

    Raises:
        UnfitError: they are no JSON object with distinct keys and finite numbers.
    """
    try:
        found = json.loads(
            call["function"]["arguments"], object_pairs_hook=_distinct, parse_constant=_finite, parse_float=_finite
        )
    except (ValueError, RecursionError) as exc:
        raise UnfitError(ARGUMENTS, f"{pointer}/function/arguments") from exc
    if type(found) is not dict:
        raise UnfitError(ARGUMENTS, f"{pointer}/function/arguments")
    return found


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        raise ValueError("no number of JSON")
    return found
