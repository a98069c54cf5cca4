"""Which files of templates that targets name cannot be read, or are wrong: told at the start, not at the first call."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tailrace.settings import Fallback, Settings, Shadow
from tailrace.settings_checks import Path as Place
from tailrace.settings_checks import Problem
from tailrace.templates.file import TemplatesError, read_templates


def template_files(settings: Settings) -> Iterator[tuple[Place, Path]]:
    """Each file of templates that the settings name, with the place where they do."""
    for name, alias in settings.models.items():
        named: dict[str, Sequence[Fallback | Shadow]] = {
            "targets": alias.targets,
            "fallback": alias.fallback or (),
            "shadow": alias.shadow,
        }
        for key, places in named.items():
            for index, place in enumerate(places):
                if place.templates is not None:
                    yield ("models", name, key, index, "templates"), place.templates


def template_problems(settings: Settings) -> Iterator[Problem]:
    """Every file of templates that cannot be used."""
    known: dict[Path, str | None] = {}
    for place, path in template_files(settings):
        if path not in known:
            known[path] = _problem(path)
        if (problem := known[path]) is not None:
            yield Problem(place, problem)


def _problem(path: Path) -> str | None:
    try:
        read_templates(path)
    except TemplatesError as exc:
        return str(exc)
    return None
