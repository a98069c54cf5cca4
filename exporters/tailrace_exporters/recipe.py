"""A recipe: the TOML a person writes, as a frozen value. Owns its keys, their defaults, and the wording of mistakes.

Strict: an unknown key is an error with a suggestion, so that a mistyped filter cannot let everything through.
"""

import difflib
import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, field_validator
from pydantic_core import ErrorDetails

from tailrace.errors import QueryError, RecipeError
from tailrace.records import Json, Status
from tailrace.settings_schema import expected
from tailrace.settings_source import locate, parse_toml
from tailrace.store.query import compile_where, parse
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.rows import Train, Unit

MAX_RECIPE_BYTES: Final = 1 << 20
_KeyPath = tuple[str | int, ...]
_US: Final = 10**6


def _moment(value: object) -> object:
    """Microseconds since 1970 from a date or a time, written as TOML's own or in quotes; UTC where no zone is given."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as exc:
            raise ValueError('a date such as "2026-10-01" or a time such as "2026-10-01T12:00:00Z"') from exc
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(aware.timestamp()) * _US + aware.microsecond
    raise ValueError('a date such as "2026-10-01" or a time such as "2026-10-01T12:00:00Z"')


Moment = Annotated[int, BeforeValidator(_moment)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Table(BaseModel):
    """A TOML table: frozen, and a key that is not one of ours is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Select(Table):
    """Which completions of the log."""

    where: str | None = None
    """A query, as `tailrace logs` takes it; without it every completion. `origin = app` unless it asks for `origin`."""
    since: Moment | None = None
    """Started at this date or time (UTC) or later."""
    until: Moment | None = None
    """Started before this date or time."""

    @field_validator("where")
    @classmethod
    def _compiles(cls, where: str | None) -> str | None:
        if where is not None and where.strip():
            try:
                compile_where(parse(where))
            except QueryError as exc:
                raise ValueError(f"!{exc}") from exc
            return where
        return None


class Assemble(Table):
    """What becomes a row, and what is learned of it."""

    unit: Unit = Unit.CHAIN
    """`chain`: one conversation a row. `step`: one answer a row, with all that the model saw before it."""
    train: Train = Train.ALL
    """`all`: every selected answer of the conversation. `last`: its last answer only (always so with `step`)."""


class Filter(Table):
    """Which answers may be learned; each one that may not is counted with its reason."""

    finish: tuple[Word, ...] = ("stop", "tool_calls")
    """Finish reasons; `none` stands for an answer without one."""
    status: tuple[Status, ...] = (Status.OK,)
    """How the completion ended. With anything but `ok`, answers that were cut are learned as if they were whole."""


class Dedupe(Table):
    """Rows that say the same."""

    exact: StrictBool = True
    """Of rows with equal messages, tools and training marks, keep the first in log order."""


class Write(Table):
    """What is written."""

    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("openai-chat",)
    """Targets; `tailrace export formats` lists them."""
    shard_rows: Annotated[int, Field(ge=1)] | None = None
    """Most rows in a file; `train-00000.jsonl`, `train-00001.jsonl`, … instead of `train.jsonl`."""

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            if name not in FORMATS:
                raise ValueError(f"!unknown format {json.dumps(name)}; {_closest(name, list(FORMATS))}")
        if len(set(formats)) < len(formats):
            raise ValueError("!a format is named twice; name each once")
        return formats


class Recipe(Table):
    """The whole recipe."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "dataset"
    """The dataset's name, in its manifest."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Which rows fall into which split."""
    select: Select = Select()
    assemble: Assemble = Assemble()
    filter: Filter = Filter()
    dedupe: Dedupe = Dedupe()
    split: dict[SplitName, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=lambda: {"train": 1.0})
    """Names of splits and their shares, which add up to 1; their order matters to the assignment."""
    write: Write = Write()

    @field_validator("split")
    @classmethod
    def _whole(cls, split: dict[str, float]) -> dict[str, float]:
        if abs(sum(split.values()) - 1) > 1e-9:
            raise ValueError(f"!the shares add up to {sum(split.values()):.9g}; make them add up to 1")
        return split


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
        return f"unknown key; {_closest(str(path[-1]), _keys_at(path[:-1]))}"
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
        kind = model.model_fields[str(part)].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        model = kind
    return sorted(model.model_fields)


def _closest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known here are: {', '.join(known)}"


def _shown(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
