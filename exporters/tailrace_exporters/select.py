"""Which completions a recipe means, as of a watermark: its `[select]` as a condition on the store's columns.

What a query may ask of a completion can change after it was filed: completions follow it, its chain grows, a parent is
filed late. Such columns are replaced by what they were at the watermark, so that the query means the same rows
whenever it is run again. Labels, actions and feedback that were filed since are left out.
"""

from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, case, func, null, select
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.visitors import replacement_traverse

from tailrace.records import Relation
from tailrace.store.query import Marks, parse
from tailrace.store.query.fields import CHAIN, COMPLETION, find
from tailrace.store.read import Selection, narrowed
from tailrace_exporters.recipe_tables import Select

T = TypeVar("T")


def selection(recipe: Select, marks: Marks) -> Selection:
    """The selection of `recipe` in the log up to and including `marks`."""
    chosen = Selection(since_us=recipe.since, until_us=recipe.until, up_to_seq=marks.completions)
    if recipe.where is None:
        return chosen
    chosen = narrowed(chosen, parse(recipe.where), marks=marks)
    assert chosen.where is not None
    return replace(chosen, where=as_of(chosen.where, marks.completions))


def value(name: str, marks: Marks) -> ColumnElement[Any]:
    """The field `name`, which is of a completion or of its labels, as it was at `marks`."""
    field = find(name)
    assert field is not None
    if field.among is None:
        return as_of(field.column, marks.completions)
    counting = select(field.column).where(field.among.counting(marks)).correlate(COMPLETION)
    return as_of(counting.scalar_subquery(), marks.completions)


def as_of(condition: ColumnElement[T], watermark: int) -> ColumnElement[T]:
    """`condition`, or a value, with what can change about a filed completion read as it was at `watermark`."""
    then = _then(watermark)

    def replaced(element: Any, **_: Any) -> Any:
        return then.get(element) if isinstance(element, ColumnClause) else None

    return replacement_traverse(condition, {}, replaced)


def _then(watermark: int) -> dict[Any, ColumnElement[Any]]:
    """Each column that can change, and what it was."""
    own, other = COMPLETION.c, COMPLETION.alias("other")
    chain = (other.c.chain == own.chain, other.c.seq <= watermark)
    late = own.parent > watermark
    return {
        CHAIN.c.steps: _of_others(func.max(other.c.step), chain),
        CHAIN.c.completions: _of_others(func.count(), chain),
        # Through the chain, which has an index; the parent has none.
        own.children: _of_others(func.count(), (*chain, other.c.parent == own.seq)),
        own.relation: case((late, Relation.START.value), else_=own.relation),
        own.link_kind: case((late, null()), else_=own.link_kind),
    }


def _of_others(value: ColumnElement[Any], conditions: tuple[ColumnElement[bool], ...]) -> ColumnElement[Any]:
    return select(value).where(*conditions).correlate(COMPLETION).scalar_subquery()
