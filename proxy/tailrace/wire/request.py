"""What the relay must know of a chat request before it calls a provider: parsed once, checked for what we rely on.

Owns: the refusal of what cannot be routed or logged. Must not judge what is the provider's to judge (roles, content
shapes, parameter ranges) and must not change the body. Runs once per call on the event loop: keep it a few µs.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused
from tailrace.records import Json

MAX_NAME_CHARS: Final = 512
"""Longer than any model name or id in use; what is longer is refused (model) or taken for no id (user, session)."""

FIRST_USER_CHARS: Final = 512
"""How much of the first user message goes into a sticky key."""

_USER_FIELDS: Final = ("safety_identifier", "user")
_SESSION_FIELDS: Final = (
    "litellm_session_id",
    "tensorzero::episode_id",
    "episode_id",
    "langfuse_session_id",
    "session_id",
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion request that can be routed and logged.

    `parsed` is what orjson made of the body: last of duplicate keys, integers beyond 64 bits as floats. It is for
    reading; the provider is sent the body's own bytes.
    """

    parsed: dict[str, Any]
    model: str
    stream: bool
    step: int  # assistant turns once this call has answered: 1 for a first turn
    stream_options_open: bool  # the client streams and did not say whether it wants a usage chunk
    user: str | None  # who the client says its end user is
    session: str | None  # the conversation's id, where the body names one
    first_user: str  # text of the first user message, cut: the same for all calls of a conversation


def read_request(body: bytes) -> ChatRequest:
    """The request in `body`.

    Raises:
        Refused: INVALID_JSON where the body is no JSON as RFC 8259 has it; INVALID_REQUEST where it is no object, or
            `model`, `messages` or `stream` is of the wrong kind. Status 400; the message quotes nothing of the body.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        reason = f"{exc.msg.partition(':')[0]} at line {exc.lineno}, column {exc.colno}"
        raise Refused(Code.INVALID_JSON, f"The request body is not valid JSON: {reason}.", status=400) from exc
    if not isinstance(parsed, dict):
        raise _invalid("The request body must be a JSON object.")
    model = parsed.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= MAX_NAME_CHARS:
        raise _invalid(f"`model` must be a string of 1 to {MAX_NAME_CHARS} characters.")
    stream = parsed.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _invalid("`stream` must be true, false or null.")
    answers, first_user = _read_messages(parsed.get("messages"))
    return ChatRequest(
        parsed=parsed,
        model=model,
        stream=bool(stream),
        step=1 + answers,
        stream_options_open=bool(stream) and _is_open(parsed.get("stream_options")),
        user=_first_id(parsed, _USER_FIELDS),
        session=_session(parsed),
        first_user=first_user,
    )


def _invalid(message: str) -> Refused:
    return Refused(Code.INVALID_REQUEST, message, status=400)


def _read_messages(messages: Json) -> tuple[int, str]:
    """How many assistant messages there are, and the first user message's text."""
    if not isinstance(messages, list) or not messages:
        raise _invalid("`messages` must be a non-empty array of objects.")
    answers = 0
    first: dict[str, Any] | None = None
    for message in messages:
        if not isinstance(message, dict):
            raise _invalid(f"`messages[{messages.index(message)}]` must be an object.")
        role = message.get("role")
        if role == "assistant":
            answers += 1
        elif first is None and role == "user":
            first = message
    return answers, "" if first is None else _short_text(first.get("content"))


def _short_text(content: Json) -> str:
    if isinstance(content, str):
        return content[:FIRST_USER_CHARS]
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content[:16] if isinstance(part, dict))
    return "".join(text[:FIRST_USER_CHARS] for text in texts if isinstance(text, str))[:FIRST_USER_CHARS]


def _is_open(options: Json) -> bool:
    return options is None or (isinstance(options, dict) and "include_usage" not in options)


def _first_id(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS:
            return value
    return None


def _session(parsed: dict[str, Any]) -> str | None:
    named = _first_id(parsed, _SESSION_FIELDS)
    if named is None and isinstance(metadata := parsed.get("metadata"), dict):
        return _first_id(metadata, ("session_id",))
    return named
