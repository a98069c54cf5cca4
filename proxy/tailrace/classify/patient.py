"""A model's calls that are tried again: what passes is waited for, what does not is told at once."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from tailrace.classify.complete import Complete
from tailrace.records import Json, Origin
from tailrace.wire.own import Completed

TRIES: Final = 4
"""Of a call that the relay answers with a passing failure; the relay itself has tried its provider again before."""
FIRST_S: Final = 0.5
"""The pause after the first try; doubled with each."""
_LONGEST_S: Final = 15.0

log = structlog.get_logger("tailrace.labeller")


def pauses(first_s: float) -> Iterator[float]:
    """Seconds to wait after each try, without an end: doubling up to a quarter of a minute, not in step with others."""
    while True:
        yield first_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        first_s = min(first_s * 2, _LONGEST_S)


class Patient:
    """`Complete` around another. While the relay itself cannot be reached, a call waits, however long."""

    def __init__(self, models: Complete, *, tries: int = TRIES, first_s: float = FIRST_S) -> None:
        self._models = models
        self._tries = tries
        self._first_s = first_s

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """As `Complete.complete`."""
        tries = 0
        for pause_s in pauses(self._first_s):
            done = await self._models.complete(request, origin=origin, source=source, private=private)
            tries += done.status is not None
            if not done.may_be_tried_again or tries >= self._tries:
                return done
            log.info("a model's call is tried again", why=done.failure, wait_s=pause_s)
            await asyncio.sleep(pause_s)
        raise AssertionError("the pauses have no end")

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """As `Complete.embed`; tried once, since words are a good order too."""
        return await self._models.embed(model, texts)
