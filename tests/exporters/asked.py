"""Models for the pure stages: what each would answer, as values."""

from collections.abc import Callable, Sequence

import orjson

from tailrace.records import Json
from tailrace_exporters.asking import Answer, Answers, Ask, Asker

Reply = Callable[[Json], str | Json]
"""From a request to the answer's text, or its message."""


def answering(reply: Reply, *, finish: str | None = "stop", seen: list[Json] | None = None) -> Asker:
    """A model that answers everything; `seen` is given the requests."""

    async def asker(asks: Sequence[Ask]) -> Answers:
        found: dict[bytes, Answer | str] = {}
        for ask in asks:
            request = orjson.loads(ask.body)
            if seen is not None:
                seen.append(request)
            said = reply(request)
            message = {"role": "assistant", "content": said} if isinstance(said, str) else said
            found[ask.key] = Answer(ask.key[:16], f"lab/{ask.model}", message, finish)
        return found

    return asker


def silent(word: str) -> Asker:
    """A model that never answers, for the reason `word`."""

    async def asker(asks: Sequence[Ask]) -> Answers:
        return {ask.key: word for ask in asks}

    return asker


def shown(request: Json) -> Json:
    """The data that a request shows beside its instructions."""
    return orjson.loads(request["messages"][-1]["content"])
