"""Hypothesis strategies for syntax trees of the `where` language; shared by the tests of its parts."""

from typing import Final, cast

from hypothesis import strategies as st

from tailrace.store.query import Expr
from tailrace.store.query.fields import FIELDS, LABEL_FIELDS, Field, Kind, find
from tailrace.store.query.syntax import (
    Ago,
    Compare,
    IdSpan,
    In,
    IsNull,
    Lasting,
    Like,
    Moment,
    Not,
    Op,
    Value,
    Word,
    both,
    either,
)

LARGEST: Final = 2**63 - 1
FIRST_US: Final = -62_135_596_800_000_000  # year 1
LAST_US: Final = 253_402_300_799_999_999  # year 9999

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
patterns = st.lists(
    texts.map(lambda text: text.replace("\\", "")) | st.sampled_from(["%", "_", r"\%", r"\_", r"\\"])
).map("".join)
tag_fields = texts.map(lambda name: find("tags." + name)).filter(bool).map(lambda field: cast("Field", field))
LABELS: Final = tuple(
    cast("Field", find(f"{of}.{name}{part and '.' + part}"))
    for of in ("label", "next.label")
    for name in ("intent", "tone-2", "nobody")
    for part in LABEL_FIELDS
)
fields = st.sampled_from(list(FIELDS.values())) | st.sampled_from(LABELS) | tag_fields


def whole(number: float) -> float:
    """As the language has it: a number without a fraction is an int where that is exact."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def values(field: Field) -> st.SearchStrategy[Value]:
    """Any value that can be written for `field`."""
    by_kind: dict[Kind, st.SearchStrategy[Value]] = {
        Kind.TEXT: texts,
        Kind.LABEL: texts,
        Kind.WORD: st.sampled_from(field.words or ("",)).map(lambda word: Word(str(word))),
        Kind.NUMBER: st.integers(-LARGEST, LARGEST) | st.floats(allow_nan=False, allow_infinity=False).map(whole),
        Kind.FLAG: st.booleans(),
        Kind.DURATION: st.integers(0, LARGEST).map(Lasting),
        Kind.TIME: st.integers(FIRST_US, LAST_US).map(Moment) | st.integers(0, 10**9).map(Ago),
        Kind.ID: st.text("0123456789abcdef", min_size=8, max_size=32).map(IdSpan),
    }
    return by_kind[field.kind]


def terms(field: Field) -> st.SearchStrategy[Expr]:
    """Any comparison of `field`."""
    if field.kind is Kind.DOCUMENT:
        return st.just(IsNull(field.name))
    ordered = field.kind not in (Kind.WORD, Kind.FLAG, Kind.LABEL)
    found: list[st.SearchStrategy[Expr]] = [
        st.builds(Compare, st.just(field.name), st.sampled_from(Op) if ordered else st.just(Op.EQ), values(field)),
        st.builds(In, st.just(field.name), st.lists(values(field), min_size=1, max_size=3).map(tuple)),
        st.just(IsNull(field.name)),
    ]
    if field.kind in (Kind.TEXT, Kind.WORD, Kind.LABEL):
        found.append(st.builds(Like, st.just(field.name), patterns))
    return st.one_of(found)


def trees(leaf_fields: st.SearchStrategy[Field] = fields) -> st.SearchStrategy[Expr]:
    """Any tree, as the parser makes them."""
    return st.recursive(
        leaf_fields.flatmap(terms),
        lambda parts: st.one_of(
            parts.map(Not),
            st.lists(parts, min_size=2, max_size=3).map(both),
            st.lists(parts, min_size=2, max_size=3).map(either),
        ),
        max_leaves=6,
    )
