"""`POST /v1/completions`: OpenAI's text completions. They are no conversation, so there is nothing to link by."""

from typing import Any, Final

from tailrace.records import Endpoint
from tailrace.wire.endpoint import EndpointWire, Read
from tailrace.wire.endpoints.chat import leaves_usage_open
from tailrace.wire.fold import fold_completions
from tailrace.wire.opening import beginning_of
from tailrace.wire.scan import StreamScan
from tailrace.wire.usage import finish_reason, read_usage


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Never refuses: a prompt is a string, tokens, a list of either, or not there at all."""
    return Read(first_user=beginning_of(parsed.get("prompt")), usage_open=leaves_usage_open(parsed))


WIRE: Final = EndpointWire(
    endpoint=Endpoint.COMPLETIONS,
    path="/completions",
    read=read,
    scan=lambda drop_usage: StreamScan(drop_usage=drop_usage),
    fold=fold_completions,
    usage=lambda answer, ended: read_usage(answer, ended=ended),
    finish_reason=finish_reason,
    turns_of=lambda _: (),
    answers_of=lambda _: (),
)
