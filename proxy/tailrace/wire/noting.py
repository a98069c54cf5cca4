"""A note added to a request: words of the operator's that stand before the user's newest turn. Pure.

Chat gets a system message and responses a developer's, right before the trailing user messages; Anthropic's messages
have no such place, so there the system prompt ends with it. A completion's prompt has no messages at all.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from tailrace.records import Endpoint, Json
from tailrace.wire.exact import is_exact


class CannotNote(Exception):
    """The request has no place for a note, or cannot be written anew without a change to the rest."""


def with_note(endpoint: Endpoint, body: bytes, parsed: dict[str, Any], note: str) -> bytes:
    """The body of the request `parsed` (which `body` is) with `note` in it; everything else means the same.

    Raises:
        CannotNote: it has no place, or the body holds what JSON does not carry over (see `exact`).
    """
    add = _PLACES.get(endpoint)
    if add is None:
        raise CannotNote(f"a request of {endpoint} has no messages")
    if not is_exact(body, parsed):
        raise CannotNote("the body cannot be written anew without a change")
    return orjson.dumps(add(parsed, note))


def _chat(parsed: dict[str, Any], note: str) -> dict[str, Any]:
    return parsed | {"messages": _before_user(parsed.get("messages"), {"role": "system", "content": note})}


def _responses(parsed: dict[str, Any], note: str) -> dict[str, Any]:
    said = parsed.get("input")
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    return parsed | {"input": _before_user(said, {"role": "developer", "content": note})}


def _messages(parsed: dict[str, Any], note: str) -> dict[str, Any]:
    system = parsed.get("system")
    if isinstance(system, str):
        return parsed | {"system": f"{system}\n\n{note}" if system else note}
    if isinstance(system, list):
        return parsed | {"system": [*system, {"type": "text", "text": note}]}
    return parsed | {"system": note}


def _before_user(messages: Json, added: dict[str, Any]) -> list[Any]:
    if not isinstance(messages, list):
        raise CannotNote("its messages are no list")
    at = len(messages)
    while at and isinstance(messages[at - 1], dict) and messages[at - 1].get("role") == "user":
        at -= 1
    return [*messages[:at], added, *messages[at:]]


_PLACES: Final[dict[Endpoint, Callable[[dict[str, Any], str], dict[str, Any]]]] = {
    Endpoint.CHAT: _chat,
    Endpoint.RESPONSES: _responses,
    Endpoint.MESSAGES: _messages,
}
NOTED: Final = frozenset(_PLACES)
"""The endpoints whose requests have a place for a note."""
