"""Tokens to the syntax tree, by recursive descent.

    or    = and { OR and }                      operator = = | != | < | <= | > | >=
    and   = not { AND not }                     list     = "(" value { "," value } ")"
    not   = NOT not | "(" or ")" | term
    term  = field ( operator value | [NOT] IN list | [NOT] LIKE value | IS [NOT] NULL | [NOT] BETWEEN value AND value )

Depth and number of comparisons are bounded, so that no text can exhaust the stack here or in SQLite.
"""

import re
from typing import Final

from tailrace.store.query import values
from tailrace.store.query.fields import TAGS, Field, Kind, closest, find, missing
from tailrace.store.query.lexer import KEYWORDS, Sort, Token, fail, shown, tokens
from tailrace.store.query.syntax import Compare, Expr, In, IsNull, Like, Not, Op, Value, Word, both, either

MAX_DEPTH: Final = 64
MAX_TERMS: Final = 512  # comparisons and listed values together
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_PATTERN: Final = re.compile(r"(?:[^\\]|\\[%_\\])*", re.DOTALL)
_AFTER_FIELD: Final = "=, !=, <, <=, >, >=, IN, LIKE, BETWEEN or IS"


def parse(text: str) -> Expr:
    """The syntax tree of a `where` expression.

    Raises:
        QueryError: one line: the column, what is wrong, what was likely meant.
    """
    parser = _Parser(tokens(text))
    found = parser.disjunction(0)
    parser.end()
    return found


class _Parser:
    """A cursor over the tokens of one expression."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._terms = 0

    def disjunction(self, depth: int) -> Expr:
        parts = [self._conjunction(depth)]
        while self._taken("OR"):
            parts.append(self._conjunction(depth))
        return either(parts)

    def end(self) -> None:
        if self._here.sort is not Sort.END:
            raise self._unexpected("AND, OR or the end")

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._here
        self._at += 1
        return token

    def _taken(self, keyword: str) -> bool:
        if self._here.keyword != keyword:
            return False
        self._at += 1
        return True

    def _mark(self, mark: str) -> bool:
        if self._here.sort is not Sort.MARK or self._here.text != mark:
            return False
        self._at += 1
        return True

    def _need(self, taken: bool, expected: str) -> None:
        if not taken:
            raise self._unexpected(expected)

    def _unexpected(self, expected: str) -> Exception:
        token = self._here
        what = "the query ends here" if token.sort is Sort.END else f"{shown(token.text)} stands here"
        meant = closest(token.text.upper(), KEYWORDS) if token.sort is Sort.WORD else None
        hint = f" (did you mean {meant}?)" if meant and meant in expected else ""
        return fail(token.column, f"{what}, where {expected} is expected{hint}")

    def _conjunction(self, depth: int) -> Expr:
        parts = [self._negation(depth)]
        while self._taken("AND"):
            parts.append(self._negation(depth))
        return both(parts)

    def _negation(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise fail(self._here.column, f"more than {MAX_DEPTH} brackets and NOTs inside each other")
        if self._taken("NOT"):
            return Not(self._negation(depth + 1))
        opened = self._here
        if self._mark("("):
            inner = self.disjunction(depth + 1)
            self._need(self._mark(")"), f'AND, OR or the ")" of the "(" at column {opened.column}')
            return inner
        return self._term()

    def _term(self) -> Expr:
        field = self._field()
        self._count(self._here)
        if self._taken("IS"):
            negated = self._taken("NOT")
            self._need(self._taken("NULL"), "NULL" if negated else "NULL or NOT NULL")
            return _unless(IsNull(field.name), negated=negated)
        if field.kind is Kind.DOCUMENT:
            raise fail(self._here.column, f"{field.name} is a document, there or not: write IS NULL or IS NOT NULL")
        if self._here.sort is Sort.OP:
            return self._comparison(field)
        negated = self._taken("NOT")
        return _unless(self._set_or_pattern(field, negated=negated), negated=negated)

    def _set_or_pattern(self, field: Field, *, negated: bool) -> Expr:
        if self._taken("IN"):
            return In(field.name, self._list(field))
        if self._taken("LIKE"):
            return Like(field.name, self._pattern(field))
        if self._taken("BETWEEN"):
            _orderable(field, self._here)
            low = self._value(field, ordered=True)
            self._need(self._taken("AND"), "AND and the upper bound")
            high = self._value(field, ordered=True)
            return both([Compare(field.name, Op.GE, low), Compare(field.name, Op.LE, high)])
        raise self._unexpected("IN, LIKE or BETWEEN" if negated else f"{_AFTER_FIELD} after {field.name}")

    def _field(self) -> Field:
        token = self._here
        if token.sort not in (Sort.WORD, Sort.TAG) or token.keyword:
            raise self._unexpected("a field, NOT or (")
        name = token.text
        if name[: len(TAGS)].lower() == TAGS:
            name = TAGS + name[len(TAGS) :]
        field = find(name)
        if field is None:
            raise fail(token.column, f"unknown field {shown(name)}: {missing(name)}")
        self._at += 1
        return field

    def _comparison(self, field: Field) -> Expr:
        token = self._next()
        ordered = token.text in _ORDER
        if ordered:
            _orderable(field, token)
        value = self._value(field, ordered=ordered)
        if token.text == "!=":
            return Not(Compare(field.name, Op.EQ, value))
        return Compare(field.name, Op(token.text), value)

    def _list(self, field: Field) -> tuple[Value, ...]:
        self._need(self._mark("("), "( and a list of values")
        found = [self._value(field)]
        while self._mark(","):
            self._count(self._here)
            found.append(self._value(field))
        self._need(self._mark(")"), ", or )")
        return tuple(found)

    def _pattern(self, field: Field) -> str:
        token = self._here
        if field.kind not in (Kind.TEXT, Kind.WORD, Kind.LABEL):
            raise fail(token.column, f"LIKE compares texts, and {field.name} is {_a(field.kind)}")
        text = self._literal("a pattern, in which % is any text and _ any character").text
        if _PATTERN.fullmatch(text) is None:
            raise fail(token.column, r"in a pattern a backslash stands before %, _ or another backslash")
        return text

    def _value(self, field: Field, *, ordered: bool = False) -> Value:
        token = self._literal(values.EXPECTED[field.kind])
        if field.kind is Kind.WORD:
            return _word(field, token)
        found = values.read(field.kind, token.text)
        if found is None:
            raise fail(token.column, f"{shown(token.text)} is not {values.EXPECTED[field.kind]}")
        if ordered and field.kind is Kind.TEXT and token.sort is Sort.WORD and values.number(token.text) is not None:
            raise fail(token.column, f'{field.name} is text, and so "10" < "9": quote the value if that is meant')
        return found

    def _literal(self, expected: str) -> Token:
        token = self._here
        if token.keyword == "NULL":
            raise fail(token.column, "nothing equals NULL: write IS NULL or IS NOT NULL")
        if token.sort not in (Sort.WORD, Sort.STRING) or token.keyword:
            raise self._unexpected(expected)
        return self._next()

    def _count(self, token: Token) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise fail(token.column, f"more than {MAX_TERMS} comparisons and listed values")


def _unless(term: Expr, *, negated: bool) -> Expr:
    return Not(term) if negated else term


def _a(kind: Kind) -> str:
    return f"{'an' if kind is Kind.ID else 'a'} {kind}"


def _orderable(field: Field, token: Token) -> None:
    if field.kind in (Kind.WORD, Kind.FLAG, Kind.LABEL):
        raise fail(token.column, f"{field.name} has no order: use =, != or IN")


def _word(field: Field, token: Token) -> Word:
    if token.text.lower() in field.words:
        return Word(token.text.lower())
    meant = closest(token.text, field.words)
    hint = f" (did you mean {meant}?)" if meant else ""
    raise fail(token.column, f"{shown(token.text)} is no {field.name}{hint}: it is one of {', '.join(field.words)}")
