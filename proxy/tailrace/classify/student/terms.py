"""The terms of a student's promise: which chains judge it, and when it is trained and looked at. Pure.

    chain, drawn ─┬─ within audit_share ──▶ judges: the model is asked about one turn once more, after the answer
                  ├─ within SHADOW_SHARE ─▶ judges if it began while the model labelled every turn anyway, at no cost
                  └─ else ────────────────▶ teaches

The labeller goes by them, and the streams by which the promise was measured (`make test-guarantee`) do too.
"""

from math import ceil
from typing import Final

from tailrace.classify.student.guarantee import Promise

SHADOW_SHARE: Final = 0.6
"""Of the chains, those that judge while the student is in shadow. Proof is scarcer than lessons: with half of them it
takes longer until the first student answers, and the model is asked that much more."""
FEWEST: Final = 200
"""Labels to train on before it is worth a look."""
GROWTH: Final = 1.3
"""So many times as many labels make another look: α is divided between the looks, so they must be few."""
_FIRST: Final = 1.7


def labels_needed(at_last_look: int) -> int:
    """Labels to train on that make the next look worth it. `at_last_look`: how many there were; 0: there was none."""
    return max(int(at_last_look * GROWTH), FEWEST)


def judges_needed(promise: Promise, looks: int) -> int:
    """Judged turns without which a look after `looks` others would spend its share of α in vain.

    The first, and largest, share is worth more: it waits until the surest three fifths of the judged could prove it.
    """
    return ceil(promise.n_min(looks + 1) * (1 if looks else _FIRST))


def judging_share(audit_share: float, *, in_shadow: bool) -> float:
    """The share of the chains that judge, of those that began while the student was in shadow, or later.

    Audits of a larger share than SHADOW_SHARE judge rules, but no student: some chains must teach.
    """
    return SHADOW_SHARE if in_shadow else min(audit_share, SHADOW_SHARE)
