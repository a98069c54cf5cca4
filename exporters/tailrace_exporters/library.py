"""The exporters for a notebook or a script: a recipe and a log in, canonical rows out.

    from tailrace_exporters import rows

    async for row in rows(Path("support-bot.toml"), data_dir=Path("data")):     # a notebook, which has a loop already
        row["messages"], row["train"], row["split"]

    for row in iter_rows('[select]\nwhere = "status = ok"', data_dir=Path("data")):     # a script
        ...

The log may be in use: nothing is written, and rows are read in short batches up to the end that it had at the start.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

from tailrace.commands.reading import reading
from tailrace.errors import UserError
from tailrace.records import Json
from tailrace_exporters.build import latest
from tailrace_exporters.canonical import canonical
from tailrace_exporters.engines import local
from tailrace_exporters.recipe import parse_recipe, read_recipe
from tailrace_exporters.surroundings import Surroundings


async def rows(recipe: Path | str, *, data_dir: Path) -> AsyncIterator[dict[str, Json]]:
    """The rows of a recipe, each a dict: `canonical.canonical` lists its members.

    A `Path` is read; a `str` is the recipe itself, whose files lie in the current folder. `[write]` does not matter,
    but for the kinds of rows that its formats take.

    Raises:
        RecipeError: the recipe, or a file that it names, is wrong; the message has file, line and key.
        UserError: there is no log in `data_dir`, or one of another version.
        WorkFailed: the store is damaged, the recipe ends the export (a forbidden teacher, a secret), or it asks a model
            and the log does not have all answers (`tailrace export` asks for them, nothing here does).
    """
    if isinstance(recipe, Path):
        wanted, folder = read_recipe(recipe)[0], recipe.parent
    else:
        wanted, folder = parse_recipe(recipe, "recipe"), Path()
    async with reading(data_dir) as connection:
        log = local.Log(connection, await latest(connection))
        async for placed in local.placed_rows(log, wanted, Surroundings(folder, os.environ)):
            yield canonical(placed)


def iter_rows(recipe: Path | str, *, data_dir: Path) -> Iterator[dict[str, Json]]:
    """`rows`, for code that runs no event loop.

    Raises:
        UserError: a loop is running already; and as `rows`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UserError("an event loop is running here, as in a notebook; use `async for row in rows(…)`")
    with asyncio.Runner() as runner:
        found = rows(recipe, data_dir=data_dir)

        async def following() -> dict[str, Json] | None:
            return await anext(found, None)

        try:
            while (row := runner.run(following())) is not None:
                yield row
        finally:
            runner.run(_closed(found))


async def _closed(found: AsyncIterator[dict[str, Json]]) -> None:
    """Ends the read, also where whoever iterated stopped early."""
    assert isinstance(found, AsyncGenerator)
    await found.aclose()
