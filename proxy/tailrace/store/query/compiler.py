"""The syntax tree to a SQL condition. Every value becomes a bound parameter; no text of a query becomes SQL.

The condition reads the columns of `completion`, and of `chain` where a field of the chain is asked for: a statement
that uses it joins the two, as those of `store/read.py` do. What stands beside a completion (labels, actions, feedback)
it looks up itself.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_

from tailrace.errors import QueryError
from tailrace.store.query.beside import Marks
from tailrace.store.query.fields import Field, Kind, find, missing
from tailrace.store.query.syntax import (
    Ago,
    And,
    Compare,
    Expr,
    IdSpan,
    In,
    IsNull,
    Lasting,
    Like,
    Moment,
    Not,
    Op,
    Or,
    Value,
    Word,
)

Condition = ColumnElement[bool]
Bound = str | int | float | bool | bytes

_S: Final = 10**6


def compile_where(expr: Expr, *, now_us: int | None = None, marks: Marks | None = None) -> Condition:
    """The condition that holds for the completions that `expr` means; true or false for each, never NULL under NOT.

    `now_us` is the time that `-1h` counts from (microseconds since 1970); without it such a time is an error, because
    what is built from it could not be built again. With `marks` what stands beside a completion is read as of then.

    Raises:
        QueryError: a relative time without `now_us`, or a tree that names no field of ours.
    """
    return _Compiler(now_us, marks).condition(expr, negated=False)


class _Compiler:
    def __init__(self, now_us: int | None, marks: Marks | None) -> None:
        self._now_us = now_us
        self._marks = marks

    def condition(self, expr: Expr, *, negated: bool) -> Condition:
        """`expr`, or its opposite: NOT sinks to the terms, where what an unknown value means is decided."""
        match expr:
            case Not():
                return self.condition(expr.part, negated=not negated)
            case And() | Or():
                join = and_ if isinstance(expr, And) is not negated else or_
                return join(*(self.condition(part, negated=negated) for part in expr.parts))
        field = _field(expr.field)
        if field.among is not None:
            wanted = field.column.is_not(None) if isinstance(expr, IsNull) else self._term(field, expr)
            found = field.among.any(wanted, self._marks)
            return not_(found) if negated is not isinstance(expr, IsNull) else found
        if isinstance(expr, IsNull):
            return field.column.is_not(None) if negated else field.column.is_(None)
        term = self._term(field, expr)
        if not negated:
            return term
        return or_(field.column.is_(None), not_(term)) if field.nullable else not_(term)

    def _term(self, field: Field, term: Compare | In | Like) -> Condition:
        match term:
            case Compare():
                return self._compare(field, term.op, term.value)
            case Like():
                return field.column.ilike(term.pattern, escape="\\")
            case In():
                return self._in(field, term.values)

    def _in(self, field: Field, values: tuple[Value, ...]) -> Condition:
        spans = [value for value in values if isinstance(value, IdSpan)]
        if spans:
            return or_(*(_within(field, span) for span in spans))
        if field.kind is Kind.LABEL:
            return or_(*(_has_line(field, self._bound(value)) for value in values))
        return field.column.in_([self._bound(value) for value in values])

    def _compare(self, field: Field, op: Op, value: Value) -> Condition:
        if isinstance(value, IdSpan) and op is Op.EQ:
            return _within(field, value)
        if isinstance(value, IdSpan):
            return _ordered(field, op, value.low if op in (Op.LT, Op.GE) else value.high)
        bound = self._bound(value)
        if isinstance(bound, bool):
            return field.column.is_(bound)
        if field.kind is Kind.LABEL and op is Op.EQ:
            return _has_line(field, bound)
        return field.column == bound if op is Op.EQ else _ordered(field, op, bound)

    def _bound(self, value: Value) -> Bound:
        match value:
            case Word():
                return value.text
            case Lasting() | Moment():
                return value.us
            case Ago():
                if self._now_us is None:
                    raise QueryError(
                        f"-{value.seconds}s counts from now, and this must mean the same tomorrow: write a date"
                    )
                return self._now_us - value.seconds * _S
            case IdSpan():
                return value.low
        return value


def _field(name: str) -> Field:
    field = find(name)
    if field is None:
        raise QueryError(f"unknown field {name!r}: {missing(name)}")
    return field


def _within(field: Field, span: IdSpan) -> Condition:
    if span.low == span.high:
        return field.column == span.low
    return field.column.between(span.low, span.high)


def _has_line(field: Field, bound: Bound) -> Condition:
    """One of the column's lines is `bound`: of one line it is all of it."""
    line = literal("\n")
    lines: ColumnElement[str] = line.concat(field.column).concat("\n")
    return func.instr(lines, line.concat(bound).concat("\n")) > 0


def _ordered(field: Field, op: Op, bound: Bound) -> Condition:
    match op:
        case Op.LT:
            return field.column < bound
        case Op.LE:
            return field.column <= bound
        case Op.GT:
            return field.column > bound
    return field.column >= bound
