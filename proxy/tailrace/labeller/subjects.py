"""From filed completions to what is classified of them: those that the classifier is for, with the user's new turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.applies import applies
from tailrace.classify.ready import Ready
from tailrace.classify.turn import Subject, subject_of
from tailrace.records import Endpoint, Json
from tailrace.settings_classifiers import Classifier
from tailrace.store import labels, read
from tailrace.store.read import Filed
from tailrace.store.rebuild import Rebuilder, readable
from tailrace.wire.endpoints import ENDPOINTS

_WIRES: Final = {str(endpoint): wire for endpoint, wire in ENDPOINTS.items() if endpoint is not Endpoint.EMBEDDINGS}

log = structlog.get_logger("tailrace.labeller")


@dataclass(frozen=True, slots=True)
class Item:
    """A completion whose user's new turn is to be labelled."""

    row: Filed
    subject: Subject

    @property
    def id(self) -> UUID:
        """The completion's."""
        return UUID(bytes=self.row.id)


def is_for(settings: Classifier, row: Filed) -> bool:
    """Whether the classifier is for this completion, as far as its row tells."""
    tags = orjson.loads(row.tags) if row.tags else None
    return row.endpoint in _WIRES and applies(
        settings.applies_to, endpoint=row.endpoint, model=row.model, step=row.step, project=row.project, tags=tags,
        origin=row.origin,
    )  # fmt: skip


async def items(rebuilder: Rebuilder, settings: Classifier, rows: Sequence[Filed]) -> list[Item]:
    """Those of `rows` that bring a turn for the classifier, in their order. `previous` is not filled in.

    A completion whose stored body is damaged brings none: it is told of, and holds up no other.
    """
    wanted = [row for row in rows if is_for(settings, row)]
    found = []
    for row, exchange in zip(wanted, await readable(rebuilder, wanted), strict=True):
        if exchange is None:
            log.warning("a damaged completion is not labelled", id=str(UUID(bytes=row.id)))
            continue
        subject = turn_of(settings, row, exchange.request)
        if subject is not None:
            found.append(Item(row, subject))
    return found


async def labels_before(connection: AsyncConnection, ready: Ready, rows: Sequence[Filed]) -> dict[int, str]:
    """The labels that count of the parents of `rows`, by the parent's `seq`, where the context asks for them."""
    if not ready.settings.context.previous_label:
        return {}
    names = await read.names(connection, {row.parent for row in rows if row.parent is not None})
    counting = await labels.counting(connection, [id_.bytes for id_ in names.values()])
    known = {seq: counting.get(id_.bytes, {}).get(ready.name) for seq, id_ in names.items()}
    return {seq: label.label for seq, label in known.items() if label is not None and isinstance(label.label, str)}


def turn_of(settings: Classifier, row: Filed, request: Json | None) -> Subject | None:
    """What the classifier looks at in a completion's request; None where it brings no such turn, or is not kept."""
    if not isinstance(request, dict) or row.endpoint not in _WIRES:
        return None
    return subject_of(request, _WIRES[row.endpoint], settings.context, role=settings.applies_to.role)
