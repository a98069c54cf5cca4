"""What the settings' own shape says about a key path: its meaning, its kind, what a mistyped name was meant to be."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from tailrace.records import Json
from tailrace.settings import Settings
from tailrace.settings_source import KeyPath
from tailrace.settings_table import keys_of

_SECRET: Final = ("api_key", "headers", "proxy", "secret")
_LONGEST: Final = 60
_EXPECTED: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "string_too_short": "at least {min_length} character",
    "path_type": "a path in quotes",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "an array",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "too_short": "at least {min_length} entry",
    "string_too_long": "at most {max_length} characters",
}


def expected(kind: str, context: Mapping[str, Json]) -> str | None:
    """What pydantic's error `kind` says was expected, in a user's words; None where it must say so itself."""
    words = _EXPECTED.get(kind)
    return None if words is None else words.format(**context)


def meaning(path: KeyPath) -> str:
    """The docstring of the setting at `path`; empty for an entry of a user's own table."""
    owner = _kind(path[:-1])
    field = keys_of(owner).get(str(path[-1])) if _is_model(owner) else None
    return (field.description or "").replace("\n", " ") if field else ""


def takes_text(path: KeyPath) -> bool:
    """Whether the setting at `path` is text, so that a variable's text is its value and no JSON."""
    kind = _kind(path)
    return kind in {str, Path, SecretStr} or origin(kind) is Literal


def suggestion(path: KeyPath) -> str:
    """What to do about the unknown key at the end of `path`."""
    name = str(path[-1])
    owner = _kind(path[:-1])
    known = sorted(keys_of(owner)) if _is_model(owner) else []
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    homes = [table for table, key in leaves() if key == name]
    if homes:
        return f"it belongs in [{homes[0]}]"
    return f"known here are: {', '.join(known)}"


def describe(path: KeyPath, value: Json) -> str:
    """A found value in words; of a secret only its kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if any(name in path for name in _SECRET):
        return "text" if isinstance(value, str) else "a number or a truth value"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def leaves() -> Iterator[tuple[str, str]]:
    """Each setting of the fixed tables as (table, key)."""
    for table, field in Settings.model_fields.items():
        kind: Json = field.annotation
        if _is_model(kind):
            yield from ((table, key) for key in kind.model_fields)


def _kind(path: KeyPath) -> Json:
    """The type at `path`, without `Annotated` and `| None`; None where the settings have no such place."""
    kind: Json = Settings
    for part in path:
        if _is_model(kind):
            field = keys_of(kind).get(str(part))
            kind = field.annotation if field else None
        elif origin(kind) in {dict, tuple}:
            kind = get_args(kind)[1 if origin(kind) is dict else 0]
        else:
            return None
        kind = bare(kind)
    return kind


def bare(kind: Json) -> Json:
    """A type without `Annotated` and `| None`."""
    while origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if origin(kind) in {Union, UnionType}:
        (kind,) = (arg for arg in get_args(kind) if arg is not NoneType)
    return kind


def origin(kind: Json) -> object:
    """`typing.get_origin` of a type that came in as data."""
    return get_origin(kind)


def _is_model(kind: Json) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
