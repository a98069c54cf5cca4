"""What a request begins with: the messages that may be made from a template. Pure.

    system, user                            up to the first answer
    system, user, assistant, user           further, where the answer is an example that many requests show

An answer is an example where what follows it differs from request to request: in a conversation that goes on, one thing
follows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.templates.template import ASSISTANT, is_text, texts_of

FOLLOWERS: Final = 8
"""What follows an answer must differ so often for it to be an example."""
_MOST_ANSWERS: Final = 8
_MOST_LEADS: Final = 50_000
_HASH_BYTES: Final = 8
_ENDS_BYTES: Final = 4096

Shape = tuple[tuple[str, int, bool], ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """The first messages of a request: their roles, their texts, and a name for what they hold beside text."""

    roles: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    beside: tuple[str, ...]
    """Empty where a message is text alone."""

    @property
    def shape(self) -> Shape:
        """What two openings of one template have in common whatever they say."""
        return tuple(zip(self.roles, map(len, self.texts), map(bool, self.beside), strict=True))

    @property
    def chars(self) -> int:
        """How long it is."""
        return sum(len(text) for texts in self.texts for text in texts)


class Leads:
    """Finds the examples. Remembers `_MOST_LEADS` answers: those that have been followed by one thing only go first."""

    def __init__(self) -> None:
        self._followers: dict[bytes, set[bytes]] = {}

    def add(self, messages: Sequence[Json]) -> None:
        """One more request."""
        for lead, follower in _leads(messages):
            seen = self._followers.setdefault(lead, set())
            if len(seen) < FOLLOWERS:
                seen.add(follower)
        if len(self._followers) > _MOST_LEADS:
            self._followers = {lead: seen for lead, seen in self._followers.items() if len(seen) > 1}
        if len(self._followers) > _MOST_LEADS:
            self._followers = {lead: seen for lead, seen in self._followers.items() if len(seen) == FOLLOWERS}

    def examples(self) -> frozenset[bytes]:
        """The answers after which many things follow."""
        return frozenset(lead for lead, seen in self._followers.items() if len(seen) == FOLLOWERS)


def opening_of(messages: Sequence[Json], examples: frozenset[bytes]) -> Opening | None:
    """What the request begins with; None where that is nothing."""
    end = _run(messages, 0)
    if examples:
        ends = [0, *_answers(messages)]
        last = max((n for n, (lead, _) in enumerate(_leads(messages), 1) if lead in examples), default=0)
        if last:
            end = _run(messages, ends[last] + 1)
    begin = messages[:end]
    if not begin:
        return None
    return Opening(
        tuple(message["role"] for message in begin),
        tuple(texts_of(message) for message in begin),
        tuple(_beside(message) for message in begin),
    )


def _beside(message: Json) -> str:
    """A name for the images and other parts of a message, from their beginnings and ends."""
    content = message.get("content")
    parts = [part for part in content if not is_text(part)] if isinstance(content, list) else []
    if not parts:
        return ""
    try:
        data = orjson.dumps(parts)
    except TypeError:
        return "?"
    ends = data[:_ENDS_BYTES] + data[-_ENDS_BYTES:] + str(len(data)).encode()
    return blake2b(ends, digest_size=_HASH_BYTES).hexdigest()


def _answers(messages: Sequence[Json]) -> Iterator[int]:
    """The places of the first answers that may be examples: each stands between messages that are none."""
    at = _run(messages, 0)
    for _ in range(_MOST_ANSWERS):
        after = _run(messages, at + 1)
        if at == 0 or after == at + 1 or not _is_example(messages[at]):
            return
        yield at
        at = after
        if at >= len(messages):
            return


def _leads(messages: Sequence[Json]) -> Iterator[tuple[bytes, bytes]]:
    """For each of them a name for all up to it, and one for what follows."""
    told = blake2b(digest_size=_HASH_BYTES)
    done = 0
    try:
        for at in _answers(messages):
            told.update(_said(messages[done : at + 1]))
            done = at + 1
            follows = _said(messages[done : _run(messages, done)])
            yield told.digest(), blake2b(follows, digest_size=_HASH_BYTES).digest()
    except TypeError:  # half a surrogate pair
        return


def _said(messages: Sequence[Json]) -> bytes:
    return orjson.dumps([[message["role"], texts_of(message)] for message in messages])


def _is_example(message: Json) -> bool:
    return message.get("role") == ASSISTANT and not message.get("tool_calls") and bool(texts_of(message))


def _run(messages: Sequence[Json], at: int) -> int:
    """Where the instructions and the user's messages that begin at `at` end."""
    while at < len(messages) and messages[at].get("role") in {"system", "developer", "user"}:
        at += 1
    return at
