"""`tailrace doctor`: versions, disk, permissions, the log, limits and providers, with what to do about each."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from tailrace.commands.doctor_checks import Finding, Verdict, data_folder, folder_is_usable, network, reach, versions
from tailrace.commands.doctor_store import log
from tailrace.commands.options import AsJson, Config
from tailrace.commands.terminal import echo_json
from tailrace.errors import SettingsError
from tailrace.settings_load import config_hash, load

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(
    config: Config = None,
    as_json: AsJson = False,
    with_reach: Annotated[bool, typer.Option("--reach", help="Ask each provider for its models, too.")] = False,
) -> None:
    """Report versions, disk, permissions, the log, limits and providers. Exit code 1 where something would fail."""
    findings = list(_findings(config, with_reach=with_reach))
    if as_json:
        echo_json(orjson.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(_line(finding))
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


def _findings(config: Path | None, *, with_reach: bool) -> Iterator[Finding]:
    yield from versions()
    try:
        settings = load(config, os.environ)
    except SettingsError as exc:
        for line in str(exc).splitlines():
            yield Finding("settings", Verdict.FAIL, line)
        return
    yield Finding("settings", Verdict.OK, f"config {config_hash(settings)}")
    yield from data_folder(settings)
    if folder_is_usable(settings):
        yield from log(settings)
    yield from network(settings)
    if with_reach:
        yield from asyncio.run(reach(settings))


def _line(finding: Finding) -> str:
    advice = f" ({finding.advice})" if finding.advice else ""
    return f"{finding.verdict:<4}  {finding.subject:<18} {finding.value}{advice}"
