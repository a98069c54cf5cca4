"""`tailrace logs [QUERY] | show ID | chain ID`: the log on a terminal or as JSON lines. Only reads."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.core import TyperGroup

from tailrace.commands import logs_chain, logs_list, logs_show
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.query import Query, query_of
from tailrace.commands.reading import data_folder, reading
from tailrace.commands.speech import dumped
from tailrace.commands.terminal import console, echo_json, many_lines
from tailrace.errors import UserError
from tailrace.records import Json, Origin
from tailrace.store import read
from tailrace.store.query.values import instant_us, span_s
from tailrace.store.read import Selection
from tailrace.store.rebuild import Rebuilder

MAX_LIMIT: Final = 10_000
ALL: Final = "all"
_US_IN_S: Final = 10**6


class QueryGroup(TyperGroup):
    """A group whose command may be left out: what does not begin with the name of one belongs to `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer has no public name for its context's base
        """Put `list` in front where no command stands there."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


app: Final = typer.Typer(
    name="logs",
    cls=QueryGroup,
    subcommand_metavar="[QUERY] | show ID | chain ID",
    add_completion=False,
    rich_markup_mode=None,
    help="The completions of the log. `tailrace logs list --help` has the options of the list.",
)

Id = Annotated[str, typer.Argument(metavar="ID", help="An id, or its first 8 or more digits.")]


@app.command("list")
def list_(
    query: Query = None,
    *,
    since: Annotated[str, typer.Option(help="Started since: 1h or 7d ago, or 2026-10-01 (local time).")] = "",
    until: Annotated[str, typer.Option(help="Started before.")] = "",
    limit: Annotated[int, typer.Option(min=0, max=MAX_LIMIT, help="How many of the newest; 0 is all.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Then show new ones as they are filed.")] = False,
    origin: Annotated[str, typer.Option(help=f"On whose behalf: {', '.join(Origin)}, or {ALL}.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """List the newest completions that QUERY means, the newest last (the default command)."""
    now_us = time.time_ns() // 1000
    selection = Selection(
        since_us=_time_us("--since", since, now_us),
        until_us=_time_us("--until", until, now_us),
        origin=_origin(origin),
        limit=limit or None,
    )
    expression = query_of(query)
    if expression is not None:
        selection = read.narrowed(selection, expression, now_us=now_us, origin_named=bool(origin))

    async def work(connection: AsyncConnection) -> None:
        sink = _sink(connection, as_json=as_json)
        if follow:
            await logs_list.follow(connection, selection, sink, logs_list.until_interrupted())
        else:
            await logs_list.show_newest(connection, selection, sink)

    _with_store(config, data_dir, work)


@app.command()
def show(
    id_: Id,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Only the request and the answer, as JSON.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show one completion: all fields, the provider's calls, its link, the conversation and the answer."""

    async def work(connection: AsyncConnection) -> None:
        shown = await logs_show.load(connection, id_)
        if as_json:
            _echo_json(shown.as_json())
        elif raw:
            for document in logs_show.raw(shown.exchange):
                _echo_raw(document)
        else:
            out = console()
            for text in logs_show.page(shown):
                out.print(text, soft_wrap=True)

    _with_store(config, data_dir, work)


@app.command()
def chain(id_: Id, *, as_json: AsJson = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show the conversation that a completion belongs to, as a tree."""

    async def work(connection: AsyncConnection) -> None:
        rows = await read.chain(connection, id_, limit=logs_chain.MAX_COMPLETIONS)
        places = logs_chain.tree(rows)
        if as_json:
            async for value in logs_chain.json_turns(connection, places):
                _echo_json(value)
            return
        out, ids = console(), logs_chain.names(rows)
        out.print(logs_chain.title(rows), soft_wrap=True)
        async for turn in logs_chain.turns(connection, places):
            for text in logs_chain.lines(turn, ids):
                out.print(text, soft_wrap=True)

    _with_store(config, data_dir, work)


def _with_store(config: Path | None, data_dir: Path | None, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    folder = data_folder(config, data_dir, os.environ)

    async def run() -> None:
        async with reading(folder) as connection:
            await work(connection)

    asyncio.run(run())


def _sink(connection: AsyncConnection, *, as_json: bool) -> logs_list.Sink:
    if as_json:
        return logs_list.Lines(connection)
    table = logs_list.Table(connection, Rebuilder(connection), console())
    table.head()
    return table


def _time_us(option: str, text: str, now_us: int) -> int | None:
    if not text:
        return None
    ago_s = span_s(text.removeprefix("-"))
    us = instant_us(text, local=True) if ago_s is None else now_us - ago_s * _US_IN_S
    if us is None:
        raise UserError(
            f"{option} {text[:60]!r}: expected a time ago such as 15m, 1h or 7d, or one such as 2026-10-01T12:00"
        )
    return us


def _origin(text: str) -> Origin | None:
    if text == ALL:
        return None
    try:
        return Origin(text or Origin.APP)
    except ValueError:
        raise UserError(f"--origin {text[:60]!r}: expected one of {', '.join([*Origin, ALL])}") from None


def _echo_raw(document: bytes) -> None:
    """A body: into a pipe byte for byte, on a terminal as nothing that it would obey."""
    if not sys.stdout.isatty():
        typer.echo(document)
        return
    for line in many_lines(document.decode(errors="backslashreplace")):
        typer.echo(line)


def _echo_json(value: Json) -> None:
    echo_json(dumped(value))
