"""How a request begins, as text: what keeps the calls of one conversation with one target, and how far it has come.

Runs once per call on the event loop: it looks at the roles of all messages and at the text of one.
"""

from typing import Any, Final

from tailrace.errors import Code, Refused
from tailrace.records import Json

FIRST_USER_CHARS: Final = 512
"""How much of the first user message goes into a sticky key."""

_PARTS: Final = 16


def read_messages(messages: Json) -> tuple[int, str]:
    """The step that answers `messages`, and the first user message's text, cut.

    Raises:
        Refused: INVALID_REQUEST where `messages` is no list of objects, or empty.
    """
    if not isinstance(messages, list) or not messages:
        raise Refused(Code.INVALID_REQUEST, "`messages` must be a non-empty array of objects.", status=400)
    answers = 0
    first: dict[str, Any] | None = None
    for message in messages:
        if not isinstance(message, dict):
            raise no_object("messages", messages, message)
        role = message.get("role")
        if role == "assistant":
            answers += 1
        elif first is None and role == "user":
            first = message
    return 1 + answers, "" if first is None else short_text(first.get("content"))


def no_object(field: str, values: list[Json], value: Json) -> Refused:
    """The refusal of the first of `values`, a list in `field`, that is no object: `value`."""
    return Refused(Code.INVALID_REQUEST, f"`{field}[{values.index(value)}]` must be an object.", status=400)


def short_text(content: Json) -> str:
    """The beginning of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content[:FIRST_USER_CHARS]
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content[:_PARTS] if isinstance(part, dict))
    return "".join(text[:FIRST_USER_CHARS] for text in texts if isinstance(text, str))[:FIRST_USER_CHARS]


def beginning_of(prompt: Json) -> str:
    """The beginning of a prompt that is a string, tokens, or a list of either."""
    if isinstance(prompt, list):
        firsts = (str(token) if type(token) is int else beginning_of_one(token) for token in prompt[:_PARTS])
        return " ".join(firsts)[:FIRST_USER_CHARS]
    return beginning_of_one(prompt)


def beginning_of_one(prompt: Json) -> str:
    """The same where it is no list of prompts."""
    if isinstance(prompt, list):
        return " ".join(str(token) for token in prompt[:_PARTS] if type(token) is int)[:FIRST_USER_CHARS]
    return prompt[:FIRST_USER_CHARS] if isinstance(prompt, str) else ""
