"""`tailrace db`: the store's migrations, its counts, copies of it."""

import asyncio
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import data_folder, reading
from tailrace.commands.terminal import echo_json, iso_utc, one_line
from tailrace.errors import UserError
from tailrace.store import backup as store_backup
from tailrace.store import migrations, stats
from tailrace.store.engine import open_reader, open_writer, store_file

app = typer.Typer(
    help="Upgrade, measure and back up the store.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command()
def upgrade(config: Config = None, data_dir: DataDir = None) -> None:
    """Bring the store up to this version, after a copy of it. `tailrace serve` does so at its start."""
    folder = data_folder(config, data_dir, os.environ)
    for step in asyncio.run(_upgrade(folder)):
        typer.echo(f"applied migration {step.number} ({step.name})")
    typer.echo(f"{store_file(folder)} is at migration {migrations.STEPS[-1].number}")


@app.command(name="stats")
def show_stats(
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count what is in the store."""
    counted = asyncio.run(_stats(data_folder(config, data_dir, os.environ)))
    if as_json:
        echo_json(orjson.dumps(counted))
        return
    for name, value in asdict(counted).items():
        typer.echo(f"{name:<14} {_shown(name, value)}".rstrip())


@app.command()
def backup(
    target: Annotated[
        Path | None, typer.Argument(readable=False, help="New file; default: backups/ in the data folder.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the store to a new file, also while Tailrace runs."""
    folder = data_folder(config, data_dir, os.environ)
    asyncio.run(_must_be_store(folder))
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = target or folder / "backups" / f"tailrace-{moment}.db"
    size = store_backup.backup(folder, target)
    typer.echo(f"{target} ({size} bytes)")


def _shown(name: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{one_line(str(word))} {count}" for word, count in value.items())
    if value is None:
        return ""
    return iso_utc(value) if name.endswith("_us") and isinstance(value, int) else str(value)


async def _must_be_store(folder: Path) -> None:
    """A newer one, or an older one, may well be copied; the database of another program is not ours to copy."""
    async with open_reader(folder) as connection:
        if await migrations.version(connection) == 0:
            raise UserError(f"{store_file(folder)}: no store there yet; `tailrace serve` makes it")


async def _upgrade(folder: Path) -> tuple[migrations.Step, ...]:
    async with open_writer(folder) as connection:
        return await migrations.upgrade(connection, folder, now_us=time.time_ns() // 1000)


async def _stats(folder: Path) -> stats.Stats:
    async with reading(folder) as connection:
        return await stats.stats(connection)
