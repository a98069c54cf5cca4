"""argv → one call. Mounts the commands without importing them, and turns an error into one line and a code.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 130 Ctrl-C. Other distributions mount commands by an entry
point of group `tailrace.commands` that names a `typer.Typer`.
"""

import importlib
import io
import sys
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Annotated, Any, Final

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption, UsageError  # typer exports none
from typer.core import TyperCommand, TyperGroup

from tailrace import __version__
from tailrace.errors import TailraceError, UserError

GROUP: Final = "tailrace.commands"
COMMANDS: Final = {
    "serve": ("tailrace.commands.serve", "Run the proxy, until SIGTERM or Ctrl-C."),
    "check-config": ("tailrace.commands.config", "Check the settings; print what is in force."),
    "doctor": ("tailrace.commands.doctor", "Report versions, disk, permissions, limits and providers."),
    "db": ("tailrace.commands.db", "Upgrade, measure and back up the store."),
    "keys": ("tailrace.commands.keys", "Make, list, change and revoke keys."),
    "logs": ("tailrace.commands.logs", "List, follow and show completions and chains."),
    "replay": ("tailrace.commands.replay", "Ask logged requests again, of another model."),
    "classify": ("tailrace.commands.classify", "Label what is in the log or a file; status, report, review, import."),
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

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer, which knows no lazy command to suggest."""
        name, known = args[0], self.list_commands(ctx)
        if not name.startswith("-") and name not in known:
            close = get_close_matches(name, known, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise UserError(f"no such command: {name!r}; {remedy}")
        return super().resolve_command(ctx, args)


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


def _remedied(wrong: ClickException) -> str:
    """What typer says of a wrong call, in one line with what to do."""
    told = wrong.format_message()
    if isinstance(wrong, NoSuchOption):
        close = get_close_matches(wrong.option_name, wrong.possibilities or (), n=1, cutoff=0)
        told = f"{wrong.message}; did you mean {close[0]}?" if close else wrong.message
    told = " ".join(told.split()).rstrip(".")
    if isinstance(wrong, UsageError) and wrong.ctx is not None:
        told += f"{'' if told.endswith('?') else ';'} see `{wrong.ctx.command_path} --help`"
    return told[:1].lower() + told[1:]


def _complain(text: str) -> None:
    from tailrace.commands.terminal import escaped  # noqa: PLC0415 (it is heavy, and only needed where all is lost)

    for line in text.split("\n"):
        typer.echo(f"tailrace: {escaped(line)}", err=True)


def main() -> None:
    """The console script."""
    _show_what_cannot_be_written()
    try:
        code = app(prog_name="tailrace", standalone_mode=False)
    except TailraceError as exc:
        _complain(str(exc))
        sys.exit(2 if isinstance(exc, UserError) else 1)
    except NoArgsIsHelpError as asked:
        asked.show()
        sys.exit(asked.exit_code)
    except ClickException as wrong:
        _complain(_remedied(wrong))
        sys.exit(wrong.exit_code)
    except typer.Abort:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
