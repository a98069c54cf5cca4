"""What several commands take. Paths are not judged here: whoever opens one says what is wrong with it."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", readable=False, help="The settings; ./tailrace.toml when present.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", readable=False, help="The data folder, instead of the settings' own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
