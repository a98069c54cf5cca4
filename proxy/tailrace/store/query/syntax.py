"""The syntax tree of a `where` expression, and its canonical text. Values are of their field's kind already.

`!=`, NOT IN, NOT LIKE, IS NOT NULL and BETWEEN are no nodes of their own: under two-valued logic each is exactly a
NOT or an AND of those that are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Op(StrEnum):
    """Comparisons."""

    EQ = "="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a closed list (`status = ok`)."""

    text: str


@dataclass(frozen=True, slots=True)
class Lasting:
    """A duration."""

    us: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, in microseconds since 1970."""

    us: int


@dataclass(frozen=True, slots=True)
class Ago:
    """A time relative to the moment the query runs."""

    seconds: int


@dataclass(frozen=True, slots=True)
class IdSpan:
    """All ids from `low` to `high`: one id, or those that begin with the digits that were written (`digits`)."""

    digits: str  # hexadecimal, without dashes

    @property
    def low(self) -> bytes:
        """The first id of the span."""
        return bytes.fromhex(self.digits.ljust(32, "0"))

    @property
    def high(self) -> bytes:
        """The last."""
        return bytes.fromhex(self.digits.ljust(32, "f"))


Value = str | int | float | bool | Word | Lasting | Moment | Ago | IdSpan


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`."""

    field: str
    op: Op
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """`field IN (values)`; at least one."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """`field LIKE pattern`: `%` is any text, `_` any character, `\\` makes the next one of these ordinary."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """`field IS NULL`: the value is unknown or absent."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """`NOT part`."""

    part: "Expr"


@dataclass(frozen=True, slots=True)
class And:
    """All parts; at least two, none of them an And."""

    parts: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Any part; at least two, none of them an Or."""

    parts: "tuple[Expr, ...]"


Expr = Compare | In | Like | IsNull | Not | And | Or


def both(parts: list[Expr]) -> Expr:
    """The conjunction of `parts` without nesting; of one part, the part."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    return And(tuple(flat)) if len(flat) > 1 else flat[0]


def either(parts: list[Expr]) -> Expr:
    """The disjunction of `parts` without nesting; of one part, the part."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return Or(tuple(flat)) if len(flat) > 1 else flat[0]


def fields_of(expr: Expr) -> frozenset[str]:
    """The names of all fields that `expr` asks for."""
    return frozenset(_fields(expr))


def _fields(expr: Expr) -> Iterator[str]:
    if isinstance(expr, And | Or):
        for part in expr.parts:
            yield from _fields(part)
    elif isinstance(expr, Not):
        yield from _fields(expr.part)
    else:
        yield expr.field


def render(expr: Expr) -> str:
    """The canonical text of `expr`: parsing it gives `expr` again, however the text it came from was written."""
    if isinstance(expr, Not):
        return _render_not(expr.part)
    if isinstance(expr, And | Or):
        return (" AND " if isinstance(expr, And) else " OR ").join(_inner(part) for part in expr.parts)
    return _render_term(expr, negated=False)


def _inner(part: Expr) -> str:
    return f"({render(part)})" if isinstance(part, And | Or) else render(part)


def _render_not(part: Expr) -> str:
    if isinstance(part, Not | And | Or) or (isinstance(part, Compare) and part.op is not Op.EQ):
        return f"NOT {_inner(part)}"
    return _render_term(part, negated=True)


def _render_term(term: Compare | In | Like | IsNull, *, negated: bool) -> str:
    field, no = render_field(term.field), "NOT " if negated else ""
    match term:
        case Compare():
            return f"{field} {'!=' if negated else term.op} {render_value(term.value)}"
        case In():
            return f"{field} {no}IN ({', '.join(map(render_value, term.values))})"
        case Like():
            return f"{field} {no}LIKE {render_value(term.pattern)}"
        case IsNull():
            return f"{field} IS {no}NULL"


def render_field(name: str) -> str:
    """A field's name as it is written: the name of a tag is quoted."""
    space, dot, rest = name.partition(".")
    return f"tags.{quoted(rest)}" if space == "tags" and dot else name


def render_value(value: Value) -> str:
    """A value as it is written."""
    match value:
        case str():
            return quoted(value)
        case bool():
            return "true" if value else "false"
        case Word():
            return value.text
        case Lasting():
            return f"{value.us}us"
        case Moment():
            return (EPOCH + timedelta(microseconds=value.us)).isoformat().replace("+00:00", "Z")
        case Ago():
            return f"-{value.seconds}s"
        case IdSpan():
            return value.digits
    return repr(value)


def quoted(text: str) -> str:
    """`text` as a quoted string."""
    return '"' + text.replace('"', '""') + '"'
