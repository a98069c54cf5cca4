"""`POST /v1/chat/completions`: OpenAI's chat completions."""

from collections.abc import Sequence
from typing import Any, Final

from tailrace.errors import Code, Refused
from tailrace.records import Endpoint, Json
from tailrace.wire.endpoint import EndpointWire, Read, Scan
from tailrace.wire.fold import fold_chat
from tailrace.wire.scan import StreamScan
from tailrace.wire.usage import finish_reason, read_usage

FIRST_USER_CHARS: Final = 512
"""How much of the first user message goes into a sticky key."""


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Raises Refused where `messages` is no list of objects."""
    step, first_user = read_messages(parsed.get("messages"))
    return Read(step, first_user, usage_open=bool(parsed.get("stream")) and _is_open(parsed.get("stream_options")))


def read_messages(messages: Json) -> tuple[int, str]:
    """The step that answers `messages`, and the first user message's text, cut. Raises Refused."""
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
    return 1 + answers, "" if first is None else short_text(first.get("content"))


def short_text(content: Json) -> str:
    """The beginning of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content[:FIRST_USER_CHARS]
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content[:16] if isinstance(part, dict))
    return "".join(text[:FIRST_USER_CHARS] for text in texts if isinstance(text, str))[:FIRST_USER_CHARS]


def turns_of(request: Json) -> Sequence[dict[str, Any]]:
    """As `EndpointWire.turns_of`."""
    messages = request.get("messages") if isinstance(request, dict) else None
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else ()


def answers_of(answer: Json) -> Sequence[tuple[int, dict[str, Any]]]:
    """As `EndpointWire.answers_of`."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        return ()
    return [
        (index, choice["message"])
        for index, choice in enumerate(choices)
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict)
    ]


def _scan(drop_usage: bool) -> Scan:
    return StreamScan(drop_usage=drop_usage)


def _invalid(message: str) -> Refused:
    return Refused(Code.INVALID_REQUEST, message, status=400)


def _is_open(options: Json) -> bool:
    return options is None or (isinstance(options, dict) and "include_usage" not in options)


WIRE: Final = EndpointWire(
    endpoint=Endpoint.CHAT,
    path="/chat/completions",
    read=read,
    scan=_scan,
    fold=fold_chat,
    usage=lambda answer, ended: read_usage(answer, ended=ended),
    finish_reason=finish_reason,
    turns_of=turns_of,
    answers_of=answers_of,
)
