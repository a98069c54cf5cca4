"""Where a student stands, kept over restarts.

The log has each step with its reason (`student`); this has what the next step is decided by.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from tailrace.classify.kept import KeptFile
from tailrace.classify.ready import Ready
from tailrace.classify.student.states import Standing


@dataclass(frozen=True, slots=True)
class Kept:
    """`since_seq`: labels filed up to there are of an earlier epoch. `shadow_until_seq`: the label after which the
    student went live; None while it is not. `seen_seq`: audits of answered turns up to there have been counted."""

    standing: Standing = field(default_factory=Standing)
    since_seq: int = 0
    shadow_until_seq: int | None = None
    seen_seq: int = 0
    labels_at_last_look: int = 0  # 0: there was none


def standing_file(data_dir: Path, ready: Ready) -> KeptFile[Kept]:
    """The file of one version of a classifier."""
    return KeptFile(data_dir, f"{ready.name}-{ready.version}-student", Kept, Kept())


def begun_anew(kept: Kept, standing: Standing, newest_seq: int) -> Kept:
    """What is kept after a step to `standing`: another epoch looks at no audit of before, another target at all."""
    if standing.epoch == kept.standing.epoch:
        is_asked_anew = standing.target != kept.standing.target
        return replace(kept, standing=standing, labels_at_last_look=0 if is_asked_anew else kept.labels_at_last_look)
    return Kept(standing, since_seq=newest_seq, seen_seq=newest_seq)
