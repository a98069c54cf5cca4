"""How far a long export is, on stderr: a bar on a terminal, a plain line now and then elsewhere, or nothing."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tailrace_exporters.engines import local

_EVERY = 100_000


@contextmanager
def shown(*, quiet: bool, phases: Sequence[str] = ("links", "rows")) -> Iterator[local.Progress]:
    """Takes phase, one of `phases`, done and total; `quiet` shows nothing."""
    if quiet:
        yield lambda _phase, _done, _total: None
    elif sys.stderr.isatty():
        with _bar() as bar:
            tasks = {phase: bar.add_task(phase, total=None) for phase in phases}
            yield lambda phase, done, total: bar.update(tasks[phase], completed=done, total=total)
    else:
        yield _Lines().update


def _bar() -> Progress:
    columns = (TextColumn("{task.description:>8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


class _Lines:
    """A line for every `_EVERY` completions of a phase."""

    def __init__(self) -> None:
        self._told = ("", 0)

    def update(self, phase: str, done: int, total: int) -> None:
        mark = (phase, done // _EVERY)
        if mark[1] and mark != self._told:
            self._told = mark
            typer.echo(f"{phase}: {done:,} of {total:,} completions", err=True)
