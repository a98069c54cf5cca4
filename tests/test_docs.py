"""Docs cannot lie: what a user can type or meet stands in them, and what they show is run."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from tailrace import cli, errors, records
from tailrace.settings import Settings
from tailrace.store.query.fields import FIELDS, LABEL_FIELDS

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()
ARCHITECTURE: Final = (ROOT / "ARCHITECTURE.md").read_text()
EXAMPLE: Final = (ROOT / "deploy" / "tailrace.example.toml").read_text()
EXPORTERS: Final = (ROOT / "exporters" / "README.md").read_text()


def commands() -> Iterator[str]:
    """Every command that can be typed, without the program's name."""

    def walk(command: Any, path: str) -> Iterator[str]:
        if isinstance(command, click.Group | TyperGroup):
            for name, inner in command.commands.items():
                yield from walk(inner, f"{path} {name}")
        yield path

    mounted = {name: import_module(module) for name, (module, _) in cli.COMMANDS.items()}
    for name, module in (mounted | {"export": import_module("tailrace_exporters.cli")}).items():
        yield from walk(typer.main.get_command(module.app), name)


def settings(model: type[BaseModel] = Settings) -> Iterator[str]:
    """The name of every setting."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in tables(field.annotation):
            yield from settings(inner)


def tables(annotation: object) -> Iterator[type[BaseModel]]:
    """The tables inside a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from tables(argument)


WORDS: Final = [
    *(("status", word) for word in records.Status),
    *(("relation", word) for word in records.Relation),
    *(("link_kind", word) for word in records.LinkKind),
    *(("usage_source", word) for word in records.UsageSource),
    *(("origin", word) for word in records.Origin),
    *(("label source", word) for word in records.LabelSource),
    *(("label mode", word) for word in records.LabelMode),
    *(("action", word) for word in records.Do),
    *(("outcome", word) for word in records.Outcome),
    *(("student", word) for word in records.StudentState),
    *(("field", name) for name in FIELDS if "." in name),
    *(("part of a label", f".{part}") for part in LABEL_FIELDS if part),
    *(("error code", word) for word in errors.Code),
]


@pytest.mark.parametrize("name", sorted(set(settings())))
def test_every_setting_stands_in_the_example(name: str) -> None:
    assert re.search(rf"\b{name}\b", EXAMPLE)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"tailrace {command}" in README or f"`{command}" in README, f"tailrace {command}"


@pytest.mark.parametrize(("kind", "word"), WORDS, ids=str)
def test_every_word_that_is_stored_or_told_is_explained(kind: str, word: str) -> None:
    assert f"`{word}`" in README, f"{kind} {word}"


def test_every_module_stands_in_the_architecture() -> None:
    package = ROOT / "proxy" / "tailrace"
    missing = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
        and path.name not in ARCHITECTURE
        and path.parent.name not in {"scenarios", "migrations"}
    ]
    assert not missing


def test_every_folder_the_docs_name_exists() -> None:
    for path in re.findall(
        r"`((?:proxy|exporters|tests|deploy|dashboards)/[\w./-]+)`", README + ARCHITECTURE + EXPORTERS
    ):
        assert (ROOT / path).exists(), path


def test_every_make_target_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"make ([a-z-]+)", README + ARCHITECTURE + (ROOT / "BENCHMARKS.md").read_text()):
        assert name in targets, name


def test_no_address_of_a_registry_is_in_a_tracked_file() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Makefile"):
        assert not re.search(
            r"index-url|find-links|https?://(?!127\.0\.0\.1)",
            (ROOT / name).read_text().replace("--no-emit-index-url", "").replace("--no-emit-find-links", ""),
        ), name
