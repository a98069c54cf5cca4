"""What a replay will ask, and what that will cost. Pure, but for the reading of the store."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands.speech import dumped
from tailrace.records import CACHE, Endpoint, Json, Origin, Status, Usage, UsageSource
from tailrace.store import read
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Filed, Selection
from tailrace.store.rebuild import Rebuilder
from tailrace.wire.endpoints import ENDPOINTS

_BATCH: Final = 200
_PATHS: Final = {str(endpoint): wire.path for endpoint, wire in ENDPOINTS.items()}
_SOURCES: Final[BindParameter[list[bytes]]] = bindparam("sources", expanding=True)
_DONE: Final = select(COMPLETION.c.source).where(
    COMPLETION.c.source.in_(_SOURCES),
    COMPLETION.c.origin == Origin.REPLAY.value,
    COMPLETION.c.model == bindparam("model_"),
    COMPLETION.c.status == Status.OK.value,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One logged request, to be asked again."""

    source: UUID
    path: str  # behind `/v1`
    body: bytes
    input_tokens: int
    output_tokens: int

    @property
    def usage(self) -> Usage:
        """What it will use, if the other model is as wordy."""
        return Usage(UsageSource.ESTIMATED, self.input_tokens, self.output_tokens)


@dataclass(slots=True)
class Skipped:
    """What is not asked again, by reason."""

    done: int = 0  # this model has answered it
    other: int = 0  # no request that can be sent: of another kind, not logged, or given again from a cache
    reasons: dict[str, int] = field(default_factory=dict)

    def because(self, reason: str) -> None:
        """One more."""
        self.other += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


async def items(
    connection: AsyncConnection, selection: Selection, model: str, skipped: Skipped
) -> AsyncIterator[Sequence[Item]]:
    """The requests that `selection` means and `model` has not answered yet, in batches, oldest first."""
    bodies = Rebuilder(connection)
    async for rows in read.rows(connection, selection, batch_rows=_BATCH):
        done = set((await connection.execute(_DONE, {"sources": [row.id for row in rows], "model_": model})).scalars())
        skipped.done += sum(row.id in done for row in rows)
        wanted = [row for row in rows if row.id not in done and _can_be_asked(row, skipped)]
        exchanges = await bodies.exchanges(wanted)
        found = [
            _item(row, exchange.request, model)
            for row, exchange in zip(wanted, exchanges, strict=True)
            if _is_whole(exchange.request, exchange.request_raw, skipped)
        ]
        if found:
            yield found


def _can_be_asked(row: Filed, skipped: Skipped) -> bool:
    reason = None
    if row.endpoint not in _PATHS or row.endpoint == Endpoint.OTHER:
        reason = f"endpoint {row.endpoint}"
    elif row.omits is not None:
        reason = "not logged by the client's wish"
    elif row.provider == CACHE:
        reason = "an answer given again"
    if reason is not None:
        skipped.because(reason)
    return reason is None


def _is_whole(request: Json, raw: bytes | None, skipped: Skipped) -> bool:
    if raw is None and isinstance(request, dict):
        return True
    skipped.because("not exactly rebuilt")
    return False


def _item(row: Filed, request: Json, model: str) -> Item:
    body = dumped({**request, "model": model})
    return Item(
        source=UUID(bytes=row.id),
        path=_PATHS[row.endpoint],
        body=body,
        input_tokens=row.input_tokens or len(body) // 4,
        output_tokens=row.output_tokens or 0,
    )


def tokens(some: Iterable[Item]) -> tuple[int, int]:
    """Input and output tokens of all of them."""
    listed = list(some)
    return sum(item.input_tokens for item in listed), sum(item.output_tokens for item in listed)
