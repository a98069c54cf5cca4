"""`tailrace export templates [RECIPE.toml | --where QUERY] --out FILE`: finds the templates of a log.

The file holds no words of users, only what their requests share; examples of what stands in a slot are shown here.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import data_folder, reading
from tailrace.commands.terminal import echo_json, one_line
from tailrace.errors import UserError
from tailrace.records import Endpoint, Json
from tailrace.store import read
from tailrace.store.query import Marks
from tailrace.store.rebuild import Rebuilder
from tailrace.templates.file import file_of
from tailrace.templates.prune import CountText, estimated
from tailrace.templates.template import Template
from tailrace_exporters import select as selecting
from tailrace_exporters.assemble import exact
from tailrace_exporters.engines.local import Progress
from tailrace_exporters.files import must_not_exist, new_file
from tailrace_exporters.progress import shown
from tailrace_exporters.recipe import read_recipe
from tailrace_exporters.recipe_tables import Select
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.templates.survey import Conversation, Survey, survey
from tailrace_exporters.tokens import read_tokenizer

_BATCH: Final = 500
_EXAMPLE_CHARS: Final = 40
_PHASE: Final = "requests"


def templates(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE.toml]", readable=False, help="Read what its [select] selects.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", readable=False, help="A new file.")],
    where: Annotated[str, typer.Option(metavar="QUERY", help="Read these completions, instead of a recipe's.")] = "",
    tokenizer: Annotated[
        Path | None, typer.Option(readable=False, help="A tokenizer.json; else four characters count as a token.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Find the text that requests of one task share, and write it to FILE, to prune it by."""
    must_not_exist(out)
    if recipe is not None and where:
        raise UserError("export templates: give a recipe or --where, not both")
    select = Select().model_copy(update={"where": where or None}) if recipe is None else read_recipe(recipe)[0].select
    count = estimated if tokenizer is None else read_tokenizer(Surroundings(tokenizer.parent, {}), tokenizer.name)

    async def work() -> Survey:
        async with reading(data_folder(config, data_dir, os.environ)) as connection:
            marks = await read.marks(connection)
            await connection.rollback()
            with shown(quiet=as_json, phases=(_PHASE,)) as progress:
                requests = _Requests(connection, select, marks, progress)
                return await survey(requests.read, count)

    found = asyncio.run(work())
    told = {template.id: _told(template, found, count) for template in found.templates}
    new_file(out, file_of(found.templates, told))
    if as_json:
        listed = [_listed(template, found) | told[template.id] for template in found.templates]
        totals = {"requests": found.requests, "unknown": found.unknown, "saved_tokens": _saved(found)}
        echo_json(orjson.dumps({"out": str(out), **totals, "templates": listed}))
        return
    for template in found.templates:
        for line in _lines(template, found, told[template.id]):
            typer.echo(line)
    known = found.requests - found.unknown
    typer.echo(
        f"{known:,} of {found.requests:,} requests were made from {len(found.templates)} templates; "
        f"{_saved(found):,} tokens would be saved"
    )
    typer.echo(f"written to {out}")


class _Requests:
    """The requests of the selected completions, to be read again and again."""

    def __init__(self, connection: AsyncConnection, select: Select, marks: Marks, progress: Progress) -> None:
        self._connection = connection
        self._selection = selecting.selection(select, marks)
        self._watermark = marks.completions
        self._progress = progress
        self._bodies = Rebuilder(connection)

    async def read(self) -> AsyncIterator[Sequence[Conversation]]:
        """In batches, from the beginning."""
        async for rows in read.rows(self._connection, self._selection, batch_rows=_BATCH):
            chats = [row for row in rows if row.endpoint == Endpoint.CHAT]
            exchanges = await self._bodies.exchanges(chats)
            requests = (exact(each.request, each.request_raw) for each in exchanges)
            yield [messages for request in requests if (messages := _messages(request)) is not None]
            self._progress(_PHASE, rows[-1].seq, self._watermark)
            await self._connection.rollback()


def _messages(request: Json) -> Conversation | None:
    messages = request.get("messages") if isinstance(request, dict) else None
    if isinstance(messages, list) and all(isinstance(each, dict) for each in messages):
        return messages
    return None


def _told(template: Template, found: Survey, count: CountText) -> dict[str, Json]:
    """What the file says of a template, for people only."""
    tally = found.tallies[template.id]
    static = [each for frame in template.frames for text in frame.texts for each in text if isinstance(each, str)]
    return {
        "requests": tally.requests,
        "share": round(tally.requests / found.requests, 4),
        "static_tokens": sum(map(count, static)),
        "saved_tokens": tally.saved_tokens,
    }


def _listed(template: Template, found: Survey) -> dict[str, Json]:
    words = found.tallies[template.id].words
    return {"id": template.id, "name": template.name, "slots": {name: words.get(name, []) for name in template.slots}}


def _lines(template: Template, found: Survey, told: dict[str, Json]) -> Iterator[str]:
    each = told["saved_tokens"] / told["requests"]
    yield (
        f"{template.id}  {one_line(template.name)}: {told['requests']:,} requests ({told['share']:.1%}), "
        f"{told['static_tokens']:,} static tokens, {each:.1f} saved a request, {told['saved_tokens']:,} in all"
    )
    words = found.tallies[template.id].words
    for name in template.slots:
        shown = " | ".join(one_line(each, chars=_EXAMPLE_CHARS) for each in words.get(name, []))
        yield f"{'':14}{one_line(name)}: {shown}"


def _saved(found: Survey) -> int:
    return sum(found.tallies[template.id].saved_tokens for template in found.templates)
