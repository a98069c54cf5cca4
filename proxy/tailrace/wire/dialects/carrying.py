"""The fields of a request on their way into another dialect: each is carried, dropped for a stated reason, or refused
by name. Nothing is lost silently.

Owns: that rule, and the wording of the refusal. Which field goes which way stands in the table of each translation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused
from tailrace.records import Json
from tailrace.wire.told import PRIVATE_FIELDS

_TOLD: Final = PRIVATE_FIELDS | {"session_id"}
"""Fields that are told to us and to other gateways. A provider of another dialect knows none of them."""

Carry = Callable[[dict[str, Any], dict[str, Any]], None]
"""Takes the client's request and the provider's in the making. Called where the field is there and not null."""


def cannot(path: str, why: str) -> Refused:
    """The refusal of the field at `path` of the client's request."""
    return Refused(Code.CANNOT_TRANSLATE, f"`{path}` cannot be carried to this provider: {why}.", status=400)


def copied(name: str, into: str | None = None) -> Carry:
    """Carries the field `name` as it is, under the name `into`."""
    target = into or name

    def carry(asked: dict[str, Any], request: dict[str, Any]) -> None:
        request[target] = asked[name]

    return carry


def with_another(_asked: dict[str, Any], _request: dict[str, Any]) -> None:
    """Carries a field that goes along with another one."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What becomes of each top-level field. Null is as good as absent everywhere."""

    carried: Mapping[str, Carry]
    dropped: Mapping[str, str]
    """With the reason why the answer is none the worse for it."""
    refused: Mapping[str, tuple[Json, ...]]
    """With the values that ask for nothing, and so may pass. A field in no table is refused as well."""

    def carry(self, asked: dict[str, Any], request: dict[str, Any]) -> None:
        """Fills `request` from `asked`. Raises Refused."""
        for name, value in asked.items():
            if value is None or name in self.dropped or name in _TOLD:
                continue
            carry = self.carried.get(name)
            if carry is not None:
                carry(asked, request)
            elif not any(value == neutral for neutral in self.refused.get(name, ())):
                raise cannot(name, "its dialect has no such field")


def only(holder: dict[str, Any], path: str, known: frozenset[str]) -> None:
    """Raises Refused where `holder`, an object inside the request, says something that is not `known`."""
    for name, value in holder.items():
        if name not in known and value is not None:
            raise cannot(f"{path}.{name}", "its dialect has no such field")


def an_object(value: Json, path: str) -> dict[str, Any]:
    """`value`, which must be an object. Raises Refused."""
    if not isinstance(value, dict):
        raise cannot(path, "it is no object")
    return value


def an_array(value: Json, path: str) -> list[Json]:
    """`value`, which must be an array. Raises Refused."""
    if not isinstance(value, list):
        raise cannot(path, "it is no array")
    return value


def a_string(value: Json, path: str) -> str:
    """`value`, which must be a string. Raises Refused."""
    if not isinstance(value, str):
        raise cannot(path, "it is no string")
    return value


def written(request: dict[str, Any]) -> bytes:
    """The provider's request as bytes. Raises Refused where it is nested deeper than orjson writes (254)."""
    try:
        return orjson.dumps(request)
    except TypeError as exc:
        message = "The request is nested too deep to be carried to a provider of another dialect."
        raise Refused(Code.CANNOT_TRANSLATE, message, status=400) from exc
