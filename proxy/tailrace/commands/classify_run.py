"""`tailrace classify run NAME [QUERY]`: labels what is in the log, or the texts of a file, with an estimate first.

What is labelled is kept at once; a run that was stopped or killed goes on where it was when it is run again.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import datadir, settings_load
from tailrace.classify.cascade import Cascade, Said
from tailrace.classify.near import BOUND, MOST, Near
from tailrace.classify.ready import Ready
from tailrace.classify.serving import Serving
from tailrace.commands.classify_chosen import Name, asks_model, chosen
from tailrace.commands.classify_files import label_file, read_pieces
from tailrace.commands.classify_keeping import keeping
from tailrace.commands.classify_plan import Estimate, Measured, Planner, Price, measured
from tailrace.commands.keeping import Keeper
from tailrace.commands.long_work import Bar, agree
from tailrace.commands.options import Config, DataDir
from tailrace.commands.query import Query, query_of
from tailrace.commands.reading import reading
from tailrace.commands.terminal import echo_json, one_line
from tailrace.errors import LogUnavailable, UserError, WorkFailed
from tailrace.internal import read_internal_key
from tailrace.labeller.bulk import Bulk, Keep, Piece, Tally
from tailrace.labeller.bulk_log import Wanted, pages, piece_of, record_of
from tailrace.labeller.cursor import cursor
from tailrace.labeller.metered import Metered, Spent
from tailrace.labeller.subjects import labels_before, turn_of
from tailrace.listen import authority
from tailrace.logging import configure
from tailrace.records import Definition, Json, LabelSource, Origin, Usage
from tailrace.settings import Settings
from tailrace.store import labels, read
from tailrace.upstream.relay_client import RelayClient

_SEEDS: Final = (LabelSource.HUMAN, LabelSource.IMPORTED, LabelSource.LLM)
_CONNECT_S: Final = 5.0

Sources = Annotated[
    str | None, typer.Option(help="Only these are asked, in this order: rules, cache, student, llm; commas between.")
]


@dataclass(frozen=True, slots=True)
class Call:
    """What was typed, and what it means."""

    settings: Settings
    data_dir: Path
    ready: Ready
    query: Sequence[str] | None
    url: str
    limit: int | None
    budget: float | None
    concurrency: int
    again: bool
    near: float | None
    yes: bool
    dry_run: bool
    as_json: bool

    @property
    def relay_url(self) -> str:
        """Where the proxy listens."""
        return self.url or f"http://{authority(self.settings.server.host, self.settings.server.port)}"


def run(
    name: Name,
    query: Query = None,
    *,
    input_: Annotated[
        Path | None, typer.Option("--input", readable=False, help="A .jsonl or .csv of texts, instead of the log.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", readable=False, help="Where the labels of --input go.")] = None,
    sources: Sources = None,
    only_missing: Annotated[
        bool,
        typer.Option(
            "--only-missing/--again",
            help="Leave out what this version has labelled; or ask again, and keep what a source has not said yet.",
        ),
    ] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Most texts, the oldest first.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="Most US dollars, by tokens and prices.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Texts at once.")] = 8,
    propagate: Annotated[
        bool, typer.Option("--propagate", help="Give near-duplicates of a labelled text its label.")
    ] = False,
    alike: Annotated[float, typer.Option(min=0.5, max=1, help="How alike near-duplicates are.")] = BOUND,
    url: Annotated[str, typer.Option(help="The running proxy; by default where the settings say it listens.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first call.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the estimate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as a JSON line.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Label what is in the log, or a file's texts; an estimate first. Can be resumed."""
    settings = settings_load.load(config, os.environ)
    ready = chosen(settings, name, sources)
    folder = data_dir or settings.log.data_dir
    call = Call(
        settings, folder, ready, query, url, limit, budget, concurrency, not only_missing,
        alike if propagate else None, yes, dry_run, as_json,
    )  # fmt: skip
    if (input_ is None) != (out is None):
        raise UserError("--input and --out go together: a file of texts, and where their labels are to go")
    if input_ is not None and query:
        raise UserError("a QUERY is one of the log; leave it out beside --input")
    if ready.settings.mode == "off":
        raise UserError(f'classifiers.{name} has mode = "off"; set it to live, or to shadow to try it')
    configure(settings.log.level, process="classify")
    asyncio.run(_checked(call, input_, out))


async def _checked(call: Call, input_: Path | None, out: Path | None) -> None:
    if asks_model(call.ready) and not call.dry_run:
        await _reach(call)
    if input_ is not None and out is not None:
        await _over_file(call, input_, out)
    else:
        await _over_log(call)


async def _reach(call: Call) -> None:
    """Raises UserError: no proxy listens."""
    at = urlsplit(call.relay_url)
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(at.hostname, at.port or (443 if at.scheme == "https" else 80))
    except (OSError, ValueError) as exc:
        raise UserError(
            f"no proxy at {call.relay_url[:200]}, through which the model would be asked: start `tailrace serve`, name "
            "another with --url, or leave the model out with --sources rules"
        ) from exc
    writer.close()
    await writer.wait_closed()


# ---- over the log


async def _over_log(call: Call) -> None:
    planner = Planner(await _cascade(call))
    async with reading(call.data_dir) as connection:
        served = datadir.holder(call.data_dir) is not None
        wanted = await _wanted(call, connection, served=served, tell=True)
        async for items in pages(connection, wanted):
            for item in items:
                planner.look(item.subject)
        lately = await _measured(call, connection)
    estimate = await _estimated(call, planner, lately)
    if call.dry_run or not estimate.items:
        _report(call, estimate, Tally(), Spent())
        return
    agree(f"Label these {estimate.items:,} now?", yes=call.yes)
    async with keeping(call.settings, call.data_dir, call.ready.name) as keeper, _bulk(call, planner, lately) as bulk:
        bulk.keep = _in_log(call.ready, keeper)
        definition = call.ready.settings.model_dump(mode="json", by_alias=True)
        await keeper.put(Definition(keeper.clock.now_us(), call.ready.name, call.ready.version, definition))
        with _told(call, bulk, estimate.items):
            async with reading(call.data_dir) as connection:
                await _seed(call, connection, bulk)
                async for items in pages(connection, await _wanted(call, connection, served=keeper.served)):
                    before = await labels_before(connection, call.ready, [item.row for item in items])
                    await connection.rollback()
                    bulk.remember(before.items())
                    await _page(bulk, [piece_of(item) for item in items])
    _end(call, estimate, bulk)


async def _wanted(call: Call, connection: AsyncConnection, *, served: bool, tell: bool = False) -> Wanted:
    """What is filed now. What the labeller has not come to yet stays its own, while it runs."""
    high = await read.watermark(connection)
    at = cursor(call.data_dir, f"{call.ready.name}-{call.ready.version}").read()
    if at is not None and served and at < high:
        if not call.as_json and tell:
            typer.echo(f"The newest {high - at:,} completions are left to the labeller, which comes to them.", err=True)
        high = at
    selection = read.Selection(origin=Origin.APP)
    expr = query_of(call.query)
    if expr is not None:
        selection = read.narrowed(selection, expr, now_us=time.time_ns() // 1000)
    return Wanted(call.ready, selection.where, selection.origin, high, call.again, call.limit)


def _in_log(ready: Ready, keeper: Keeper) -> Keep:
    async def keep(piece: Piece, said: Sequence[Said], took_us: int) -> None:
        at_us, of = keeper.clock.now_us(), UUID(piece.key)
        await keeper.put(*(record_of(ready, of, one, at_us=at_us, took_us=took_us) for one in said))

    return keep


async def _seed(call: Call, connection: AsyncConnection, bulk: Bulk) -> None:
    """Near-duplicates of what is labelled already need no model."""
    if bulk.near is None:
        return
    ready, after, is_last = call.ready, 0, False
    while not is_last and len(bulk.near) < MOST:
        page = await labels.training(connection, ready.name, after_seq=after, version=ready.version, sources=_SEEDS)
        for one in page.items:
            subject = turn_of(ready.settings, one.completion, one.request)
            if subject is not None and one.label.label is not None:
                bulk.near.add(subject, str(one.label.completion), one.label.label)
        after, is_last = page.cursor, page.is_last
    await connection.rollback()


# ---- over a file


async def _over_file(call: Call, input_: Path, out: Path) -> None:
    pieces = read_pieces(input_, call.ready)
    with label_file(out, call.ready) as file:
        left = [piece for piece in pieces if piece.key not in file.done][: call.limit]
        planner = Planner(await _cascade(call))
        for piece in left:
            planner.look(piece.subject)
        lately: Measured | None = None
        if asks_model(call.ready) and not call.dry_run:
            async with reading(call.data_dir) as connection:
                lately = await _measured(call, connection)
        estimate = await _estimated(call, planner, lately)
        if call.dry_run or not left:
            _report(call, estimate, Tally(), Spent())
            return
        agree(f"Label these {len(left):,} now?", yes=call.yes)
        async with _bulk(call, planner, lately) as bulk:
            bulk.keep = file.put
            with _told(call, bulk, len(left)):
                await _page(bulk, left)
    _end(call, estimate, bulk)


# ---- both


async def _cascade(call: Call) -> Cascade:
    """With the student that is served now, and with what else was learned, where there is any."""
    cascade = Cascade(call.ready)
    await Serving(cascade, call.data_dir).refresh()
    return cascade


async def _measured(call: Call, connection: AsyncConnection) -> Measured | None:
    llm = call.ready.settings.llm
    return await measured(connection, llm.model) if llm is not None and asks_model(call.ready) else None


async def _estimated(call: Call, planner: Planner, lately: Measured | None) -> Estimate:
    estimate = planner.estimate(_price(call), lately, call.concurrency)
    if call.budget is not None and estimate.cost_usd is None:
        raise UserError("--budget: the model's price is not known; tell it in the settings ([prices])")
    if not call.as_json:
        typer.echo(estimate.told(), err=True)
    return estimate


def _price(call: Call) -> Callable[[Usage], float | None]:
    llm = call.ready.settings.llm
    if llm is None or not asks_model(call.ready):
        return lambda _: 0.0
    return Price(call.settings, llm.model, now_us=time.time_ns() // 1000)


@asynccontextmanager
async def _bulk(call: Call, planner: Planner, lately: Measured | None) -> AsyncIterator[Bulk]:
    near = None if call.near is None else Near(call.near)
    cascade = await _cascade(call)

    async def nowhere(_piece: Piece, _said: Sequence[Said], _took_us: int) -> None:
        raise AssertionError("a run says where its labels go")

    client: AbstractAsyncContextManager[RelayClient | None] = nullcontext(None)
    if asks_model(call.ready):
        client = RelayClient(call.relay_url, read_internal_key(call.data_dir), concurrency=call.concurrency)
    async with client as relay:
        models = None
        if relay is not None:
            expected = planner.call_usage(lately)
            models = Metered(relay, _price(call), expected=expected, budget_usd=call.budget)
        yield Bulk(cascade, models, nowhere, near, call.concurrency)


async def _page(bulk: Bulk, pieces: Sequence[Piece]) -> None:
    try:
        await bulk.run(pieces)
    except* LogUnavailable as group:
        raise WorkFailed(f"the log takes no labels now ({_first(group)}); run the same command again") from None
    except* WorkFailed as group:
        raise WorkFailed(str(_first(group))) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    one = group.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one


class _told:  # noqa: N801 - a context manager, read as one
    """The bar; and a word of what is kept, where the run is stopped."""

    def __init__(self, call: Call, bulk: Bulk, total: int) -> None:
        self._bulk = bulk
        self._bar = Bar("classify", total, quiet=call.as_json)
        bulk.on_done = self._bar.step

    def __enter__(self) -> None:
        self._bar.__enter__()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.__exit__()
        if kind is not None:
            typer.echo(f"stopped; {self._bulk.tally.done:,} are kept: run the same command again to go on", err=True)


def _end(call: Call, estimate: Estimate, bulk: Bulk) -> None:
    models, tally = bulk.models, bulk.tally
    _report(call, estimate, tally, Spent() if models is None else models.spent)
    if tally.failed:
        gave_up = "; the run ended early, since nothing but failures came back" if models and models.gave_up else ""
        why = one_line(tally.first_failure)
        raise WorkFailed(f"{tally.failed:,} were not answered ({why}){gave_up}; run the same command again")


def _report(call: Call, estimate: Estimate, tally: Tally, spent: Spent) -> None:
    if call.as_json:
        told: dict[str, Json] = {
            "classifier": call.ready.name,
            "version": call.ready.version,
            "labelled": tally.done,
            "by_source": dict(sorted(tally.labelled.items())),
            "off_list": tally.off_list,
            "open": tally.open,
            "failed": tally.failed,
            "left": tally.left,
            "calls": spent.calls,
            "tried_again": spent.tried_again,
            "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens,
            "cost_usd": round(spent.cost_usd, 6),
            "estimate": estimate.as_json(),
        }
        echo_json(orjson.dumps(told))
        return
    if not call.dry_run and estimate.items:
        sources = ", ".join(f"{count:,} by {source}" for source, count in sorted(tally.labelled.items()))
        rest = [(tally.off_list, "off the list"), (tally.open, "that nobody knew"), (tally.left, "left by the budget")]
        more = "".join(f", {count:,} {what}" for count, what in rest if count)
        typer.echo(f"{tally.done:,} labelled{f' ({sources})' if sources else ''}{more}.")
