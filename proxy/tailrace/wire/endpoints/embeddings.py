"""`POST /v1/embeddings`: OpenAI's embeddings. There are no streams, no end that has a reason, and no conversation."""

from typing import Any, Final

from tailrace.records import Endpoint
from tailrace.wire.endpoint import EndpointWire, Read
from tailrace.wire.opening import beginning_of
from tailrace.wire.usage import read_usage


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Never refuses: an input is a string, tokens, or a list of either."""
    return Read(first_user=beginning_of(parsed.get("input")))


WIRE: Final = EndpointWire(
    endpoint=Endpoint.EMBEDDINGS,
    path="/embeddings",
    read=read,
    scan=None,
    fold=None,
    usage=lambda answer, ended: read_usage(answer, ended=ended),
    finish_reason=lambda _: None,
    turns_of=lambda _: (),
    answers_of=lambda _: (),
)
