"""What an endpoint's wire is: how its requests are read, its streams followed and folded, its words found. Contracts.

One module in `endpoints/` fills in one `EndpointWire`. All of it is pure. The relay uses `read`, `scan` and `fail`, the
writer the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tailrace.records import Endpoint, Json, Usage


class Scan(Protocol):
    """Follows one stream on the event loop: what may be released now, and what waits for the log (DESIGN 2)."""

    terminal: bool
    """The terminal event has come whole."""

    @property
    def held(self) -> bytes:
        """The bytes from the terminal event on."""

    @property
    def events(self) -> int:
        """How many events with data have ended, the terminal one not counted. Comments and pings do not move it."""

    @property
    def failed(self) -> bool:
        """Whether an event told of an error."""

    def feed(self, chunk: bytes) -> bytes:
        """What may be released now, in order; empty where nothing may."""

    def finish(self) -> bytes:
        """The transport has ended: what was withheld only because it was undecided."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the relay must know of a request beside `model` and `stream`."""

    step: int = 1  # assistant turns once this call has answered: 1 for a first turn
    first_user: str = ""  # text of the first user message, cut: the same for all calls of a conversation
    usage_open: bool = False  # it streams, and did not say whether it wants a usage chunk


@dataclass(frozen=True, slots=True)
class Folded:
    """What a stream said."""

    answer: dict[str, Any] | None  # as a plain call would have answered; None where no chunk came
    terminal: bool  # the terminal event came
    error: Json | None  # what an error event said
    lossless: bool  # all that the events said is in `answer` and `error`
    reason: str = ""  # the first thing that was not


@dataclass(frozen=True, slots=True)
class EndpointWire:
    """One parsed endpoint."""

    endpoint: Endpoint
    path: str
    """Behind `/v1`, and behind the base URL of a provider that speaks it: `/chat/completions`."""
    read: Callable[[dict[str, Any]], Read]
    """Raises Refused where a field that we rely on is of the wrong kind; judges nothing else."""
    scan: Callable[[bool], Scan] | None
    """A new scan; the argument says whether to take the usage chunk out. None where there are no streams."""
    fold: Callable[[bytes], Folded] | None
    usage: Callable[[Json, bool], Usage]
    """The token counts in an answer; the argument says whether it came to its end. Never fails."""
    finish_reason: Callable[[Json], str | None]
    turns_of: Callable[[Json], Sequence[dict[str, Any]]]
    """A parsed request's conversation as chat messages, for linking only. Never fails."""
    answers_of: Callable[[Json], Sequence[tuple[int, dict[str, Any]]]]
    """An answer's choices with a message, as (index, chat message), for linking only. Never fails."""
