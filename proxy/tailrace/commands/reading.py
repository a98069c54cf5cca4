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
        UserError: there is no store yet, it is none, or a newer Tailrace made it.
        WorkFailed: it cannot be read.
    """
    try:
        async with open_reader(data_dir) as connection:
            if await migrations.check(connection) == 0:
                raise UserError(f"{store_file(data_dir)}: no store there yet; `tailrace serve` makes it")
            yield connection
    except DBAPIError as exc:
        raise WorkFailed(f"{store_file(data_dir)}: cannot be read ({exc.orig})") from exc
