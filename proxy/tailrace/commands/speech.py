"""What a message says, as text a person reads. Pure; takes any JSON, as clients and providers send any."""

from collections.abc import Iterator

import orjson

from tailrace.records import Json


def spoken(message: Json) -> str:
    """The text of a message, its tool calls as `name(arguments)` after it, one a line."""
    if not isinstance(message, dict):
        return _dumped(message)
    pieces = [_content(message.get("content"))]
    if isinstance(message.get("refusal"), str):
        pieces.append(message["refusal"])
    pieces.extend(_calls(message.get("tool_calls")))
    return "\n".join(piece for piece in pieces if piece)


def speaker(message: Json) -> str:
    """Who says it: the role, and the name or the tool call it answers."""
    if not isinstance(message, dict):
        return "?"
    about = message.get("name") or message.get("tool_call_id")
    return f"{message.get('role', '?')} {about}" if about else str(message.get("role", "?"))


def messages_of(request: Json) -> list[Json]:
    """The messages of a request; none where it has no list of them."""
    found = request.get("messages") if isinstance(request, dict) else None
    return found if isinstance(found, list) else []


def choices_of(answer: Json) -> list[Json]:
    """The messages of an answer's choices."""
    found = answer.get("choices") if isinstance(answer, dict) else None
    choices = found if isinstance(found, list) else []
    return [choice["message"] for choice in choices if isinstance(choice, dict) and "message" in choice]


def since_last_answer(messages: list[Json]) -> list[Json]:
    """What was said after the last assistant's message, system and developer messages left out."""
    new: list[Json] = []
    for message in reversed(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role == "assistant":
            break
        if role not in ("system", "developer"):
            new.append(message)
    return new[::-1]


def _content(content: Json) -> str:
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    if content is None or isinstance(content, str):
        return content or ""
    return _dumped(content)


def _part(part: Json) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, dict) else None
    return f"[{kind}]" if isinstance(kind, str) else _dumped(part)


def _calls(calls: Json) -> Iterator[str]:
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield f"{function.get('name')}({function.get('arguments', '')})"
        else:
            yield _dumped(call)


def _dumped(value: Json) -> str:
    return orjson.dumps(value).decode()
