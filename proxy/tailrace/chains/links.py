"""The rolling hashes by which a request finds the completion it continues.

    h(0) = 16 zero bytes        h(i) = BLAKE2b-128(h(i-1) · turn i)         over all turns that are not system's

A completion's `link_answer` is the hash after its answer; a later request that echoes this conversation has the same
hash up to its last assistant turn. Hashes here are keyed by nothing: project and key are columns that must match.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import orjson

from tailrace.chains.canonical import HASH_BYTES
from tailrace.chains.turns import SYSTEM, turn_of
from tailrace.records import Turn

MAX_EARLIER: Final = 256
"""How many earlier answers of a request may link it."""

_ROOT: Final = bytes(HASH_BYTES)
_PAIR_ROOT: Final = b"pair".ljust(HASH_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class Links:
    """The hashes of one request."""

    prompt: bytes  # after all its turns
    parent: bytes | None  # after its last assistant turn; None where it has none
    earlier: tuple[bytes, ...]  # after the assistant turns before that one, newest first
    pair: bytes | None  # of the last assistant turn and the turns since the one before it, whatever came before
    pair_chars: int  # how much text and arguments that pair has
    step: int  # 1 + its assistant turns
    tail: tuple[Turn, ...]  # the turns after the last assistant turn
    named: bool = False  # `parent` is a name that the client gave, see `names`


@dataclass(frozen=True, slots=True)
class AnswerLinks:
    """The hashes of an answer: what its continuation will look for."""

    answer: bytes
    pair: bytes


def links_of(messages: Sequence[dict[str, Any]]) -> Links:
    """The hashes of a request's `messages`."""
    node = _ROOT
    turns: list[Turn] = []
    answers: list[bytes] = []
    places: list[int] = []
    for message in messages:
        turn = turn_of(message)
        if turn.role == SYSTEM:
            continue
        node = _extend(node, _encode(turn))
        if turn.role == "assistant":
            places.append(len(turns))
            answers.append(node)
        turns.append(turn)
    last = places[-1] + 1 if places else 0
    first = places[-2] + 1 if len(places) > 1 else 0
    return Links(
        prompt=node,
        parent=answers[-1] if answers else None,
        earlier=tuple(answers[-2 : -2 - MAX_EARLIER : -1]),
        pair=_pair(turns[first:last]) if places else None,
        pair_chars=sum(_chars(turn) for turn in turns[first:last]),
        step=1 + len(answers),
        tail=tuple(turns[last:]),
    )


def answers_in(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[bytes, int]]:
    """The hash after each assistant turn, and that message's index: where a recorded answer may stand."""
    node = _ROOT
    for index, message in enumerate(messages):
        turn = turn_of(message)
        if turn.role != SYSTEM:
            node = _extend(node, _encode(turn))
            if turn.role == "assistant":
                yield node, index


def answer_links(links: Links, message: dict[str, Any]) -> AnswerLinks:
    """The hashes of `message` as the answer to the request that has `links`."""
    turn = turn_of(message)
    return AnswerLinks(_extend(links.prompt, _encode(turn)), _pair((*links.tail, turn)))


def _encode(turn: Turn) -> bytes:
    """The turn as a JSON array: no two turns have the same bytes."""
    return orjson.dumps((turn.role, turn.text, turn.calls))


def _extend(node: bytes, code: bytes) -> bytes:
    return blake2b(node + code, digest_size=HASH_BYTES).digest()


def _pair(turns: Sequence[Turn]) -> bytes:
    """Without the space around each text: who rewrites a conversation may well have trimmed it."""
    node = _PAIR_ROOT
    for turn in turns:
        node = _extend(node, _encode(replace(turn, text=turn.text.strip())))
    return node


def _chars(turn: Turn) -> int:
    return len(turn.text) + sum(len(arguments) for _, arguments in turn.calls)
