"""What a wire is: how one dialect reads a question and writes an answer. A module such as `chat` is one.

Owns the interface, and what scenarios must know of a wire beside its shapes (`Manner`), so that none asks for its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from tailrace.records import Json
from tailrace.simulate.answer import Answer, Asked, Stamp

JSON_TYPE: Final = (b"content-type", b"application/json")
STREAM_TYPE: Final = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a wire differs from others where a scenario has to touch its bytes."""

    name: str
    path: str
    """What a person is shown of where it is spoken."""
    ping: bytes = b": ping\n\n"
    """What a stream says when it has nothing to say."""
    stream_type: tuple[bytes, bytes] = STREAM_TYPE
    request_id: bytes = b"x-request-id"
    """The header by which its providers name a call."""
    member: bytes = b'"object":'
    """A member that every document and every event has."""
    usage: bytes = b'"usage":'
    finish: str = "finish_reason"
    """The member that says why an answer ended."""


class Wire(Protocol):
    """How one dialect reads a question and writes an answer."""

    @property
    def MANNER(self) -> Manner:  # noqa: N802 - a module's constant
        """What scenarios must know of it."""

    @property
    def TERMINAL(self) -> bytes:  # noqa: N802 - a module's constant
        """The event after the last one; empty where a dialect has none."""

    def read(self, body: Json, path: str) -> Asked:
        """The question; raises BadRequest."""

    def document(self, asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
        """The body of a plain answer."""

    def events(self, asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[Json]:
        """The events of a streamed answer, without the terminal one."""

    def frame(self, event: Json, number: int = 0) -> bytes:
        """One event as it is streamed, as the `number`th, from 0."""

    def failure(
        self, message: str, *, kind: str, status: int = 500, code: str | None = None, param: str | None = None
    ) -> dict[str, Json]:
        """An error body. `kind` is OpenAI's word for it; a dialect that has words of its own goes by `status`."""
