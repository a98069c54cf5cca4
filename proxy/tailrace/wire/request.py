"""What the relay must know of a request before it calls a provider: parsed once, checked for what we rely on.

Owns: the refusal of what cannot be routed or logged. Must not judge what is the provider's to judge (roles, content
shapes, parameter ranges) and must not change the body. Runs once per call on the event loop: keep it a few µs.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused
from tailrace.wire.endpoint import EndpointWire

MAX_NAME_CHARS: Final = 512
"""Longer than any model name or id in use; what is longer is refused (model) or taken for no id (user, session)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be routed and logged.

    `parsed` is what orjson made of the body: last of duplicate keys, integers beyond 64 bits as floats. It is for
    reading; the provider is sent the body's own bytes.
    """

    parsed: dict[str, Any]
    model: str
    stream: bool
    step: int  # assistant turns once this call has answered: 1 for a first turn
    usage_open: bool  # the client streams and did not say whether it wants a usage chunk
    first_user: str  # text of the first user message, cut: the same for all calls of a conversation


def read_request(body: bytes, wire: EndpointWire) -> Request:
    """The request in `body`.

    Raises:
        Refused: INVALID_JSON where the body is no JSON as RFC 8259 has it; INVALID_REQUEST where it is no object, or
            `model`, `stream` or what `wire` relies on is of the wrong kind. Status 400; the message quotes nothing of
            the body.
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
    read = wire.read(parsed)
    return Request(parsed, model, bool(stream), read.step, read.usage_open, read.first_user)


def _invalid(message: str) -> Refused:
    return Refused(Code.INVALID_REQUEST, message, status=400)
