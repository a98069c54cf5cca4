"""`tailrace classify`: what classifiers have said, and what they say of all that is in the log."""

from typing import Final

import typer

from tailrace.commands.classify_export import export
from tailrace.commands.classify_import import import_
from tailrace.commands.classify_report import report
from tailrace.commands.classify_review import review
from tailrace.commands.classify_run import run
from tailrace.commands.classify_status import status

app: Final = typer.Typer(name="classify", add_completion=False, rich_markup_mode=None, no_args_is_help=True)
app.command("run")(run)
app.command("status")(status)
app.command("report")(report)
app.command("review")(review)
app.command("export")(export)
app.command("import")(import_)
