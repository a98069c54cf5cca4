"""What TRL's targets share: messages as chat templates of Hugging Face read them. Pure.

Content is always text, a tool's arguments are an object, a tool message names its tool.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Problem, UnfitError
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import ARGUMENTS, JOINED, NULL, REASONS, REFUSAL, RULES, Shaper, arguments
from tailrace_exporters.rows import Row

_KEYS: Final = {
    "system": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "refusal", "tool_calls"),
    "tool": ("role", "content", "tool_call_id"),
}

TRL_RULES: Final = RULES | {
    JOINED: "a content of several text parts becomes one text",
    REFUSAL: "a refusal without other text becomes the content",
    NULL: "the null content of an answer that calls tools becomes empty text",
}
TRL_REASONS: Final = REASONS | {
    ARGUMENTS: "a tool call's arguments are no JSON object with distinct keys and finite numbers",
}
PROMPTLESS: Final = "turns_unfit"
PROMPTED: Final = {PROMPTLESS: "nothing stands before the answer"}
ROLES: Final = frozenset(_KEYS)


def message(shaper: Shaper, index: int) -> dict[str, Json]:
    """A message of the row; whether it is learned is the target's to say."""
    role = shaper.role(index)
    if role not in _KEYS:
        raise UnfitError("unknown_role", f"/messages/{index}/role")
    known = shaper.known(index, _KEYS[role])
    if role == "assistant":
        return _answer(shaper, index, known)
    text = shaper.text(index)
    if text is None:
        raise UnfitError("unknown_shape", f"/messages/{index}/content")
    if role == "tool":
        name = shaper.answered(index)
        return {"role": role, "content": text, "name": name, "tool_call_id": known["tool_call_id"]}
    return {"role": role, "content": text}


def messages(shaper: Shaper, row: Row) -> list[dict[str, Json]]:
    """All of them."""
    return [message(shaper, index) for index in range(len(row.messages))]


def prompted(shaper: Shaper, row: Row) -> list[dict[str, Json]]:
    """All of them, for a target that tells the prompt from the last one."""
    found = messages(shaper, row)
    if len(found) < 2:
        raise UnfitError(PROMPTLESS, "/messages/0")
    return found


def rejected(row: Row) -> tuple[dict[str, Json], frozenset[str]]:
    """The message that is not preferred, in the last one's place, and the rules it went by."""
    assert row.judgement is not None
    other = replace(row, messages=[*row.messages[:-1], row.judgement.rejected])
    shaper = Shaper(other)
    return messages(shaper, other)[-1], frozenset(shaper.rules)


def _answer(shaper: Shaper, index: int, known: dict[str, Json]) -> dict[str, Json]:
    calls = shaper.calls(index)
    text = shaper.text(index)
    if not text and type(known.get("refusal")) is str:
        shaper.rules.add(REFUSAL)
        text = known["refusal"]
    if not text and not calls:
        raise UnfitError("empty_answer", f"/messages/{index}/content")
    if text is None:
        shaper.rules.add(NULL)
    made: dict[str, Json] = {"role": "assistant", "content": text or ""}
    if calls:
        made["tool_calls"] = [_call(call, f"/messages/{index}/tool_calls/{n}") for n, call in enumerate(calls)]
    return made


def _call(call: dict[str, Json], pointer: str) -> dict[str, Json]:
    return call | {"function": {"name": call["function"]["name"], "arguments": arguments(call, pointer)}}


def check_messages(value: Json, pointer: str, *, least: int = 1) -> Iterator[Problem]:
    """The rules of `messages` on what stands in a file."""
    if type(value) is not list or len(value) < least:
        yield Problem(pointer, f"expected a list of at least {least} messages")
        return
    for index, each in enumerate(value):
        yield from _check_message(each, f"{pointer}/{index}")


def _check_message(each: Json, pointer: str) -> Iterator[Problem]:
    if type(each) is not dict or each.get("role") not in list(ROLES):
        yield Problem(f"{pointer}/role", f"expected one of {', '.join(sorted(ROLES))}")
        return
    if type(each.get("content")) is not str:
        yield Problem(f"{pointer}/content", "expected text, which chat templates put as it is")
    for n, call in enumerate(items(each.get("tool_calls"))):
        if type(at(call, "function", "arguments")) is not dict:
            yield Problem(f"{pointer}/tool_calls/{n}/function/arguments", "expected an object")
    if each["role"] == "tool" and type(each.get("name")) is not str:
        yield Problem(f"{pointer}/name", "expected the tool's name, which templates ask for")
