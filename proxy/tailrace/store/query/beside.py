"""What stands beside a completion in tables of its own: labels, actions, feedback. Owns which rows of them count.

- Of a classifier's labels on a completion one counts: a person's newest, else the newest live one.
- Of an action's rows the newest counts; a completion may have several actions.
- All feedback on a completion counts.

Each of these tables is only added to, in the order of its `seq`. So what counted when an export was made is found again
by leaving out what was filed later (`Marks`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Table, exists, literal, select
from sqlmodel import SQLModel

from tailrace.store import tables as _tables  # noqa: F401  (importing it fills the metadata)

_COMPLETION: Final = SQLModel.metadata.tables["completion"]
_LABEL: Final = SQLModel.metadata.tables["label"]
_ACTION: Final = SQLModel.metadata.tables["action"]
_FEEDBACK: Final = SQLModel.metadata.tables["feedback"]

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Marks:
    """How much of the log counts: the last `seq` of each table that a query reads."""

    completions: int
    labels: int = 0
    actions: int = 0
    feedback: int = 0


@dataclass(frozen=True, slots=True)
class Among:
    """The rows of `table` that stand beside a completion and count, as of some marks."""

    table: Table = field(repr=False)
    counting: Callable[[Marks | None], Condition]

    def any(self, wanted: Condition, marks: Marks | None) -> Condition:
        """One of them is as `wanted`: a condition on a completion, true or false, never NULL."""
        row = select(literal(1)).select_from(self.table).where(self.counting(marks), wanted)
        return exists(row.correlate(_COMPLETION))


def labels(classifier: str, *, of_next: bool = False) -> Among:
    """The label of `classifier` that counts, on the completion itself or on the one that follows it.

    What follows is the first to continue it, made on behalf of the same (`origin`): the user's answer to this answer.
    """

    def counting(marks: Marks | None) -> Condition:
        label = _LABEL.alias("other_label")
        of = _next_id(marks) if of_next else _COMPLETION.c.id
        conditions = [label.c.completion == of, label.c.classifier == classifier, label.c.rank > 0]
        if marks is not None:
            conditions.append(label.c.seq <= marks.labels)
        newest = select(label.c.seq).where(*conditions).correlate(_COMPLETION)
        return _LABEL.c.seq == newest.order_by(label.c.rank.desc(), label.c.seq.desc()).limit(1).scalar_subquery()

    return Among(_LABEL, counting)


def _next_id(marks: Marks | None) -> ColumnElement[bytes]:
    other, own = _COMPLETION.alias("following"), _COMPLETION.c
    # Through the chain, which has an index; the parent has none.
    conditions = [other.c.chain == own.chain, other.c.parent == own.seq, other.c.origin == own.origin]
    if marks is not None:
        conditions.append(other.c.seq <= marks.completions)
    first = select(other.c.id).where(*conditions).order_by(other.c.seq).limit(1)
    return first.correlate(_COMPLETION).scalar_subquery()


def _actions(marks: Marks | None) -> Condition:
    later = _ACTION.alias("later")
    same = [later.c.completion == _ACTION.c.completion, later.c.key == _ACTION.c.key, later.c.seq > _ACTION.c.seq]
    conditions = [_ACTION.c.completion == _COMPLETION.c.id]
    if marks is not None:
        same.append(later.c.seq <= marks.actions)
        conditions.append(_ACTION.c.seq <= marks.actions)
    newer = select(literal(1)).select_from(later).where(*same).correlate(_ACTION)
    return _all(*conditions, ~exists(newer))


def _feedback(marks: Marks | None) -> Condition:
    of = _FEEDBACK.c.completion == _COMPLETION.c.seq
    return of if marks is None else _all(of, _FEEDBACK.c.seq <= marks.feedback)


def _all(first: Condition, *others: Condition) -> Condition:
    for other in others:
        first &= other
    return first


ACTION: Final = Among(_ACTION, _actions)
FEEDBACK: Final = Among(_FEEDBACK, _feedback)
