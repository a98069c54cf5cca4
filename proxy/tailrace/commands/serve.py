"""`tailrace serve`: the proxy, until SIGTERM or Ctrl-C."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tailrace import serve as supervisor
from tailrace import stamps
from tailrace.commands.options import Config, DataDir

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, instead of server.port.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Relay processes, instead of server.workers.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the proxy: the relay workers, the writer and what watches them."""
    given = {"SERVER__HOST": host, "SERVER__PORT": port, "SERVER__WORKERS": workers, "LOG__DATA_DIR": data_dir}
    options = {f"TAILRACE_{name}": str(value) for name, value in given.items() if value is not None}
    supervisor.serve(supervisor.Launch(config, {**os.environ, **options}, stamps.anchor, _announce))


def _announce(url: str, data_dir: Path) -> None:
    shown = data_dir if data_dir.is_absolute() else f"./{data_dir}"
    typer.echo(f"Tailrace is ready on {url} (data in {shown})")
