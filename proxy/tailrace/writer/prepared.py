"""What the pure half of the writer hands to the half that files: a completion taken apart, addressed by content.

Closed ─ prepare ─▶ Prepared ─ link, ingest ─▶ rows           ids inside the store come in only on the second arrow
"""

from dataclasses import dataclass, field
from typing import Final

from tailrace.chains.links import AnswerLinks, Links
from tailrace.chains.names import Name
from tailrace.records import Attempt, Closed, Json, Usage

REQUEST: Final = "request"
ANSWER: Final = "answer"
PROVIDER: Final = "provider"
"""The side of an answer in its provider's own dialect."""


@dataclass(frozen=True, slots=True)
class Content:
    """A message, a schema or a shape: what is stored once. `body` is JSON; with a `core`, of the rest (see `parts`)."""

    hash: bytes
    body: bytes
    core: "Content | None" = None


@dataclass(frozen=True, slots=True)
class RequestParts:
    """A request taken apart. Without `params` the body was no JSON."""

    params: Content | None = None
    path: tuple[Content, ...] = ()  # messages that are not system messages
    system: tuple[tuple[int, Content], ...] = ()  # with their positions among all messages
    tools: tuple[Content, ...] = ()
    parsed: Json = None
    raw_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ChoicePart:
    """One choice of an answer that has messages: one, or with responses one an item. `index` is its place."""

    index: int
    messages: tuple[Content, ...]  # their cores
    finish_reason: str | None
    links: AnswerLinks


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """An answer taken apart. Without an `envelope` it was no JSON, or there was none."""

    envelope: Content | None = None
    values: bytes | None = None
    id: str | None = None
    served_model: str | None = None
    finish_reason: str | None = None
    choices: tuple[ChoicePart, ...] = ()
    usage: Usage = field(default_factory=Usage)
    raw_reason: str | None = None
    translated: str | None = None  # the dialect that the provider's own bytes are in


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes kept because the parts cannot be proven to rebuild them."""

    side: str  # `REQUEST`, `ANSWER` or `PROVIDER`
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A completion taken apart, ready to be filed."""

    closed: Closed
    request: RequestParts
    answer: AnswerParts
    links: Links
    attempts: tuple[Attempt, ...]
    raws: tuple[Raw, ...]
    cost_usd: float | None = None
    parent: Name | None = None  # as the client named it
    names: tuple[Name, ...] = ()  # by which it can be continued

    @property
    def project(self) -> str:
        """Whose content this is: hashes are keyed by it."""
        return self.closed.start.project

    @property
    def first_choice(self) -> ChoicePart | None:
        """The first choice's part, if that choice has a message."""
        choices = self.answer.choices
        return choices[0] if choices and choices[0].index == 0 else None

    @property
    def ended_us(self) -> int:
        """When the call ended; its start where the relay died during it."""
        start = self.closed.start.at_us
        return start if self.closed.end is None else start + self.closed.end.duration_us
