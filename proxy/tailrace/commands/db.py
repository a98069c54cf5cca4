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

from tailrace.commands.reading import data_folder, reading
from tailrace.commands.terminal import iso_utc
from tailrace.store import backup as store_backup
from tailrace.store import migrations, stats
from tailrace.store.engine import open_writer, store_file

app = typer.Typer(help="Upgrade, measure and back up the store.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Settings file; ./tailrace.toml when present.")]
DataDir = Annotated[Path | None, typer.Option(help="Data folder, instead of log.data_dir.")]


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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Count what is in the store."""
    counted = asyncio.run(_stats(data_folder(config, data_dir, os.environ)))
    if as_json:
        typer.echo(orjson.dumps(counted).decode())
        return
    for name, value in asdict(counted).items():
        shown = iso_utc(value) if name.endswith("_us") and value is not None else value
        if isinstance(shown, dict):
            shown = ", ".join(f"{key} {count}" for key, count in shown.items())
        typer.echo(f"{name:<14} {'' if shown is None else shown}")


@app.command()
def backup(
    target: Annotated[Path | None, typer.Argument(help="New file; default: backups/ in the data folder.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the store to a new file, also while Tailrace runs."""
    folder = data_folder(config, data_dir, os.environ)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = target or folder / "backups" / f"tailrace-{moment}.db"
    size = store_backup.backup(folder, target)
    typer.echo(f"{target} ({size} bytes)")


async def _upgrade(folder: Path) -> tuple[migrations.Step, ...]:
    async with open_writer(folder) as connection:
        return await migrations.upgrade(connection, folder, now_us=time.time_ns() // 1000)


async def _stats(folder: Path) -> stats.Stats:
    async with reading(folder) as connection:
        return await stats.stats(connection)
