"""What the targets share that know nothing but text, a system prompt, and turns that take turns. Pure."""

from dataclasses import dataclass
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.formats.shape import JOINED, NULL, TOOLS, Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES, message
from tailrace_exporters.rows import Row

SYSTEM_JOINED: Final = "system_messages_joined"
NO_ALTERNATION: Final = "turns_unfit"
LATE_SYSTEM: Final = "system_not_first"

TEXT_RULES: Final = {name: TRL_RULES[name] for name in TRL_RULES if name != NULL} | {
    SYSTEM_JOINED: "several system messages at the beginning become one, a blank line between them",
    JOINED: TRL_RULES[JOINED],
}
TEXT_REASONS: Final = TRL_REASONS | {
    NO_ALTERNATION: "users and answers do not take turns, beginning with a user and ending with an answer",
    TOOLS: "the row calls tools, or offers some, and the target has no place for them",
    LATE_SYSTEM: "a system message stands behind the beginning",
}


@dataclass(frozen=True, slots=True)
class Turns:
    """A conversation of text: `turns` begin with a user and take turns, to the last answer."""

    system: str | None
    turns: tuple[str, ...]


def system_and_rest(shaper: Shaper, row: Row) -> tuple[str | None, list[tuple[int, dict[str, Json]]]]:
    """The system prompt, and the messages after it with their places."""
    found = [message(shaper, index) for index in range(len(row.messages))]
    first = next((index for index, each in enumerate(found) if each["role"] != "system"), len(found))
    for index, each in enumerate(found[first:], first):
        if each["role"] == "system":
            raise UnfitError(LATE_SYSTEM, f"/messages/{index}/role")
    if first > 1:
        shaper.rules.add(SYSTEM_JOINED)
    system = "\n\n".join(each["content"] for each in found[:first]) if first else None
    return system, list(enumerate(found[first:], first))


def text_turns(shaper: Shaper, row: Row) -> Turns:
    """The row as text that takes turns."""
    system, rest = system_and_rest(shaper, row)
    if shaper.tools() is not None:
        raise UnfitError(TOOLS, "/tools")
    for place, (index, each) in enumerate(rest):
        if each["role"] == "tool" or "tool_calls" in each:
            raise UnfitError(TOOLS, f"/messages/{index}")
        if each["role"] != ("user", "assistant")[place % 2]:
            raise UnfitError(NO_ALTERNATION, f"/messages/{index}/role")
    if len(rest) % 2 or not rest:
        raise UnfitError(NO_ALTERNATION, f"/messages/{len(row.messages) - 1}/role")
    return Turns(system, tuple(each["content"] for _, each in rest))
