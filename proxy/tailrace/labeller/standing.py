"""Where a student stands, kept over restarts: one small file a version of a classifier, replaced whole.

The log has each step with its reason (`student`); this has what the next step is decided by.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from tailrace.classify.student.states import Standing
from tailrace.labeller.cursor import FOLDER


@dataclass(frozen=True, slots=True)
class Kept:
    """`since_seq`: labels filed up to there are of an earlier epoch. `shadow_until_seq`: the label after which the
    student went live; None while it is not. `seen_seq`: audits of answered turns up to there have been counted."""

    standing: Standing = field(default_factory=Standing)
    since_seq: int = 0
    shadow_until_seq: int | None = None
    seen_seq: int = 0
    next_labels: int = 0  # so many labels make the next look worth it


_ADAPTER: Final = TypeAdapter(Kept)


class StandingFile:
    """The file of one version of a classifier."""

    def __init__(self, data_dir: Path, name: str, version: str) -> None:
        self._path = data_dir / FOLDER / f"{name}-{version}-student.json"

    def read(self) -> Kept:
        """What was put last; a beginning where there is nothing, or nothing of ours."""
        try:
            return _ADAPTER.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return Kept()

    def put(self, kept: Kept) -> None:
        """Replaces it. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        made = self._path.with_suffix(f".{os.getpid()}.new")
        made.write_bytes(_ADAPTER.dump_json(kept))
        made.replace(self._path)


def begun_anew(kept: Kept, standing: Standing, newest_seq: int) -> Kept:
    """What is kept after a step to `standing`: another epoch looks at no audit of before."""
    if standing.epoch == kept.standing.epoch:
        return replace(kept, standing=standing)
    return Kept(standing, since_seq=newest_seq, seen_seq=newest_seq)
