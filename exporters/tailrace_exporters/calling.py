"""The models of a recipe, as a command asks them: an estimate first, consent, then the running proxy."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands import classify_plan
from tailrace.errors import UserError
from tailrace.internal import read_internal_key
from tailrace.listen import authority
from tailrace.records import Usage, UsageSource
from tailrace.settings import Settings
from tailrace.upstream.relay_client import RelayClient
from tailrace_exporters.build import Models
from tailrace_exporters.calls import Price, models
from tailrace_exporters.engines.local_answers import Counting, LoggedAnswers
from tailrace_exporters.engines.local_calls import Calling, alone
from tailrace_exporters.recipe import Recipe


def prices(recipe: Recipe, settings: Settings) -> Price:
    """What the recipe's models cost now.

    Raises:
        UserError: no provider has one of them, or there is a budget and no price to go by.
    """
    now_us = time.time_ns() // 1000
    by_model = {
        model: classify_plan.Price(settings, model, now_us=now_us, of=f"the model of the stage {stage}")
        for stage, model in models(recipe).items()
    }
    if recipe.calls.budget_usd is not None:
        for model, price in by_model.items():
            if price(Usage(UsageSource.ESTIMATED, 1, 1)) is None:
                raise UserError(
                    f"[calls] budget_usd: the price of {model} is not known; tell it in the settings ([prices])"
                )
    return lambda model, usage: by_model[model](usage)


def counting(connection: AsyncConnection, price: Price) -> tuple[Models, Counting]:
    """Answers from the log, and counts what it does not have."""
    answers = LoggedAnswers(connection)
    asker = Counting(answers, price)
    return Models(answers, asker), asker


@asynccontextmanager
async def calling(
    connection: AsyncConnection, recipe: Recipe, settings: Settings, data_dir: Path, *, price: Price, url: str
) -> AsyncIterator[Models]:
    """Answers from the log, else from the proxy at `url` (empty: where the settings say it listens).

    Raises:
        UserError: there is none, or another export asks for this data folder.
    """
    where = url or f"http://{authority(settings.server.host, settings.server.port)}"
    calls = recipe.calls
    with alone(data_dir):
        async with RelayClient(where, read_internal_key(data_dir), concurrency=calls.concurrency) as relay:
            answers = LoggedAnswers(connection)
            asker = Calling(answers, relay, price, budget_usd=calls.budget_usd, concurrency=calls.concurrency)
            yield Models(answers, asker)
