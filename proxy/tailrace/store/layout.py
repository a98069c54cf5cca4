"""Where the messages stand in a request and an answer of each endpoint. Pure: `take` and `put` undo each other.

chat.completions   messages     choices[i].message
messages           messages     the answer's own role and content
responses          input        output, an item each
others             –            –                          (all of it stays in the shapes)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tailrace.chains.canonical import canonical
from tailrace.records import Endpoint, Json
from tailrace.store.parts import divide, whole

CONVERSATION: Final = {Endpoint.CHAT: "messages", Endpoint.MESSAGES: "messages", Endpoint.RESPONSES: "input"}
"""The field of a request that holds its conversation."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One choice's messages, taken out of an answer; as clients echo them (their cores, see `parts`)."""

    index: int
    messages: tuple[Json, ...]


def take(endpoint: str, answer: Json) -> tuple[list[Taken], Json]:
    """The choices with messages, and the answer without these messages (its envelope)."""
    if type(answer) is dict:
        if endpoint == Endpoint.CHAT and type(answer.get("choices")) is list:
            return _take_choices(answer)
        if endpoint == Endpoint.MESSAGES and answer.get("role") == "assistant" and type(answer.get("content")) is list:
            core, rest = _core_of({"role": "assistant", "content": answer["content"]})
            return [Taken(0, (core,))], answer | {"content": rest or {}}
        if endpoint == Endpoint.RESPONSES and type(answer.get("output")) is list and answer["output"]:
            return [Taken(0, tuple(answer["output"]))], answer | {"output": []}
    return [], answer


def put(endpoint: str, envelope: Json, taken: Sequence[Taken]) -> Json:
    """The answer of which `take` made `envelope` and `taken`."""
    if not taken:
        return envelope
    if endpoint == Endpoint.MESSAGES:
        return envelope | {"content": whole(taken[0].messages[0], envelope["content"])["content"]}
    if endpoint == Endpoint.RESPONSES:
        return envelope | {"output": list(taken[0].messages)}
    choices = list(envelope["choices"])
    for choice in taken:
        there = choices[choice.index]
        choices[choice.index] = there | {"message": whole(choice.messages[0], there["message"])}
    return envelope | {"choices": choices}


def _take_choices(answer: dict[str, Any]) -> tuple[list[Taken], Json]:
    taken: list[Taken] = []
    left: list[Json] = []
    for index, choice in enumerate(answer["choices"]):
        message = choice.get("message") if type(choice) is dict else None
        if type(message) is not dict:
            left.append(choice)
            continue
        core, rest = _core_of(message)
        taken.append(Taken(index, (core,)))
        left.append(choice | {"message": rest or {}})
    return taken, answer | {"choices": left}


def _core_of(message: dict[str, Json]) -> tuple[Json, Json | None]:
    core, rest = divide(message)
    if rest is None or canonical(whole(core, rest)) == canonical(message):
        return core, rest
    return message, None
