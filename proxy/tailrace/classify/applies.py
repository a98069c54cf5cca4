"""Which calls a classifier is for. Pure."""

import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tailrace.records import Origin
from tailrace.settings_classifiers import AppliesTo

_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        "==": operator.eq,
        "=": operator.eq,
        "": operator.eq,
        "!=": operator.ne,
        ">": operator.gt,
        "<": operator.lt,
    }
)


def applies(
    to: AppliesTo,
    *,
    endpoint: str,
    model: str,
    step: int,
    project: str,
    tags: Mapping[str, str] | None = None,
    origin: str = Origin.APP,
) -> bool:
    """Whether a call is one of those that `to` names. The calls of Tailrace's own never are."""
    return (
        origin == Origin.APP
        and (not to.endpoints or endpoint in to.endpoints)
        and (not to.models or model in to.models)
        and (not to.projects or project in to.projects)
        and all((tags or {}).get(name) == value for name, value in to.tags.items())
        and (to.step is None or compares(step, to.step))
    )


def compares(step: int, wanted: str) -> bool:
    """Whether `step` is as `wanted` says: `>=2`, `3`."""
    match = re.fullmatch(r"\s*([<>=!]*)\s*(\d+)\s*", wanted)
    return match is not None and match[1] in _COMPARE and _COMPARE[match[1]](step, int(match[2]))
