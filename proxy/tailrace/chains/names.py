"""Links that a client names: `previous_response_id`, and the `conversation` that a provider keeps. Pure.

Such a request holds only what is new, so its words say nothing of what was before. The name takes the place of the hash
of the conversation so far: a completion offers the names by which it can be continued, and a later one asks for its
parent's.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeGuard

from tailrace.chains.canonical import HASH_BYTES
from tailrace.records import Endpoint, Json

ANSWER: Final = "answer"  # by the id of its answer
CONVERSATION: Final = "conversation"  # by the conversation it belongs to: its newest completion is meant
_MAX_CHARS: Final = 512


@dataclass(frozen=True, slots=True)
class Name:
    """What a parent is called."""

    kind: str  # `ANSWER` or `CONVERSATION`
    value: str

    @property
    def link(self) -> bytes:
        """The name as a link hash; no conversation's words have it."""
        text = f"{self.kind}\0{self.value}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=HASH_BYTES, person=b"tailrace-name").digest()


def parent_name(endpoint: str, request: Json) -> Name | None:
    """The parent that a request names, if it does."""
    if endpoint != Endpoint.RESPONSES or not isinstance(request, dict):
        return None
    previous = request.get("previous_response_id")
    if _is_name(previous):
        return Name(ANSWER, previous)
    return _conversation(request)


def own_names(endpoint: str, request: Json, answer_id: str | None) -> tuple[Name, ...]:
    """The names by which a completion can be continued."""
    if endpoint != Endpoint.RESPONSES:
        return ()
    conversation = _conversation(request) if isinstance(request, dict) else None
    by_id = () if answer_id is None else (Name(ANSWER, answer_id),)
    return by_id if conversation is None else (*by_id, conversation)


def _conversation(request: dict[str, Json]) -> Name | None:
    named = request.get("conversation")
    if isinstance(named, dict):
        named = named.get("id")
    return Name(CONVERSATION, named) if _is_name(named) else None


def _is_name(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _MAX_CHARS
