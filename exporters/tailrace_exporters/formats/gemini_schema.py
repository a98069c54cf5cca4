"""A tool's JSON Schema in the words that Gemini has for it: a subset of OpenAPI 3.0's. Pure.

Types are written in capitals, "or null" is `nullable`. What Gemini has no word for is left out by rule where it only
narrows or explains; what would change the meaning (references, alternatives of other kinds) is refused.
"""

from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import UnfitError

NARROWED: Final = "schema_keys_omitted"
UNFIT: Final = "schema_unfit"
TYPES: Final = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
TEXTS: Final = ("title", "description", "format", "pattern")
COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
NUMBERS: Final = ("minimum", "maximum")
LISTS: Final = ("required", "enum", "propertyOrdering")
KEYS: Final = (*TEXTS, *COUNTS, *NUMBERS, *LISTS, "type", "nullable", "default", "items", "properties", "anyOf")
_MEANING: Final = ("$ref", "oneOf", "allOf", "not", "const", "if", "prefixItems", "patternProperties")
_DEEPEST: Final = 32
"""Schemas within schemas; the reference of Gemini's API says 32 for properties."""


def gemini_schema(schema: Json, pointer: str, rules: set[str], depth: int = 0) -> dict[str, Json]:
    """`schema`, which stands at `pointer`; adds to `rules` if a part of it was left out.

    Raises:
        UnfitError: a part has no counterpart.
    """
    if type(schema) is not dict or depth > _DEEPEST:
        raise UnfitError(UNFIT, pointer)
    found: dict[str, Json] = {}
    for key, value in schema.items():
        at = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key in _MEANING or not _fits(key, value):
            raise UnfitError(UNFIT, at)
        if key not in KEYS:
            rules.add(NARROWED)
        elif key == "type":
            found |= _type(value, at)
        elif key == "items":
            found[key] = gemini_schema(value, at, rules, depth + 1)
        elif key == "properties":
            found[key] = {name: gemini_schema(of, f"{at}/{name}", rules, depth + 1) for name, of in value.items()}
        elif key == "anyOf":
            found[key] = [gemini_schema(of, f"{at}/{n}", rules, depth + 1) for n, of in enumerate(value)]
        else:
            found[key] = value
    return found


def faults(schema: Json, pointer: str, depth: int = 0) -> list[str]:
    """Pointers to what is no Gemini schema, in one that stands at `pointer`."""
    if type(schema) is not dict or depth > _DEEPEST:
        return [pointer]
    found: list[str] = []
    for key, value in schema.items():
        at = f"{pointer}/{key}"
        if key not in KEYS or not _fits(key, value) or (key == "type" and value not in TYPES):
            found.append(at)
        elif key == "items":
            found += faults(value, at, depth + 1)
        elif key == "properties":
            found += (each for name, of in value.items() for each in faults(of, f"{at}/{name}", depth + 1))
        elif key == "anyOf":
            found += (each for n, of in enumerate(value) for each in faults(of, f"{at}/{n}", depth + 1))
    return found


def _fits(key: str, value: Json) -> bool:
    if key in TEXTS:
        return type(value) is str
    if key in COUNTS:
        return type(value) is int
    if key in NUMBERS:
        return type(value) in (int, float)
    if key in LISTS:
        return type(value) is list and all(type(each) is str for each in value)
    kinds: dict[str, tuple[type, ...]] = {
        "nullable": (bool,),
        "items": (dict,),
        "properties": (dict,),
        "anyOf": (list,),
        "type": (str, list),
    }
    return key not in kinds or type(value) in kinds[key]


def _type(value: Json, pointer: str) -> dict[str, Json]:
    names = [value] if type(value) is str else value
    if not all(type(name) is str and name.upper() in TYPES for name in names):
        raise UnfitError(UNFIT, pointer)
    others = [name.upper() for name in names if name.upper() != "NULL"]
    if len(others) > 1 or not names:
        raise UnfitError(UNFIT, pointer)
    found: dict[str, Json] = {"type": others[0] if others else "NULL"}
    if others and len(names) > 1:
        found["nullable"] = True
    return found
