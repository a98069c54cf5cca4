"""`tailrace check-config`: whether the settings are good, and what they are, secrets left out."""

import json
import os
from typing import Annotated

import typer

from tailrace.classify import ready
from tailrace.commands.options import AsJson, Config
from tailrace.settings_doc import as_toml, example
from tailrace.settings_load import config_hash, load, public

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def check_config(
    config: Config = None,
    as_json: AsJson = False,
    show_example: Annotated[bool, typer.Option("--example", help="Print a file with every setting instead.")] = False,
) -> None:
    """Check the settings and print what is in force, without secrets."""
    if show_example:
        typer.echo(example(), nl=False)
        return
    settings = load(config, os.environ)
    for name, classifier in settings.classifiers.items():
        ready.load(name, classifier)
    if as_json:
        typer.echo(json.dumps({"ok": True, "config": config_hash(settings), "settings": public(settings)}))
        return
    typer.echo(f"# ok, config {config_hash(settings)}")
    typer.echo(as_toml(public(settings)), nl=False)
