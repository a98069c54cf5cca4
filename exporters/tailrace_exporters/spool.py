"""Rows on disk, for a stage that must see all before it lets any go: a temporary file without a name, read in order.

Only this process can reach the file, and it is gone with it; so what is read back is what was written here.
"""

import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Final
from weakref import finalize

from tailrace.errors import WorkFailed
from tailrace_exporters.rows import Completion, Placed


@dataclass(frozen=True, slots=True)
class _Noted:
    """What stages and formats read of a completion; an engine's own rows may hold on to far more."""

    seq: int
    id: bytes
    endpoint: str
    omits: str | None
    provider: str
    model: str
    served_model: str | None
    status: str
    finish_reason: str | None
    link_answer: bytes | None
    input_tokens: int | None
    output_tokens: int | None
    usage_source: str
    cost_usd: float | None
    started_us: int
    tags: str | None


_facts: Final = attrgetter(*(field.name for field in fields(_Noted)))


class Spool:
    """Takes rows, and gives them back in the order in which they came, any number of times."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        finalize(self, self._file.close)  # a run that fails, or is left early, tells no stage that it is over
        self._count = 0

    def add(self, placed: Placed) -> None:
        """One more row.

        Raises:
            WorkFailed: the disk failed or is full.
        """
        try:
            pickle.dump(_noted(placed), self._file, protocol=5)
        except OSError as exc:
            raise _failed(exc) from exc
        self._count += 1

    def __iter__(self) -> Iterator[Placed]:
        """The rows.

        Raises:
            WorkFailed: the disk failed or is full.
        """
        try:
            self._file.seek(0)
            for _ in range(self._count):
                yield pickle.load(self._file)  # noqa: S301 - see above: nobody else can have written it
        except OSError as exc:
            raise _failed(exc) from exc


def _failed(exc: OSError) -> WorkFailed:
    return WorkFailed(
        f"{tempfile.gettempdir()}: the rows that wait there cannot be kept ({exc.strerror}); "
        "free space, or set TMPDIR to a folder on another disk"
    )


def _noted(placed: Placed) -> Placed:
    row, known = placed.row, dict[int, Completion]()

    def all_of(completions: tuple[Completion, ...]) -> tuple[Completion, ...]:
        return tuple(known.get(each.seq) or known.setdefault(each.seq, _Noted(*_facts(each))) for each in completions)

    judgement = row.judgement and replace(row.judgement, rejected_by=all_of(row.judgement.rejected_by))
    noted = replace(
        row, head=all_of((row.head,))[0], learned=all_of(row.learned), context=all_of(row.context), judgement=judgement
    )
    return replace(placed, row=noted)
