"""`POST /v1/chat/completions`: OpenAI's chat completions."""

from collections.abc import Sequence
from typing import Any, Final

from tailrace.records import Endpoint, Json
from tailrace.wire.endpoint import EndpointWire, Read
from tailrace.wire.fold import fold_chat
from tailrace.wire.opening import read_messages
from tailrace.wire.scan import StreamScan
from tailrace.wire.usage import finish_reason, read_usage


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Raises Refused where `messages` is no list of objects."""
    step, first_user = read_messages(parsed.get("messages"))
    return Read(step, first_user, leaves_usage_open(parsed))


def leaves_usage_open(parsed: dict[str, Any]) -> bool:
    """Whether a request streams, and did not say whether it wants a usage chunk."""
    if not parsed.get("stream"):
        return False
    options = parsed.get("stream_options")
    return options is None or (isinstance(options, dict) and "include_usage" not in options)


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


WIRE: Final = EndpointWire(
    endpoint=Endpoint.CHAT,
    path="/chat/completions",
    read=read,
    scan=lambda drop_usage: StreamScan(drop_usage=drop_usage),
    fold=fold_chat,
    usage=lambda answer, ended: read_usage(answer, ended=ended),
    finish_reason=finish_reason,
    turns_of=turns_of,
    answers_of=answers_of,
)
