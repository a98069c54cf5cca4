"""What several commands take. Paths are not judged here: whoever opens one says what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tailrace.errors import QueryError
from tailrace.store.query import Expr, parse

Query = Annotated[
    list[str] | None,
    typer.Argument(metavar="QUERY", help="For example: 'status = ok AND model = \"gpt-5\"'"),
]

Config = Annotated[
    Path | None, typer.Option("--config", readable=False, help="The settings; ./tailrace.toml when present.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", readable=False, help="The data folder, instead of the settings' own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines.")]


def query_of(words: Sequence[str] | None) -> Expr | None:
    """The query on a command line, in quotes or word by word; None where there is none.

    Raises:
        QueryError: it is wrong.
    """
    text = " ".join(words or ())
    if not text.strip():
        return None
    try:
        return parse(text)
    except QueryError as error:
        raise QueryError(f"QUERY, {error}") from error
