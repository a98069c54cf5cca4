"""Opening the store for a command that only reads: which data folder, is there a store, can this code read it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import settings_load
from tailrace.errors import UserError, WorkFailed
from tailrace.store import migrations
from tailrace.store.engine import open_reader, store_file


def data_folder(config: Path | None, override: Path | None, environ: Mapping[str, str]) -> Path:
    """The data folder: the one that the command names, else that of the settings, which are only then read.

    Raises:
        SettingsError: the settings are needed and wrong.
    """
    return override if override is not None else settings_load.load(config, environ).log.data_dir


@asynccontextmanager
async def reading(data_dir: Path) -> AsyncIterator[AsyncConnection]:
    """A reading connection to the store of `data_dir`; nothing is made there.

    Raises:
        UserError: there is no store yet, it is none, or another version of Tailrace made it.
        WorkFailed: it cannot be read.
    """
    try:
        async with open_reader(data_dir) as connection:
            await _check(connection, store_file(data_dir))
            yield connection
    except DBAPIError as exc:
        raise WorkFailed(
            f"{store_file(data_dir)}: cannot be read ({exc.orig}); where that stays so, restore a copy from its backups"
        ) from exc


async def _check(connection: AsyncConnection, path: Path) -> None:
    have, needed = await migrations.check(connection), migrations.STEPS[-1].number
    if have == 0:
        raise UserError(f"{path}: no store there yet; `tailrace serve` makes it")
    if have < needed:
        raise UserError(
            f"{path}: at migration {have}, and this Tailrace reads {needed}; "
            "start `tailrace serve` anew, or run `tailrace db upgrade`"
        )
