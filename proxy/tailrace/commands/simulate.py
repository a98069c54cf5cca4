"""`tailrace simulate`: the simulated provider on a port of its own."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tailrace.simulate import others
from tailrace.simulate.scenarios import scenario_list
from tailrace.simulate.server import run
from tailrace.simulate.simulator import WIRES

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 4701,
    dialogues: Annotated[
        Path | None, typer.Option(readable=False, help="JSONL file that sim/replay answers from.")
    ] = None,
    gold: Annotated[
        list[Path] | None,
        typer.Option(readable=False, help="JSONL file that sim/label… answers from; may be given again."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the models and what each does.")] = False,
) -> None:
    """Run a provider that answers, misbehaves and replays on demand, until Ctrl-C."""
    if show_list:
        width = max(len(name) for name, _ in scenario_list())
        for name, says in scenario_list():
            typer.echo(f"{name:<{width}}  {says}")
        typer.echo("\nEach of them, but where it says otherwise, is spoken over:")
        for manner in (*(wire.MANNER for wire in WIRES.values()), others.MANNER):
            typer.echo(f"{manner.name:<{width}}  {manner.path}")
        return
    asyncio.run(run(host, port, dialogues, gold or (), _announce))


def _announce(url: str) -> None:
    typer.echo(f"The simulated provider is ready on {url}")
