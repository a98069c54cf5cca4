"""What every table of the settings is made of: the base model, and the kinds of values that several tables use."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

_UNITS: Final = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(value: object) -> object:
    """Bytes from "512 KiB", "20 GiB", "100MB" or a plain number; other values are left for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError('a size such as 1048576, "512 KiB" or "20 GiB"')
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_folder(value: object) -> object:
    """A folder's path; an empty one would be the folder that the command happens to be called in."""
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError('a folder such as "data" or "/var/lib/tailrace"')
    return value


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Usd = Annotated[float, Field(ge=0)]


class Table(BaseModel):
    """A TOML table: frozen, and a key that is not a setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def keys_of(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of a table by the key a user types, which may be a word that Python keeps for itself (`from`)."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}
