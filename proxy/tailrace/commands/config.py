"""`tailrace check-config`: whether the settings are good, and what they are, secrets left out."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tailrace.settings_doc import as_toml, example
from tailrace.settings_load import config_hash, load, public

app = typer.Typer()


@app.command()
def check_config(
    config: Annotated[Path | None, typer.Option(help="Settings file; ./tailrace.toml when present.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    show_example: Annotated[bool, typer.Option("--example", help="Print a file with every setting instead.")] = False,
) -> None:
    """Check the settings and print what is in force, without secrets."""
    if show_example:
        typer.echo(example(), nl=False)
        return
    settings = load(config, os.environ)
    if as_json:
        typer.echo(json.dumps({"ok": True, "config": config_hash(settings), "settings": public(settings)}))
        return
    typer.echo(f"# ok, config {config_hash(settings)}")
    typer.echo(as_toml(public(settings)), nl=False)
