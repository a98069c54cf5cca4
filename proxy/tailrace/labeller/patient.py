"""A model's calls that are tried again: what passes is waited for, what does not is told at once."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import structlog

from tailrace.classify.complete import Complete
from tailrace.records import Json, Origin
from tailrace.wire.own import Completed

TRIES: Final = 4
"""Of a call that the relay answers with a passing failure; the relay itself has tried its provider again before."""
_FIRST_S: Final = 0.5
_LONGEST_S: Final = 15.0

log = structlog.get_logger("tailrace.labeller")


class Patient:
    """`Complete` around another. While the relay itself cannot be reached, a call waits, however long."""

    def __init__(self, models: Complete, *, tries: int = TRIES, first_s: float = _FIRST_S) -> None:
        self._models = models
        self._tries = tries
        self._first_s = first_s

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """As `Complete.complete`."""
        tries, pause_s = 0, self._first_s
        while True:
            done = await self._models.complete(request, origin=origin, source=source, private=private)
            tries += done.status is not None
            if not done.may_be_tried_again or tries >= self._tries:
                return done
            log.info("a model's call is tried again", why=done.failure, wait_s=pause_s)
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            pause_s = min(pause_s * 2, _LONGEST_S)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """As `Complete.embed`; tried once, since words are a good order too."""
        return await self._models.embed(model, texts)
