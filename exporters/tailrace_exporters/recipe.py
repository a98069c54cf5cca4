"""A recipe: the TOML a person writes, as a frozen value. Owns its keys, their defaults, and the wording of mistakes.

Strict: an unknown key is an error with a suggestion, so that a mistyped filter cannot let everything through.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Final, get_args

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace.settings_schema import expected
from tailrace.settings_source import locate, parse_toml
from tailrace_exporters.recipe_calls import Augment, Calls, Relabel
from tailrace_exporters.recipe_prefer import Prefer
from tailrace_exporters.recipe_tables import (
    Assemble,
    Balance,
    Decontaminate,
    Dedupe,
    Filter,
    Policy,
    PrunedBy,
    Scrub,
    Select,
    Split,
    Table,
    Write,
    closest,
)

MAX_RECIPE_BYTES: Final = 1 << 20
_KeyPath = tuple[str | int, ...]


class Recipe(Table):
    """The whole recipe."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "dataset"
    """The dataset's name, in its manifest."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Which rows fall into which split."""
    select: Select = Select()
    assemble: Assemble = Assemble()
    filter: Filter = Filter()
    relabel: Relabel | None = None
    augment: Augment = Augment()
    templates: PrunedBy | None = None
    calls: Calls = Calls()
    prefer: Prefer = Prefer()
    scrub: Scrub | None = None
    dedupe: Dedupe = Dedupe()
    decontaminate: Decontaminate | None = None
    split: Split = Split()
    policy: Policy = Policy()
    balance: Balance | None = None
    write: Write = Write()


def read_recipe(path: Path) -> tuple[Recipe, str]:
    """The recipe in the file `path`, and its text.

    Raises:
        RecipeError: one line for each mistake: file, line, key, what was expected, what to do.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RECIPE_BYTES + 1)
    except OSError as exc:
        raise RecipeError(f"{path}: cannot be read ({exc.strerror}); give the path of a recipe") from exc
    if len(raw) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{path}: larger than {MAX_RECIPE_BYTES} bytes; give the path of a recipe")
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise RecipeError(f"{path}: byte {exc.start} is no UTF-8; save the recipe as UTF-8") from exc
    return parse_recipe(text, str(path)), text


def parse_recipe(text: str, place: str) -> Recipe:
    """The recipe that `text` is; `place` names it in messages.

    Raises:
        RecipeError: as `read_recipe`.
    """
    values = parse_toml(place, text, RecipeError)
    try:
        # JSON mode is strict about kinds, and still takes an enum from text and a tuple from an array.
        return Recipe.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as exc:
        lines = dict(locate(text))
        raise RecipeError("\n".join(_message(place, lines, error) for error in exc.errors(include_url=False))) from exc


def recipe_hash(text: str) -> str:
    """SHA-256 of a recipe's text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _message(place: str, lines: dict[_KeyPath, int], error: ErrorDetails) -> str:
    path = tuple(part for part in error["loc"] if part != "[key]")
    at = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
    where = place if at is None else f"{place}:{at}"
    key = ".".join(str(part) for part in path if isinstance(part, str))
    return f"{where}: {key}: {_wrong(path, error)}"


def _wrong(path: _KeyPath, error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    found = f"found {_shown(error['input'])}"
    if kind == "extra_forbidden":
        return f"unknown key; {closest(str(path[-1]), _keys_at(path[:-1]))}"
    if kind == "value_error":
        text = str(context["error"])
        return text[1:] if text.startswith("!") else f"expected {text}, {found}"
    if kind == "string_pattern_mismatch":
        return f"expected a name that matches {context['pattern']}, {found}"
    wanted = expected(kind, context)
    return f"{error['msg'][:1].lower() + error['msg'][1:] if wanted is None else f'expected {wanted}'}, {found}"


def _keys_at(path: _KeyPath) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        kinds = (annotation, *get_args(annotation))  # a table, or one that may be missing
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _shown(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
