"""A message as chains see it: what is left once everything that clients lose or move when they echo it is put aside.

An answer loses the space around it and its thoughts. What the client said itself stays as it is: it is repeated so,
and a space is all that tells some conversations apart. Equal turns here mean "the same turn, echoed"; they are compared
by hash only. Must not be used for storing: a turn cannot rebuild its message.
"""

import re
from hashlib import blake2b
from typing import Any, Final

import orjson

from tailrace.chains.canonical import HASH_BYTES, canonical
from tailrace.records import Json, Turn

SYSTEM: Final = "system"

_ROLES: Final = {"developer": SYSTEM, "function": "tool"}
_TEXT_PARTS: Final = frozenset((None, "text", "input_text", "output_text"))
_IGNORED_PARTS: Final = frozenset(("refusal", "thinking", "redacted_thinking", "reasoning"))
_MARKERS: Final = frozenset(("cache_control", "cachePoint", "cache_point"))
_THOUGHT: Final = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_OBJECT: Final = "\ufffc"  # stands in the text where a part that is no text stood, followed by its hash


def turn_of(message: dict[str, Any]) -> Turn:
    """The turn that `message` is. Never fails: what has no known shape is compared as it is."""
    role = message.get("role")
    if not isinstance(role, str):
        role = ""
    role = _ROLES.get(role, role)
    content = message.get("content")
    text = content if isinstance(content, str) else _text(content)
    if role != "assistant":
        return Turn(role, text)
    if "<think>" in text and (thought := _THOUGHT.match(text)):
        text = text[thought.end() :]
    return Turn(role, text.strip(), _calls(message))


def _text(content: Json) -> str:
    if content is None:
        return ""
    if not isinstance(content, list):
        return _object(content)
    return "".join(_part_text(part) for part in content)


def _part_text(part: Json) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return _object(part)
    kind = part.get("type")
    text = part.get("text")
    if isinstance(kind, str | None):
        if kind in _IGNORED_PARTS:
            return ""
        if kind in _TEXT_PARTS and isinstance(text, str):
            return text
    return _object({name: value for name, value in part.items() if value is not None and name not in _MARKERS})


def _object(value: Json) -> str:
    return _OBJECT + blake2b(canonical(value), digest_size=HASH_BYTES).hexdigest()


def _calls(message: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """All tool calls in order, without their ids; a legacy `function_call` is one."""
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return tuple(_call(call) for call in calls)
    legacy = message.get("function_call")
    return (_named(legacy, "arguments"),) if isinstance(legacy, dict) else ()


def _call(call: Json) -> tuple[str, str]:
    if isinstance(call, dict):
        if isinstance(function := call.get("function"), dict):
            return _named(function, "arguments")
        if isinstance(custom := call.get("custom"), dict):
            return _named(custom, "input")
    return "", _object(call)


def _named(call: dict[str, Any], field: str) -> tuple[str, str]:
    name = call.get("name")
    return (name if isinstance(name, str) else ""), _arguments(call.get(field))


def _arguments(arguments: Json) -> str:
    """Canonical JSON, so that another spacing or order of keys is the same call; as it stands where it is no JSON."""
    if isinstance(arguments, str):
        if not arguments or arguments.isspace():
            return "{}"
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            return str(arguments).strip()
    return "{}" if arguments is None else canonical(arguments).decode()
