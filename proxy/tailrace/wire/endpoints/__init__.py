"""The parsed endpoints. A new one is one module here and one line in `ENDPOINTS`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.records import Endpoint
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.endpoints import chat, completions, embeddings, messages, responses

ENDPOINTS: Final[Mapping[Endpoint, EndpointWire]] = MappingProxyType(
    {
        wire.endpoint: wire
        for wire in (
            chat.WIRE,
            completions.WIRE,
            embeddings.WIRE,
            responses.WIRE,
            messages.WIRE,
        )
    }
)
