"""JSON values against the schemas of a request: tools' parameters, answer formats. Pure.

A schema is data of a client, so nothing in it may cost more than it should: no reference leaves the schema, a pattern
has a bound on its steps, and nesting has one as well.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import jsonschema_rs
import orjson

from tailrace.records import Json

_KEPT_SCHEMAS: Final = 512
_BACKTRACKS: Final = 50_000
"""Steps that a pattern may take over one text: milliseconds. ECMA's look-arounds need an engine that backtracks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong."""

    pointer: str
    """JSON pointer to the part of the value; no further than the schema itself names keys."""
    schema: bool
    """Whether it is the schema that is wrong: it says nothing about the value."""


class Schemas:
    """Compiles each schema once; keeps the last 512."""

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, jsonschema_rs.Validator | None] = OrderedDict()

    def fault(self, value: Json, schema: Json) -> Fault | None:
        """Why `value` does not obey `schema` (the first reason in the schema's order), or None where it does.

        `value` nests no deeper than `orjson.loads` takes (1,024): at a hundred times that the validator would end the
        process.
        """
        key, validator = self._validator(schema)
        if validator is None:
            return Fault("", schema=True)
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as exc:
            if isinstance(exc.kind, _COSTLY):
                return Fault("", schema=True)
            return Fault(_pointer(exc.instance_path, key), schema=False)
        except ValueError:  # nested beyond what the validator takes
            return Fault("", schema=False)
        return None

    def _validator(self, schema: Json) -> "tuple[bytes, jsonschema_rs.Validator | None]":
        try:
            key = orjson.dumps(schema)
        except TypeError:  # orjson's own error is one
            return b"", None
        if key in self._made:
            self._made.move_to_end(key)
            return key, self._made[key]
        made = self._made[key] = _compiled(schema)
        if len(self._made) > _KEPT_SCHEMAS:
            self._made.popitem(last=False)
        return key, made


_COSTLY: Final = (
    jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded,
    jsonschema_rs.ValidationErrorKind.RegexEngineFailure,
)


def _compiled(schema: Json) -> "jsonschema_rs.Validator | None":
    """None where it is no schema: of a wrong shape, nested too deep, or pointing out of itself."""
    try:
        return jsonschema_rs.validator_for(
            schema,
            offline=True,
            validate_formats=False,  # an annotation since 2019-09, and vendors ignore most of them
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
        )
    except ValueError:  # ValidationError is one
        return None


def _pointer(path: list[str | int], schema: bytes) -> str:
    """`path` as far as its keys stand in the schema: others are the model's or the user's words, not for a ledger."""
    pointer = ""
    for part in path:
        if isinstance(part, str) and orjson.dumps(part) not in schema:
            break
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer
