"""argv → one call. Mounts the commands without importing them, and turns an error of ours into one line and a code.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 130 Ctrl-C. Other distributions mount commands by an entry
point of group `tailrace.commands` that names a `typer.Typer`.
"""

import importlib
import io
import sys
from importlib.metadata import entry_points
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from tailrace import __version__
from tailrace.errors import TailraceError, UserError

GROUP: Final = "tailrace.commands"
COMMANDS: Final = {
    "serve": ("tailrace.commands.serve", "Run the proxy, until SIGTERM or Ctrl-C."),
    "check-config": ("tailrace.commands.config", "Check the settings; print what is in force."),
    "doctor": ("tailrace.commands.doctor", "Report versions, disk, permissions, limits and providers."),
    "db": ("tailrace.commands.db", "Upgrade, measure and back up the store."),
    "logs": ("tailrace.commands.logs", "List, follow and show completions and chains."),
    "replay": ("tailrace.commands.replay", "Ask logged requests again, of another model."),
    "simulate": ("tailrace.commands.simulate", "Run a provider that answers and misbehaves on demand."),
}
_HELP: Final = {"export": "Turn the log into datasets that trainers load as they are."}


class _Lazy(TyperCommand):
    """A command's name and help; the module behind it is imported when the command is called."""

    def __init__(self, name: str, module: str, attribute: str, help_: str) -> None:
        super().__init__(name, help=help_, callback=None)
        self._module = module
        self._attribute = attribute

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        mounted = getattr(importlib.import_module(self._module), self._attribute)
        command = typer.main.get_command(mounted)
        command.name = self.name
        return command.make_context(info_name, args, parent=parent, **extra)


class _Commands(TyperGroup):
    """Our commands, then those of entry points."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 typer's signature
        return [*COMMANDS, *sorted(entry.name for entry in entry_points(group=GROUP))]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002 typer's signature
        if cmd_name in COMMANDS:
            module, help_ = COMMANDS[cmd_name]
            return _Lazy(cmd_name, module, "app", help_)
        for entry in entry_points(group=GROUP, name=cmd_name):
            return _Lazy(cmd_name, entry.module, entry.attr, _HELP.get(cmd_name, f"From {entry.module}."))
        return None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"tailrace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tailrace: an OpenAI-compatible proxy that keeps every completion and turns the log into training data."""


def _show_what_cannot_be_written() -> None:
    """A letter that a terminal's encoding does not have is shown as an escape: no reason to end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The console script."""
    _show_what_cannot_be_written()
    try:
        app(prog_name="tailrace")
    except TailraceError as exc:
        from tailrace.commands.terminal import escaped  # noqa: PLC0415 (it is heavy, and only needed where all is lost)

        for line in str(exc).split("\n"):
            typer.echo(f"tailrace: {escaped(line)}", err=True)
        sys.exit(2 if isinstance(exc, UserError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
