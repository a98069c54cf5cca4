"""What a stage asks of a model, and what it is told. Pure: who asks, and where answers lie, is the engine's.

A call is named by its content. Its answer is a completion of the log like any other (origin `export`), so that the same
recipe, made again, finds it there and calls nobody.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters.rows import Completion, Stage

NOT_ASKED: Final = "not_asked"
"""Why there is no answer where calls are only counted; a stage then lets its row pass as it is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One chat completion that a stage wants."""

    stage: Stage
    model: str
    body: bytes
    """The request, JSON with sorted keys."""
    about: bytes
    """Id of the completion on whose account it is asked."""
    output_tokens: int
    """What the answer is expected to take, for the estimate and until it has told."""

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


def ask(stage: Stage, request: dict[str, Json], *, about: Completion, output_tokens: int) -> Ask:
    """The call that `request` (model, messages, …) is.

    Raises:
        TypeError: it is nothing that JSON can carry.
    """
    body = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
    return Ask(stage, str(request["model"]), body, about.id, output_tokens)


def said(answer: Answer) -> Json:
    """The JSON object that an answer's text is, a fence around it or not; None where it is none."""
    text = answer.message.get("content")
    if not isinstance(text, str):
        return None
    begin, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[begin : end + 1]) if 0 <= begin < end else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def nobody(asks: Sequence[Ask]) -> Answers:
    """Answers nothing, where no stage asks."""
    assert not asks
    return {}
