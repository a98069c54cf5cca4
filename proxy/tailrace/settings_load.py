"""Settings from a TOML file and the environment. Reads, resolves secrets, validates; names every mistake in one line.

    TOML file ─▶ environment over it ─▶ secrets resolved ─▶ validated ─▶ contradictions ─▶ Settings

Owns the wording of mistakes: the place (file and line, or the variable), the key, what was expected, what was found,
what to do. A resolved secret is a `SecretStr` from here on and stands in no message.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tailrace.errors import SettingsError
from tailrace.records import Json
from tailrace.settings import Settings
from tailrace.settings_checks import Problem, contradictions
from tailrace.settings_classifier_checks import classifier_problems, unreadable
from tailrace.settings_schema import describe, expected, meaning, suggestion, takes_text
from tailrace.settings_secrets import CLIENT, NO_KEY, resolve_secrets
from tailrace.settings_source import KeyPath, Layers, from_text, read_layers
from tailrace.settings_template_checks import template_problems


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of `path` (None: `./tailrace.toml` when present) with the `TAILRACE_…` variables over them.

    Raises:
        SettingsError: one line for each mistake that was found.
    """
    return load_with_text(path, environ)[0]


def load_with_text(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, str]:
    """As `load`, with the text of the file beside it (empty where there is none)."""
    layers = read_layers(path, environ)
    for key_path, name in layers.variables.items():
        _set(layers.values, key_path, from_text(environ[name], takes_text=takes_text(key_path)))
    problems = list(resolve_secrets(layers.values, environ))
    try:
        # JSON mode is strict about kinds, and still takes a path from text and a tuple from an array.
        settings = Settings.model_validate_json(json.dumps(layers.values, default=str), strict=True)
    except ValidationError as exc:
        problems += _problems(exc.errors(include_url=False))
        raise _error(layers, problems) from None  # the original repeats the input, which may hold a secret
    problems += [*contradictions(settings), *classifier_problems(settings), *unreadable(settings)]
    problems += template_problems(settings)
    if problems:
        raise _error(layers, problems)
    return settings, layers.text


def config_hash(settings: Settings) -> str:
    """Eight hex digits that name these settings; equal settings are equal, whatever their secrets are."""
    return hashlib.blake2b(json.dumps(public(settings), sort_keys=True).encode(), digest_size=4).hexdigest()


def public(settings: Settings) -> dict[str, Json]:
    """The settings as JSON, fit to be shown: secrets are `**********`."""
    values = settings.model_dump(mode="json")
    for provider in values["providers"].values():
        provider["api_key"] = {None: CLIENT, "": NO_KEY}.get(provider["api_key"], provider["api_key"])
    return values


def _set(values: Json, path: KeyPath, value: Json) -> None:
    for key in path[:-1]:
        values = values[key]
    values[path[-1]] = value


def _error(layers: Layers, problems: list[Problem]) -> SettingsError:
    lines = []
    for problem in problems:
        key = _dotted(problem.path)
        lines.append(f"{layers.place(problem.path)}: {key}: {problem.text}")
    return SettingsError("\n".join(lines))


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("_", "a").replace("-", "a").isalnum() and part.isascii()
            text += ("." if text else "") + (part if plain else json.dumps(part))
    return text


def _problems(errors: list[ErrorDetails]) -> Iterator[Problem]:
    for error in errors:
        # An array with a wrong entry is reported a second time, as too short without it.
        if not any(error["loc"] == other["loc"][: len(error["loc"])] for other in errors if other is not error):
            yield _problem(error)


def _problem(error: ErrorDetails) -> Problem:
    path = tuple(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return Problem(path, f"unknown key; {suggestion(path)}")
    if kind == "missing":
        return Problem(path, f"is missing; {meaning(path)}")
    found = f"found {describe(path, error['input'])}"
    if kind == "value_error":
        return Problem(path, f"expected {error['ctx']['error']}, {found}")
    if kind == "string_pattern_mismatch":
        return Problem(path, f"{found}, which does not fit: {meaning(path)}")
    wanted = expected(kind, error.get("ctx", {}))
    return Problem(path, f"{error['msg'] if wanted is None else f'expected {wanted}'}, {found}")
