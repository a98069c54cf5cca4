"""What a message says, as text a person reads. Pure; takes any JSON, as clients and providers send any.

A message is one of chat's or Anthropic's, or an item of a response: each says who speaks, and what, in its own fields.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from tailrace.chains.canonical import canonical
from tailrace.records import Endpoint, Json
from tailrace.store.layout import CONVERSATION

_CALLS: Final = ("function_call", "custom_tool_call", "tool_use", "server_tool_use")  # any JSON is looked for in it


def dumped(value: Json) -> bytes:
    """JSON on one line, however deep: orjson reads 1,024 levels and writes 254, of the rest the keys are sorted."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return canonical(value)


def spoken(message: Json) -> str:
    """The text of a message, its tool calls as `name(arguments)` after it, one a line."""
    if not isinstance(message, dict):
        return dumped(message).decode()
    kind = message.get("type")
    if kind in _CALLS:
        return _call(message)
    pieces = [_content(message[name]) for name in ("content", "summary", "output") if name in message]
    if isinstance(message.get("refusal"), str):
        pieces.append(message["refusal"])
    pieces.extend(_tool_calls(message))
    if not any(name in message for name in ("content", "summary", "output")) and isinstance(kind, str):
        pieces.append(f"[{kind}]")
    return "\n".join(piece for piece in pieces if piece)


def speaker(message: Json) -> str:
    """Who says it: the role (of an item without one, its type), and the name or the tool call it answers."""
    if not isinstance(message, dict):
        return "?"
    who = message.get("role") or message.get("type") or "?"
    about = message.get("name") or message.get("tool_call_id") or message.get("call_id")
    return f"{_word(who)} {_word(about)}" if about else _word(who)


def messages_of(endpoint: str, request: Json) -> list[Json]:
    """The conversation in a request; empty where it has none."""
    field = next((name for known, name in CONVERSATION.items() if known == endpoint), None)
    found = request.get(field) if isinstance(request, dict) and field is not None else None
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    return found if isinstance(found, list) else []


def choices_of(endpoint: str, answer: Json) -> list[Json]:
    """The messages of an answer."""
    if not isinstance(answer, dict):
        return []
    if endpoint == Endpoint.MESSAGES:
        return [answer] if answer.get("role") == "assistant" else []
    if endpoint == Endpoint.RESPONSES:
        return _listed(answer.get("output"))
    choices = [choice for choice in _listed(answer.get("choices")) if isinstance(choice, dict)]
    if endpoint == Endpoint.COMPLETIONS:
        return [{"role": "assistant", "content": choice["text"]} for choice in choices if "text" in choice]
    return [choice["message"] for choice in choices if "message" in choice]


def since_last_answer(messages: list[Json]) -> list[Json]:
    """What was said after the last assistant's message, system and developer messages left out."""
    new: list[Json] = []
    for message in reversed(messages):
        if _is_answer(message):
            break
        if not isinstance(message, dict) or message.get("role") not in ("system", "developer"):
            new.append(message)
    return new[::-1]


def complaint(answer: Json) -> str:
    """What an error says of itself: OpenAI's and Anthropic's `error.message`, and the shapes that others have made."""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error") or answer.get("detail") or answer.get("message")
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or error
    return "" if error is None else _word(error)


def _is_answer(message: Json) -> bool:
    if not isinstance(message, dict):
        return False
    if "role" in message:
        return bool(message["role"] == "assistant")
    return not _word(message.get("type")).endswith("_output")  # of a response: what the model did, but for its results


def _content(content: Json) -> str:
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    return "" if content is None else _word(content)


def _part(part: Json) -> str:
    if not isinstance(part, dict):
        return _word(part)
    for name in ("text", "refusal"):
        if isinstance(part.get(name), str):
            return str(part[name])
    kind = part.get("type")
    if kind in _CALLS:
        return _call(part)
    if kind == "tool_result" and not _nests(part):
        return _content(part.get("content"))
    return f"[{kind}]" if isinstance(kind, str) else dumped(part).decode()


def _nests(result: dict[str, Any]) -> bool:
    """Whether a tool's result holds further ones, which no tool returns, and which could go on for ever."""
    return any(isinstance(part, dict) and part.get("type") == "tool_result" for part in _listed(result.get("content")))


def _tool_calls(message: dict[str, Any]) -> Iterator[str]:
    for call in _listed(message.get("tool_calls")):
        known = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        yield _call(known) if isinstance(known, dict) else dumped(call).decode()
    if isinstance(message.get("function_call"), dict):
        yield _call(message["function_call"])


def _call(call: dict[str, Any]) -> str:
    arguments = next((call[name] for name in ("arguments", "input") if call.get(name) is not None), "")
    return f"{_word(call.get('name', '?'))}({_word(arguments)})"


def _word(value: Json) -> str:
    return value if isinstance(value, str) else dumped(value).decode()


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
