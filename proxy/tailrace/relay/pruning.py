"""A request on its way to a target with templates: without the static text of its template, where it has one. Pure.

What is logged is what the client sent. Only chat requests are pruned, as only they become rows of an export.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tailrace.records import Endpoint
from tailrace.templates.match import Templates
from tailrace.templates.prune import prune
from tailrace.wire.retelling import retold


class Pruning(StrEnum):
    """What became of a request; a word of the metric."""

    PRUNED = "pruned"
    UNKNOWN = "unknown"  # no template fits: it goes as it came
    UNEDITABLE = "uneditable"  # one does, and the body holds what cannot be written anew: it goes as it came


@dataclass(frozen=True, slots=True)
class Shortened:
    """A request as the target gets it."""

    body: bytes
    parsed: dict[str, Any]
    outcome: Pruning
    template: str | None = None
    """The id of the template whose static text is left out."""


def shorten(endpoint: Endpoint, body: bytes, parsed: dict[str, Any], templates: Templates) -> Shortened:
    """The request `parsed`, which `body` is of, for a target with `templates`."""
    pruned = prune(parsed["messages"], templates) if endpoint is Endpoint.CHAT else None
    if pruned is None:
        return Shortened(body, parsed, Pruning.UNKNOWN)
    shorter = retold(body, parsed, pruned.messages, pruned.edits) if pruned.edits else body
    if shorter is None:
        return Shortened(body, parsed, Pruning.UNEDITABLE)
    return Shortened(shorter, parsed | {"messages": pruned.messages}, Pruning.PRUNED, pruned.template_id)
