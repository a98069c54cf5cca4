"""A model's calls of a long run: tried again where that can help, counted, and held to a budget.

Whatever fails for good is told in the result, as `Complete` has it. Where the proxy cannot be reached, or nothing but
failures come back, the meter says so by `takes_more`: a run does not go on asking what does not answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.classify.complete import Complete
from tailrace.classify.patient import FIRST_S, TRIES, pauses
from tailrace.records import Json, Origin, Usage, UsageSource
from tailrace.wire.own import Completed

_IN_A_ROW: Final = 50
"""Calls that all failed after all tries: then none is made any more."""


@dataclass(slots=True)
class Spent:
    """What calls took, as their answers told it."""

    calls: int = 0
    tried_again: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class Metered:
    """`Complete` around another."""

    def __init__(
        self,
        models: Complete,
        cost_of: Callable[[Usage], float | None],
        *,
        expected: Usage,
        budget_usd: float | None = None,
        tries: int = TRIES,
        first_s: float = FIRST_S,
    ) -> None:
        """`expected`: what a call uses, until it has told."""
        self.spent = Spent()
        self._models = models
        self._cost_of = cost_of
        self._expected_usd = cost_of(expected) or 0.0
        self._budget_usd = budget_usd
        self._tries = tries
        self._first_s = first_s
        self._running = 0
        self._failed_in_a_row = 0

    @property
    def gave_up(self) -> bool:
        """Nothing but failures came back."""
        return self._failed_in_a_row >= _IN_A_ROW

    @property
    def takes_more(self) -> bool:
        """Whether there is money for one more call, all that run included, and hope."""
        if self.gave_up:
            return False
        if self._budget_usd is None:
            return True
        return self.spent.cost_usd + (self._running + 1) * self._expected_usd <= self._budget_usd

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """As `Complete.complete`."""
        self._running += 1
        try:
            done = await self._until_told(request, origin, source, private)
        finally:
            self._running -= 1
        self._failed_in_a_row = 0 if done.answer is not None else self._failed_in_a_row + 1
        return done

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """As `Complete.embed`; tried once, since words are a good order too."""
        return await self._models.embed(model, texts)

    async def _until_told(self, request: Json, origin: Origin, source: str | None, private: bool) -> Completed:
        waits = pauses(self._first_s)
        for left in range(self._tries - 1, -1, -1):
            done = await self._models.complete(request, origin=origin, source=source, private=private)
            self.spent.calls += 1
            self._count(done)
            if not done.may_be_tried_again or not left or self.gave_up:
                break
            self.spent.tried_again += 1
            await asyncio.sleep(next(waits))
        return done

    def _count(self, done: Completed) -> None:
        if done.answer is None:
            return
        told = done.answer.get("usage")
        into, out = (_number(told, name) for name in ("prompt_tokens", "completion_tokens"))
        if into is None and out is None:
            self.spent.cost_usd += self._expected_usd
            return
        self.spent.input_tokens += into or 0
        self.spent.output_tokens += out or 0
        self.spent.cost_usd += self._cost_of(Usage(UsageSource.PROVIDER, into, out)) or 0.0


def _number(usage: Json, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
