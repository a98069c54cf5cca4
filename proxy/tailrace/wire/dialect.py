"""What a provider's dialect is, and what it takes to answer a client in another one. Contracts.

    client's request ─▶ Translation.request ─▶ provider
    client's stream  ◀─ StreamTranslator    ◀─ provider's stream       the same code in the relay and in the writer,
    client's answer  ◀─ Translation.answer  ◀─ provider's answer       so what is stored is what the client saw

One module in `dialects/` fills in one `Dialect`. All of it is pure; times come in as arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tailrace.records import Endpoint, Json


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in the provider's dialect."""

    path: str  # behind the base URL, percent-encoded
    body: bytes
    query: bytes = b""


class StreamTranslator(Protocol):
    """A provider's stream on its way into the client's dialect."""

    def feed(self, chunk: bytes) -> bytes:
        """The client's bytes for the provider's `chunk`: whole events, perhaps none. Never fails."""

    def finish(self) -> bytes:
        """The transport has ended: what is left to say. Never a terminal event that the provider did not give."""


class Translation(Protocol):
    """One client endpoint answered by a provider of another dialect."""

    def request(self, parsed: dict[str, Any], model: str) -> Translated:
        """`parsed`, the client's body, as the provider takes it, for the provider's `model`.

        Raises:
            Refused: CANNOT_TRANSLATE, 400, naming the field that the provider's dialect cannot carry.
        """

    def answer(self, answer: Json, now_s: int) -> Json:
        """A whole answer of the provider as the client's dialect has it. `now_s` is Unix seconds. Never fails: what
        has no known shape becomes an answer with an `error`."""

    def error(self, body: bytes, status: int) -> bytes:
        """A provider's error body in the client's shape; a JSON object in any case."""

    def stream(self, asked: dict[str, Any], now_s: int) -> StreamTranslator:
        """A new translator for the stream that answers the request `asked`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How providers of a kind are spoken to."""

    name: str
    native: Mapping[Endpoint, str]
    """Endpoints it speaks itself, with their paths behind the base URL."""
    translations: Mapping[Endpoint, Translation]
    """Endpoints that it answers by translation."""
    credential: Callable[[bytes], tuple[bytes, bytes]]
    """The header that carries a key."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Sent where the client did not send a header of that name."""
