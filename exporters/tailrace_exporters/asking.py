"""What a stage asks of a model, and what it is told. Pure: who asks, and where answers lie, is the engine's.

A call is named by its content. Its answer is a completion of the log like any other (origin `export`), so that the same
recipe, made again, finds it there and calls nobody.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from tailrace.records import Json
from tailrace_exporters.rows import Stage


@dataclass(frozen=True, slots=True)
class Ask:
    """One chat completion that a stage wants."""

    stage: Stage
    body: bytes
    """The request, JSON with sorted keys."""

    @property
    def key(self) -> bytes:
        """The name of the call: SHA-256 of its body."""
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    completion: bytes
    """Id of the completion that holds it."""
    teacher: str
    """`provider/model`."""
    message: Json
    finish_reason: str | None


Answers = Mapping[bytes, Answer | str]
"""By `Ask.key`; a word, where there is no answer to be had, says why."""

Asker = Callable[[Sequence[Ask]], Awaitable[Answers]]
"""Answers every call it is given."""


def ask(stage: Stage, request: Json) -> Ask:
    """The call that `request` (model, messages, …) is."""
    return Ask(stage, orjson.dumps(request, option=orjson.OPT_SORT_KEYS))


async def nobody(asks: Sequence[Ask]) -> Answers:
    """Answers nothing, where no stage asks."""
    assert not asks
    return {}
