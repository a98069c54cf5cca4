"""How a classifier asks a model: one protocol, whoever carries the call.

In the relay it is a call in process (`relay.own_calls`), elsewhere a client of the running relay
(`upstream.relay_client`). Either way the call is routed, limited and logged, and is never classified itself.
"""

from collections.abc import Sequence
from typing import Protocol

from tailrace.records import Json, Origin
from tailrace.wire.own import Completed


class Complete(Protocol):
    """A model call of Tailrace's own."""

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """One chat completion, not streamed; failures of any kind are in the result.

        `source` is the completion on whose account it is made; `private`: neither body is logged.
        """

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """One vector for each of `texts`, in order; None: they cannot be had. Its bodies are not logged: the texts are
        in the log already, where they may be."""
