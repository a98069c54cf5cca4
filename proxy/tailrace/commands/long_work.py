"""What commands share that work for long: a person's consent before it costs, and how far it is."""

import sys
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tailrace.errors import UserError

_EVERY: Final = 100


def agree(question: str, *, yes: bool) -> None:
    """Asks before the work begins; `yes`: that was said beforehand.

    Raises:
        UserError: there is nobody to ask.
        typer.Exit: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("there is nobody to ask: give --yes to begin, or --dry-run for the estimate alone")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


class Bar:
    """How far it is, on stderr: a bar on a terminal, else a line now and then. Use as a context manager."""

    def __init__(self, name: str, total: int, *, quiet: bool) -> None:
        self._name = name
        self._total = total
        self._done = 0
        self._quiet = quiet
        self._bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(name, total=total)

    def __enter__(self) -> None:
        if self._bar is not None:
            self._bar.start()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.advance(self._task)
        elif not self._quiet and self._done % _EVERY == 0:
            typer.echo(f"{self._name}: {self._done:,} of {self._total:,}", err=True)
