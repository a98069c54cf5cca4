"""The `where` language as SQL, against an interpreter of its own, on a real file; no part of a text becomes SQL."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select
from sqlmodel import SQLModel

from tailrace.errors import QueryError
from tailrace.records import Endpoint, LinkKind, Origin, Relation, Status, UsageSource
from tailrace.store.query import Expr, Marks, compile_where, parse, render
from tailrace.store.query.fields import CHAIN, COMPLETION, FIELDS, Kind, find
from tailrace.store.query.syntax import (
    Ago,
    And,
    Compare,
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
from tests.store import beside_rows
from tests.store.query_trees import FIRST_US, LABELS, LAST_US, trees

NOW_US: Final = 1_800_000_000_000_000
OTHERS: Final = (*(field for field in FIELDS.values() if field.among is not None), *LABELS)
"""What stands beside a completion."""
WORDS: Final = (
    "x",
    "X",
    "gpt-5",
    "gpt-5-mini",
    "100%",
    "a_b",
    "a\\b",
    "É",
    "",
    "'; DROP TABLE completion; --",
    "10",
    "9",
)


def completion(seq: int) -> dict[str, Any]:
    """A row: each field runs through its values, and through NULL where it may, at a pace of its own."""
    row: dict[str, Any] = {
        "seq": seq,
        "id": UUID(int=(0x0192F3A1 << 96) + seq * 7919 * 2**80).bytes,
        "started_us": NOW_US - seq * 1_800_000_000,
        "chain": 1 + seq % 3,
        "parent": seq - 3 if seq > 3 and seq % 4 else None,
        "params": 1,
        "prompt_node": 1,
        "stream": seq % 2 == 0,
        "tags": (None, '{"app":"x"}', '{"app":"10","a b":"gpt-5"}', "{}")[seq % 4],
    }
    texts = (
        "model served_model provider error finish_reason project key session user config answer_id request_id dialect "
        "external_id trace"
    )
    for pace, name in enumerate(texts.split(), 1):
        row[name] = WORDS[seq * pace % len(WORDS)]
    closed = {
        "status": Status,
        "relation": Relation,
        "link_kind": LinkKind,
        "origin": Origin,
        "usage_source": UsageSource,
    }
    for pace, (name, words) in enumerate(closed.items(), 1):
        row[name] = list(words)[seq * pace % len(words)].value
    if seq % 7 == 0:
        row["origin"] = Origin.REPLAY.value  # else a chain is of one origin: the lists above and the chains keep step
    numbers = (
        "http_status attempts step children input_tokens output_tokens cached_tokens reasoning_tokens audio_tokens "
        "cache_write_tokens output_audio_tokens"
    )
    for pace, name in enumerate(numbers.split(), 1):
        row[name] = seq * pace % 5
    for pace, name in enumerate(("duration_us", "first_byte_us", "overhead_us"), 1):
        row[name] = seq * pace % 7 * 1000
    row["cost_usd"] = seq % 6 / 4
    row["endpoint"] = list(Endpoint)[seq % len(Endpoint)].value
    row["omits"] = ("request", "answer", "both")[seq % 3]
    row["source"] = UUID(int=(0x0192F3A1 << 96) + seq % 4 * 7919 * 2**80).bytes
    for pace, name in enumerate(COMPLETION.c.keys(), 2):
        if COMPLETION.c[name].nullable and seq % (pace % 5 + 2) == 0:
            row[name] = None
    return row


ROWS: Final = [completion(seq) for seq in range(1, 61)]
CHAINS: Final = [
    {
        "id": n,
        "key": UUID(int=n << 96).bytes,
        "project": "p",
        "started_us": 0,
        "last_us": 0,
        "completions": n,
        "steps": n * 2,
    }
    for n in (1, 2, 3)
]
BESIDE: Final = {
    "label": beside_rows.labels(ROWS[:40]),
    "action": beside_rows.actions(ROWS),
    "feedback": beside_rows.feedback(ROWS),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('query') / 'store.db'}")
    SQLModel.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(insert(COMPLETION), ROWS)
        connection.execute(insert(CHAIN), CHAINS)
        for table, rows in BESIDE.items():
            connection.execute(insert(SQLModel.metadata.tables[table]), rows)
        connection.commit()
        yield connection
    engine.dispose()


def found(store: Connection, tree: Expr, marks: Marks | None = None) -> list[int]:
    joined = COMPLETION.outerjoin(CHAIN, CHAIN.c.id == COMPLETION.c.chain)
    statement = select(COMPLETION.c.seq).select_from(joined).where(compile_where(tree, now_us=NOW_US, marks=marks))
    return list(store.execute(statement.order_by(COMPLETION.c.seq)).scalars())


def plain(value: Value) -> Any:
    match value:
        case Word():
            return value.text
        case Lasting() | Moment():
            return value.us
        case Ago():
            return NOW_US - value.seconds * 10**6
    return value


def stored(row: dict[str, Any], name: str) -> Any:
    """Of what stands beside a completion, one of several."""
    if is_beside(name):
        several = beside_rows.values(name, row, ROWS, BESIDE)
        return several[0] if several else None
    space, _, rest = name.partition(".")
    if space == "tags":
        return orjson.loads(row["tags"]).get(rest) if row["tags"] else None
    if space == "chain":
        return CHAINS[row["chain"] - 1]["key" if rest == "id" else rest]
    return row.get(FIELDS[name].column.key or "")


def is_beside(name: str) -> bool:
    field = find(name)
    return field is not None and field.among is not None


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def is_like(text: str, pattern: str) -> bool:
    parts = re.findall(r"\\.|%|_|.", ascii_lower(pattern), re.DOTALL)
    regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(regex, ascii_lower(text), re.DOTALL) is not None


def equals(have: Any, value: Value) -> bool:
    return value.low <= have <= value.high if isinstance(value, IdSpan) else bool(have == plain(value))


def holds(tree: Expr, row: dict[str, Any], marks: Marks = beside_rows.ALL) -> bool:
    """The language's meaning, in two-valued logic, straight from its documentation."""
    match tree:
        case Not():
            return not holds(tree.part, row, marks)
        case And():
            return all(holds(part, row, marks) for part in tree.parts)
        case Or():
            return any(holds(part, row, marks) for part in tree.parts)
    several = beside_rows.values(tree.field, row, ROWS, BESIDE, marks) if is_beside(tree.field) else None
    known = [have for have in ([stored(row, tree.field)] if several is None else several) if have is not None]
    if isinstance(tree, IsNull):
        return not known
    return any(fits(tree, have) for have in known)


def fits(tree: Compare | In | Like, have: Any) -> bool:
    field = find(tree.field)
    is_label = field is not None and field.kind is Kind.LABEL
    match tree:
        case Like():
            return is_like(have, tree.pattern)
        case In():
            return any(have_line(have, value) if is_label else equals(have, value) for value in tree.values)
    return have_line(have, tree.value) if is_label else compares(have, tree.op, tree.value)


def have_line(have: str, value: Value) -> bool:
    assert isinstance(value, str)
    return have == value or f"\n{value}\n" in f"\n{have}\n"


def compares(have: Any, op: Op, value: Value) -> bool:
    if op is Op.EQ:
        return equals(have, value)
    if isinstance(value, IdSpan):
        bound: Any = value.low if op in (Op.LT, Op.GE) else value.high
    else:
        bound = plain(value)
    if isinstance(have, str):
        have, bound = have.encode(), bound.encode()
    return bool({Op.LT: have < bound, Op.LE: have <= bound, Op.GT: have > bound, Op.GE: have >= bound}[op])


def likely(tree: Expr) -> Expr:
    """`tree` with its values replaced, half of the time, by such as stand in the rows."""
    match tree:
        case Not():
            return Not(likely(tree.part))
        case And() | Or():
            return type(tree)(tuple(likely(part) for part in tree.parts))
        case Compare():
            return Compare(tree.field, tree.op, present(tree.field, tree.value))
        case In():
            return In(tree.field, tuple(present(tree.field, value) for value in tree.values))
    return tree


def present(name: str, value: Value) -> Value:
    number = sum(repr(value).encode())
    field = find(name)
    assert field is not None
    have = stored(ROWS[number % len(ROWS)], name)
    if number % 2 or have is None:
        return value
    made: dict[Kind, Any] = {
        Kind.WORD: Word,
        Kind.DURATION: Lasting,
        Kind.TIME: Moment,
        Kind.ID: lambda key: IdSpan(key.hex()[: 32 if number % 4 else 12]),
    }
    result: Value = made.get(field.kind, lambda same: same)(have)
    return result


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees().map(likely))
def test_sql_and_the_documented_meaning_agree(store: Connection, tree: Expr) -> None:
    assert found(store, tree) == [row["seq"] for row in ROWS if holds(tree, row)]


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees(st.sampled_from(OTHERS)).map(likely), at=st.tuples(*[st.integers(0, 130)] * 4))
def test_what_was_filed_after_the_marks_does_not_count(
    store: Connection, tree: Expr, at: tuple[int, int, int, int]
) -> None:
    marks = Marks(at[0] % 61, *at[1:])
    assert found(store, tree, marks) == [row["seq"] for row in ROWS if holds(tree, row, marks)]


def test_rows_hold_every_value_a_null_included() -> None:
    """The test above is about something: each field has rows of several values, and NULL where that can be."""
    for field in (*FIELDS.values(), *(one for one in LABELS if "nobody" not in one.name)):
        have = {stored(row, field.name) for row in ROWS}
        assert len(have) > 1, field.name
        assert (None in have) == field.nullable, field.name


@pytest.mark.parametrize(
    "text",
    [
        "served_model != x",
        "NOT served_model = x",
        "served_model NOT IN (x)",
        "NOT served_model IN (x)",
        "NOT (served_model = x AND seq > 0)",
    ],
)
def test_what_is_unknown_is_not_equal(store: Connection, text: str) -> None:
    want = [row["seq"] for row in ROWS if row["served_model"] != "x"]
    assert None in {row["served_model"] for row in ROWS if row["seq"] in want}
    assert found(store, parse(text)) == want


def test_not_of_a_bound_keeps_what_has_no_value(store: Connection) -> None:
    kept = found(store, parse("NOT cost_usd < 0.5"))
    assert kept == [row["seq"] for row in ROWS if row["cost_usd"] is None or row["cost_usd"] >= 0.5]


HOSTILE: Final = (
    "' OR '1'='1",
    "x'; DROP TABLE completion; --",
    'x" OR 1=1 --',
    "\\",
    "%",
    "\x00",
    "$.app",
    "🦊",
    ")",
    ":param",
    "?",
    "%s",
    "%(x)s",
)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(
    "shape", ["model = {}", "model != {}", "model IN ({}, y)", "tags.app = {}", "status = ok AND user = {}"]
)
def test_a_hostile_value_stays_a_value(store: Connection, hostile: str, shape: str) -> None:
    tree = parse(shape.format('"' + hostile.replace('"', '""') + '"'))
    assert found(store, tree) == [row["seq"] for row in ROWS if holds(tree, row)]
    assert len(found(store, parse("seq > 0"))) == len(ROWS)


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=4))
def test_the_statement_is_the_same_whatever_the_value(value: str) -> None:
    def sql(text: str) -> str:
        quoted = text.replace('"', '""')
        return str(compile_where(parse(f'model = "{quoted}" AND tags.app != "{quoted}" AND user IN ("{quoted}")')))

    assert sql(value) == sql("x")


def test_a_hostile_tag_name_is_a_parameter_too() -> None:
    name = "a') OR 1=1 --"
    compiled = compile_where(parse(f'tags."{name}" = x')).compile()
    assert name not in str(compiled)
    assert f'$."{name}"' in compiled.params.values()


def test_a_relative_time_needs_a_now() -> None:
    assert compile_where(parse("started > -1h"), now_us=NOW_US) is not None
    with pytest.raises(QueryError, match="must mean the same tomorrow"):
        compile_where(parse("started > -1h"))


def test_a_tree_of_a_field_that_is_gone_is_refused() -> None:
    with pytest.raises(QueryError, match="unknown field"):
        compile_where(IsNull("gone"))


@pytest.mark.parametrize("us", [FIRST_US, -1, 0, 1, LAST_US])
def test_times_reach_sqlite_exactly(us: int) -> None:
    tree = parse(render(Compare("started", Op.EQ, Moment(us))))
    assert list(compile_where(tree).compile().params.values()) == [us]
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT ?", (us,)).fetchone() == (us,)


def test_the_largest_query_runs(store: Connection, tmp_path: Path) -> None:
    assert found(store, parse("NOT " * 60 + "step IN (" + ",".join("1" * 512) + ")"))
    deep = "(" * 30 + "step=1" + " or step=2) and seq>0" * 30
    assert found(store, parse(deep))
    wide = " or ".join(f"step={n}" for n in range(350))
    assert len(found(store, parse(wide))) == len(ROWS)
