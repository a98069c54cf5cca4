"""`tailrace export RECIPE.toml --out DIR | verify DIR | formats | preview RECIPE.toml | templates`: words only.

Mounted by the entry point group `tailrace.commands`. Errors of ours pass through to `tailrace.cli`, which prints them
and picks the exit code: 2 where the call or the recipe is wrong, 1 where the work failed or an export does not verify.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.core import TyperGroup

from tailrace import settings_load
from tailrace.commands.long_work import agree
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import data_folder, reading
from tailrace.commands.terminal import console, echo_json, escaped
from tailrace.errors import UserError, WorkFailed
from tailrace.records import Json
from tailrace_exporters import show, verify
from tailrace_exporters.build import Built, Models, build, latest
from tailrace_exporters.calling import calling, counting, prices
from tailrace_exporters.calls import models
from tailrace_exporters.engines import local
from tailrace_exporters.files import NoFiles, must_not_exist, new_folder
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.progress import shown
from tailrace_exporters.recipe import Recipe, read_recipe
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.templates.command import templates

if TYPE_CHECKING:
    from tailrace_exporters.preview import View

T = TypeVar("T")


class RecipeGroup(TyperGroup):
    """A group whose command may be left out: what does not begin with the name of one belongs to `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer has no public name for its context's base
        """Put `run` in front where no command stands there."""
        named = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if named else ["run", *args])


app: Final = typer.Typer(
    name="export",
    cls=RecipeGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    subcommand_metavar="RECIPE.toml --out DIR | verify DIR | formats | preview RECIPE.toml | templates --out FILE",
    help="Turn the log into datasets. `tailrace export run --help` has the options of an export.",
)

app.command("templates")(templates)

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE.toml", readable=False, help="The recipe.")]


@app.command()
def run(
    recipe: RecipeFile,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", readable=False, help="A new folder for the export.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, stage by stage; write nothing.")] = False,
    url: Annotated[
        str, typer.Option(help="The running proxy that models are asked through; by default where the settings say.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first call of a model.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Export what RECIPE.toml describes into the new folder DIR (the default command)."""
    wanted, text = read_recipe(recipe)
    around = Surroundings(recipe.parent, os.environ)
    if not dry_run:
        if out is None:
            raise UserError("export: give the new folder with --out DIR, or count only with --dry-run")
        must_not_exist(out)

    folder = None if dry_run else out
    export = _Export(wanted, text, around, folder, config, data_dir, url, yes=yes, quiet=as_json)
    built = _with_store(config, data_dir, export.run)
    if as_json:
        _echo_json({"out": None if dry_run else str(out), "watermark": built.watermark, **built.report})
        return
    for line in show.report(built.report):
        typer.echo(line)
    typer.echo("nothing written (--dry-run)" if dry_run else f"written to {out}")


@app.command("verify")
def verify_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="The folder of an export.")],
    *,
    beside: Annotated[
        Path, typer.Option("--beside", metavar="DIR", readable=False, help="Where the recipe's own files lie.")
    ] = Path(),
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Check an export's files against its manifest, then make it again from the log and compare byte for byte."""
    claim = verify.read_claim(folder)
    verdict = verify.check_files(claim)

    async def work(connection: AsyncConnection) -> verify.Verdict:
        short = claim.beyond(await latest(connection))
        if short is not None:
            return verify.Verdict(findings=[short])
        with shown(quiet=as_json) as progress:
            log = local.Log(connection, claim.marks)
            return await verify.rebuild(claim, log, Surroundings(beside, os.environ), progress=progress)

    if verdict.recipe_holds:
        again = _with_store(config, data_dir, work)
        verdict.findings += again.findings
        verdict.notes += again.notes
    else:
        verdict.notes.append("not made again, because its recipe is not the one it was made with")
    rows = claim.manifest.get("rows", {})
    if as_json:
        _echo_json({"verified": not verdict.findings, "findings": verdict.findings, "notes": verdict.notes} | rows)
    else:
        for line in [*verdict.findings, *(f"note: {note}" for note in verdict.notes)]:
            typer.echo(escaped(line))
    if verdict.findings:
        raise WorkFailed(f"{folder}: does not verify ({len(verdict.findings)} findings)")
    if not as_json:
        typer.echo(f"{folder}: verified: {rows['count']} rows, made again byte for byte")


@app.command()
def formats(*, as_json: AsJson = False) -> None:
    """List the target formats, with what each converts and what it refuses."""
    if as_json:
        _echo_json(
            {
                name: {"about": each.about, "converts": dict(each.rules), "refuses": dict(each.reasons)}
                for name, each in FORMATS.items()
            }
        )
        return
    for line in show.formats(FORMATS):
        typer.echo(line)


@app.command()
def preview(
    recipe: RecipeFile,
    *,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many rows.")] = 3,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", readable=False, help="A tokenizer's folder: show the text and tokens of its template."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show the first rows that RECIPE.toml gives, with what is learned of each; writes nothing."""
    wanted, _ = read_recipe(recipe)
    around = Surroundings(recipe.parent, os.environ)
    view = None if tokenizer is None else _view(tokenizer)
    seen: list[Json] = []

    async def work(connection: AsyncConnection) -> None:
        log = local.Log(connection, await latest(connection))
        with shown(quiet=as_json) as progress:
            look = show.Look(seen, rows, None if view is None else view.rendered)
            asking, counted = counting(connection, lambda _model, _usage: None)
            await local.run(
                log, wanted, around, NoFiles(), progress=progress, asker=asking.asker, look=look, limit=rows
            )
        for stage, need in counted.estimate.needs.items():
            if need.calls:
                typer.echo(f"note: rows are shown as if {stage} had not been asked for, where it was not yet", err=True)

    _with_store(config, data_dir, work)
    _show(seen, view, as_json=as_json)
    wrong = sum(bool(value.get("rendered", {}).get("errors")) for value in seen)
    if wrong:
        raise WorkFailed(f"{tokenizer}: in {wrong} of {len(seen)} rows words that are no answer would be learned")


def _show(seen: Sequence[Json], view: "View | None", *, as_json: bool) -> None:
    """The rows of a preview."""
    if as_json:
        for value in seen:
            _echo_json(value)
    else:
        out = console()
        for value in seen:
            for text in show.row(value) if view is None else view.lines(value):
                out.print(text, soft_wrap=True)
        if not seen:
            typer.echo("no rows; `tailrace export RECIPE.toml --dry-run` counts what each stage drops")


def _view(folder: Path) -> "View":
    """How rows look by the tokenizer in `folder`."""
    try:
        from tailrace_exporters.preview import View  # noqa: PLC0415 - needs an extra, which only this option does
    except ImportError as exc:
        raise UserError(
            f"--tokenizer needs the packages jinja2 and tokenizers ({exc}); install tailrace[tokenizer]"
        ) from exc
    return View(folder, datetime.now().astimezone())


@dataclass(frozen=True, slots=True)
class _Export:
    """What is to be built, into the new folder `out` or, where that is None, nowhere."""

    recipe: Recipe
    text: str
    around: Surroundings
    out: Path | None
    config: Path | None
    data_dir: Path | None
    url: str
    yes: bool
    quiet: bool

    async def run(self, connection: AsyncConnection) -> Built:
        """Build it; where it asks models, after an estimate and a person's consent."""
        log = local.Log(connection, await latest(connection))
        if not models(self.recipe):
            return await self._into(self.out, log, None)
        settings = settings_load.load(self.config, os.environ)
        price = prices(self.recipe, settings)
        asking, counted = counting(connection, price)
        built = await self._into(None, log, asking)
        built.report["calls"] = counted.estimate.as_json()
        for line in counted.estimate.told():
            typer.echo(line, err=True)
        if self.out is None:
            return built
        if counted.estimate.calls:
            agree(f"Make these {counted.estimate.calls:,} calls now?", yes=self.yes)
        folder = self.data_dir or settings.log.data_dir
        async with calling(connection, self.recipe, settings, folder, price=price, url=self.url) as asking:
            return await self._into(self.out, log, asking)

    async def _into(self, out: Path | None, log: local.Log, asking: Models | None) -> Built:
        with shown(quiet=self.quiet) as progress, nullcontext(NoFiles()) if out is None else new_folder(out) as files:
            return await build(log, self.recipe, self.text, self.around, files, progress=progress, asking=asking)


def _with_store(config: Path | None, data_dir: Path | None, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    folder = data_folder(config, data_dir, os.environ)

    async def opened() -> T:
        async with reading(folder) as connection:
            return await work(connection)

    return asyncio.run(opened())


def _echo_json(value: Json) -> None:
    echo_json(orjson.dumps(value))
