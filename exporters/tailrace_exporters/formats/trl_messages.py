"""Hugging Face TRL's conversational language-modelling rows, for `SFTTrainer(assistant_only_loss=True)`.

    {"messages": [...], "tools": [...] or null}

One shape a file, because `datasets` infers the columns: content is always text, tool arguments are an object, a tool
message names its tool, `tools` is always there. TRL learns all assistant messages or, by default, every token: it has
no mark for a single message. So a row with an answer that is not to be learned is refused, never learned by accident.
"""

from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, UnfitError
from tailrace_exporters.formats.shape import ARGUMENTS, JOINED, MASK, NULL, REASONS, REFUSAL, RULES, Shaper, arguments
from tailrace_exporters.rows import Row

_KEYS: Final = {
    "system": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "refusal", "tool_calls"),
    "tool": ("role", "content", "tool_call_id"),
}


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    messages = [_message(shaper, row, index) for index in range(len(row.messages))]
    return Line({"messages": messages, "tools": shaper.tools()}, frozenset(shaper.rules))


def _message(shaper: Shaper, row: Row, index: int) -> dict[str, Json]:
    role = shaper.role(index)
    if role not in _KEYS:
        raise UnfitError("unknown_role", f"/messages/{index}/role")
    known = shaper.known(index, _KEYS[role])
    if role == "assistant":
        return _answer(shaper, row, index, known)
    text = shaper.text(index)
    if text is None:
        raise UnfitError("unknown_shape", f"/messages/{index}/content")
    if role == "tool":
        name = shaper.answered(index)
        return {"role": role, "content": text, "name": name, "tool_call_id": known["tool_call_id"]}
    return {"role": role, "content": text}


def _answer(shaper: Shaper, row: Row, index: int, known: dict[str, Json]) -> dict[str, Json]:
    if not row.train[index]:
        raise UnfitError(MASK, f"/messages/{index}")
    calls = shaper.calls(index)
    text = shaper.text(index)
    if not text and type(known.get("refusal")) is str:
        shaper.rules.add(REFUSAL)
        text = known["refusal"]
    if not text and not calls:
        raise UnfitError("empty_answer", f"/messages/{index}/content")
    if text is None:
        shaper.rules.add(NULL)
    message: dict[str, Json] = {"role": "assistant", "content": text or ""}
    if calls:
        message["tool_calls"] = [_call(call, f"/messages/{index}/tool_calls/{n}") for n, call in enumerate(calls)]
    return message


def _call(call: dict[str, Json], pointer: str) -> dict[str, Json]:
    return call | {"function": {"name": call["function"]["name"], "arguments": arguments(call, pointer)}}


FORMAT: Final = Format(
    about="Hugging Face TRL conversational rows, for SFTTrainer(assistant_only_loss=True)",
    project=project,
    rules=RULES
    | {
        JOINED: "a content of several text parts becomes one text",
        REFUSAL: "a refusal without other text becomes the content",
        NULL: "the null content of an answer that calls tools becomes empty text",
    },
    reasons=REASONS
    | {
        MASK: "an answer is not to be learned, and TRL has no mark for that",
        ARGUMENTS: "a tool call's arguments are no JSON object with distinct keys and finite numbers",
    },
)
