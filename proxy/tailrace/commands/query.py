"""A query on a command line. Apart from `options.py`: whatever imports this has the store's libraries in memory."""

from collections.abc import Sequence
from typing import Annotated

import typer

from tailrace.errors import QueryError
from tailrace.store.query import Expr, parse

Query = Annotated[
    list[str] | None,
    typer.Argument(metavar="QUERY", help="For example: 'status = ok AND model = \"gpt-5\"'"),
]


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
