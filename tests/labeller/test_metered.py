"""The meter: tries again what passes, holds the budget, and ends a run that nobody answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tailrace.labeller.metered import Metered
from tailrace.records import Json, Origin, Usage, UsageSource
from tailrace.wire.own import Completed

EXPECTED = Usage(UsageSource.ESTIMATED, 100, 10)


class Models:
    """Answers by a list of statuses, 200 at its end; counts how many ask at once."""

    def __init__(self, *statuses: int | None, usage: Any = None) -> None:
        self.statuses = list(statuses)
        self.usage = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
        self.calls = 0
        self.gate: asyncio.Event | None = None
        self.both = asyncio.Event()

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        self.calls += 1
        if self.calls == 2:
            self.both.set()
        if self.gate is not None:
            await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            return Completed(200, {"usage": self.usage})
        return Completed(status, None, f"status {status}")

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        return None


def dollars(usage: Usage) -> float:
    return ((usage.input_tokens or 0) + (usage.output_tokens or 0)) / 110


def metered(models: Models, budget: float | None = None) -> Metered:
    return Metered(models, dollars, expected=EXPECTED, budget_usd=budget, first_s=0.0)


async def ask(models: Metered) -> Completed:
    return await models.complete({}, origin=Origin.CLASSIFIER)


async def test_what_passes_is_tried_again_and_what_does_not_is_not() -> None:
    for statuses, calls, answered in (
        ((500, 429, None), 4, True),
        ((500, 500, 500, 500, 500), 4, False),
        ((400,), 1, False),
        ((404, 200), 1, False),
    ):
        models = Models(*statuses)
        meter = metered(models)
        done = await ask(meter)
        assert (models.calls, done.answer is not None) == (calls, answered), statuses
        assert (meter.spent.calls, meter.spent.tried_again) == (calls, calls - 1)


async def test_what_answers_tell_is_added_up_and_what_they_do_not_tell_is_expected() -> None:
    meter = metered(Models(usage={"prompt_tokens": 210, "completion_tokens": 10}))
    await ask(meter)
    assert (meter.spent.input_tokens, meter.spent.output_tokens, meter.spent.cost_usd) == (210, 10, 2.0)
    silly: tuple[Any, ...] = ({}, {"prompt_tokens": "many"}, [], "x")
    for usage in silly:
        silent = metered(Models(usage=usage))
        await ask(silent)
        assert (silent.spent.input_tokens, silent.spent.cost_usd) == (0, 1.0), usage


async def test_calls_that_run_count_against_the_budget() -> None:
    models = Models()
    models.gate = asyncio.Event()
    meter = metered(models, budget=2.5)
    assert meter.takes_more
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(ask(meter))
        await models.both.wait()
        room = meter.takes_more
        models.gate.set()
    assert (room, meter.takes_more, meter.spent.cost_usd) == (False, False, 2.0)


async def test_a_run_that_nobody_answers_ends_and_one_answer_is_hope() -> None:
    models = Models(*[400] * 49, 200, *[400] * 50)
    meter = metered(models)
    for _ in range(99):
        await ask(meter)
        assert meter.takes_more
    await ask(meter)
    assert (meter.gave_up, meter.takes_more) == (True, False)
