"""`tailrace replay [QUERY] --model X`: asks logged requests again, of another model, through the running proxy.

Each answer is a completion of its own: its `origin` is `replay`, its `source` the completion it repeats. So the log
knows what is done, and a replay that was stopped or killed goes on where it was when it is run again.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from tailrace import settings_load
from tailrace.commands.long_work import Bar, agree
from tailrace.commands.options import Config, DataDir
from tailrace.commands.query import Query, query_of
from tailrace.commands.reading import reading
from tailrace.commands.replay_plan import Item, Skipped, items, tokens
from tailrace.commands.terminal import echo_json
from tailrace.errors import Refused, UserError, WorkFailed
from tailrace.internal import read_internal_key
from tailrace.listen import authority
from tailrace.prices import Prices
from tailrace.records import Origin
from tailrace.relay.routing import plan
from tailrace.settings import Settings
from tailrace.store.query import Expr
from tailrace.store.read import Selection, narrowed
from tailrace.upstream.relay_client import RelayClient

_MOST: Final = 100_000
"""Requests of one replay; they are held in memory."""

app: Final = typer.Typer(name="replay", add_completion=False, rich_markup_mode=None)


@dataclass(slots=True)
class Outcome:
    """How a replay went."""

    answered: int = 0
    failed: int = 0
    left: int = 0  # not asked: the budget was used up
    cost_usd: float = 0.0  # by estimate
    first_failure: str = ""
    skipped: Skipped = field(default_factory=Skipped)


@app.command()
def replay(
    query: Query = None,
    *,
    model: Annotated[str, typer.Option(help="The model that answers, as a client would name it.")],
    url: Annotated[str, typer.Option(help="The running proxy; by default where the settings say it listens.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="Most requests, the oldest first.")] = 1000,
    budget: Annotated[float | None, typer.Option(min=0, help="Most US dollars, by estimate.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 8,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first call.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the estimate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as a JSON line.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Ask logged requests again, of another model; the answers are logged beside the originals. Can be resumed."""
    settings = settings_load.load(config, os.environ)
    folder = data_dir or settings.log.data_dir
    outcome = Outcome()
    wanted = asyncio.run(_wanted(folder, query_of(query), model, limit, outcome.skipped))
    costs = _costs(settings, model, wanted)
    _tell(wanted, costs, outcome.skipped, as_json=as_json)
    if dry_run or not wanted:
        _report(outcome, as_json=as_json)
        return
    agree(f"Ask these {len(wanted):,} now?", yes=yes)
    relay = RelayClient(
        url or f"http://{authority(settings.server.host, settings.server.port)}",
        read_internal_key(folder),
        concurrency=concurrency,
    )
    asyncio.run(_run(relay, wanted, costs, outcome, budget=budget, concurrency=concurrency, quiet=as_json))
    _report(outcome, as_json=as_json)
    if outcome.failed:
        raise WorkFailed(f"{outcome.failed} were not answered ({outcome.first_failure}); run the same command again")


async def _wanted(folder: Path, query: Expr | None, model: str, limit: int, skipped: Skipped) -> list[Item]:
    selection = Selection(origin=Origin.APP)
    if query is not None:
        selection = narrowed(selection, query, now_us=time.time_ns() // 1000)
    found: list[Item] = []
    async with reading(folder) as connection:
        async for batch in items(connection, selection, model, skipped):
            found += batch[: limit - len(found)]
            if len(found) >= limit:
                break
    return found


def _costs(settings: Settings, model: str, wanted: Sequence[Item]) -> list[float] | None:
    """What each will cost by estimate; None where the model's price is unknown. Raises UserError: no such model."""
    try:
        first = plan(settings, model, b"").targets[0]
    except Refused as refused:
        raise UserError(f"--model: {refused.message}") from refused
    prices = Prices(settings)
    now_us = time.time_ns() // 1000
    found = [
        prices.cost_usd(item.usage, provider=first.provider, model=first.model, served=None, at_us=now_us)
        for item in wanted
    ]
    known = [cost for cost in found if cost is not None]
    return known if len(known) == len(found) else None


def _tell(wanted: Sequence[Item], costs: list[float] | None, skipped: Skipped, *, as_json: bool) -> None:
    if as_json:
        return
    into, out = tokens(wanted)
    cost = "at a price that is not known" if costs is None else f"for about {sum(costs):,.4f} US dollars"
    typer.echo(f"{len(wanted):,} requests, {into:,} tokens in, about {out:,} out, {cost}.", err=True)
    if skipped.done:
        typer.echo(f"{skipped.done:,} have been answered by this model already.", err=True)
    for reason, count in sorted(skipped.reasons.items()):
        typer.echo(f"{count:,} cannot be asked again: {reason}.", err=True)


async def _run(
    relay: RelayClient, wanted: Sequence[Item], costs: list[float] | None, outcome: Outcome, *,
    budget: float | None, concurrency: int, quiet: bool,
) -> None:  # fmt: skip
    waiting = iter(zip(wanted, costs if costs is not None else [0.0] * len(wanted), strict=True))
    bar = Bar("replay", len(wanted), quiet=quiet)

    async def ask_in_turn() -> None:
        for item, cost in waiting:
            if budget is not None and outcome.cost_usd + cost > budget:
                outcome.left += 1
                continue
            outcome.cost_usd += cost
            asked = await relay.post(item.path, item.body, origin=Origin.REPLAY, source=str(item.source))
            failure = None if asked.status is not None and asked.status < 400 else asked.failure
            outcome.answered += failure is None
            if failure is not None:
                outcome.failed += 1
                outcome.first_failure = outcome.first_failure or failure
            bar.step()

    async with relay:
        with bar:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(concurrency):
                    tasks.create_task(ask_in_turn())


def _report(outcome: Outcome, *, as_json: bool) -> None:
    told = {
        "answered": outcome.answered,
        "failed": outcome.failed,
        "left": outcome.left,
        "done_before": outcome.skipped.done,
        "skipped": outcome.skipped.reasons,
        "cost_usd_estimated": round(outcome.cost_usd, 6),
    }
    if as_json:
        echo_json(orjson.dumps(told))
    elif outcome.answered or outcome.left:
        rest = f", {outcome.left:,} left by the budget" if outcome.left else ""
        typer.echo(f"{outcome.answered:,} answered{rest}. `tailrace logs --origin replay` lists them.")
