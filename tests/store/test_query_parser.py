"""The `where` language as text: what it means, how it is written canonically, and what a mistake is told."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.store.query import Expr, fields_of, parse, render
from tailrace.store.query.lexer import MAX_BYTES
from tailrace.store.query.parser import MAX_DEPTH, MAX_TERMS
from tailrace.store.query.syntax import And, Compare, In, Like, Not, Op, Or, Word
from tests.store.query_trees import trees

OK = Compare("status", Op.EQ, Word("ok"))
X = Compare("model", Op.EQ, "x")
Y = Compare("user", Op.EQ, "y")


@settings(deadline=None, max_examples=150)
@given(trees())
def test_the_canonical_text_of_any_tree_reads_back_as_that_tree(tree: Expr) -> None:
    text = render(tree)
    assume(len(text.encode()) <= MAX_BYTES)
    assert parse(text) == tree


def refusal(text: str) -> str | None:
    try:
        parse(text)
    except QueryError as error:
        return str(error)
    return None


PIECES = st.sampled_from(
    [
        *("(", ")", ",", "=", "!=", "<", "AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN"),
        *("status", "ok", "model", '"x"', "'y'", "step", "3", "started", "-1h", "tags.a", 'tags."b"', "id", "0192f3a1"),
        *("stream", "true", "duration_ms", "2s", '"', "'", "\\", "%", "\x1b", "\u202e", "é"),
    ]
)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.lists(PIECES, max_size=14).map(" ".join))
def test_any_text_parses_or_is_refused_in_one_printable_line(text: str) -> None:
    message = refusal(text)
    if message is None:
        assert parse(render(parse(text))) == parse(text)
    else:
        assert message.startswith("column ")
        assert message.isprintable()
        assert len(message) < 800


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("status = ok", OK),
        ("STATUS".lower() + " == OK", OK),
        ("status=ok and model=x or user=y", Or((And((OK, X)), Y))),
        ("status=ok and (model=x or user=y)", And((OK, Or((X, Y))))),
        ("status=ok and (model=x and user=y)", And((OK, X, Y))),
        ("not status=ok and model=x", And((Not(OK), X))),
        ("not (status=ok and model=x)", Not(And((OK, X)))),
        ("model <> x", Not(X)),
        ("model NOT IN (a, 'b c', \"d\")", Not(In("model", ("a", "b c", "d")))),
        (r"model not like 'gpt\_%'", Not(Like("model", r"gpt\_%"))),
        ("model = ft:gpt-4o-mini:org::Ab1", Compare("model", Op.EQ, "ft:gpt-4o-mini:org::Ab1")),
        ("model = 'it''s'", Compare("model", Op.EQ, "it's")),
        ("user = 42", Compare("user", Op.EQ, "42")),
        ('tags.app = "checkout"', Compare("tags.app", Op.EQ, "checkout")),
        ('Tags."a b" = 1', Compare("tags.a b", Op.EQ, "1")),
        ("step between 2 and 4", And((Compare("step", Op.GE, 2), Compare("step", Op.LE, 4)))),
        (
            "step not between 2 and 4 and model = x",
            And((Not(And((Compare("step", Op.GE, 2), Compare("step", Op.LE, 4)))), X)),
        ),
    ],
)
def test_meaning(text: str, tree: Expr) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("duration_ms>2s", "duration_ms > 2000000us"),
        ("duration_ms > 1.5", "duration_ms > 1500us"),
        ("started >= 2026-10-01", "started >= 2026-10-01T00:00:00Z"),
        ("started >= 2026-10-01T02:00:00+02:00", "started >= 2026-10-01T00:00:00Z"),
        ("started > -1h", "started > -3600s"),
        ("id = 0192F3A1-9C4D", "id = 0192f3a19c4d"),
        ("cost_usd < .50", "cost_usd < 0.5"),
        ("step = 3.0", "step = 3"),
        ("not not status = ok", "NOT status != ok"),
        ("not not (step > 1)", "NOT NOT step > 1"),
        ("not step > 1", "NOT step > 1"),
        ("not (user is null)", "user IS NOT NULL"),
        ("tags.app in (a)", 'tags."app" IN ("a")'),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert render(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: the query ends here, where a field, NOT or ( is expected"),
        ("status = okk", 'column 10: "okk" is no status (did you mean ok?): it is one of ok, client_closed, '),
        ("status = ok AND stauts = ok", 'column 17: unknown field "stauts": did you mean status?'),
        (
            "label.intent.sure = x",
            'column 1: unknown field "label.intent.sure": a label is written label.NAME, or next.',
        ),
        ("next.status = ok", "a label is written label.NAME, or next.label.NAME, and may be followed by one of .{conf"),
        ("label.intent > x", "column 14: label.intent has no order"),
        ("label.intent.source = robot", '"robot" is no label.intent.source: it is one of rule, cache, student, llm,'),
        ("label.intent.confidence = high", '"high" is not a number'),
        ("feedback.scor < .5", "the fields of feedback are feedback.score, feedback.thumb"),
        ("feedback.correction = x", "column 21: feedback.correction is a document, there or not: write IS NULL or"),
        ("answer.text = x", "there are no 'answer' fields: those of a completion have no dot, or begin with chain.…"),
        ("chain.step > 2", "the fields of chain are chain.id, chain.steps"),
        ("chain.outcome = won", "the fields of chain are chain.id, chain.steps, chain.completions"),
        ("x = 1", "the fields are id, seq, "),
        ("tags. = x", "a tag is written tags.NAME"),
        ('tags."a\\b" = x', "without quotes, backslashes"),
        ("Status = ok", "did you mean status?"),
        ("status ok", 'column 8: "ok" stands here, where =, !=, <, <=, >, >=, IN, LIKE, BETWEEN or IS after status'),
        ("status = ok ANDD model = x", 'column 13: "ANDD" stands here, where AND, OR or the end is expected (did you'),
        ("status = ok && model = x", 'column 13: unexpected "&": write AND'),
        ("status = 'ok", "column 10: unexpected \"'\": the text has no closing '"),
        ("model LIKE gpt*", 'column 15: unexpected "*": in LIKE, % stands for any text'),
        ("status = \x1b[31m", r'column 10: unexpected "\x1b"'),
        ("model = \udc80", "column 9: not Unicode text"),
        ("(status = ok", 'column 13: the query ends here, where AND, OR or the ")" of the "(" at column 1 is expected'),
        ("status = ok)", 'column 12: ")" stands here, where AND, OR or the end is expected'),
        ("status IN ok", "( and a list of values"),
        ("status IN ()", '")" stands here, where a word is expected'),
        ("status IN (ok", ", or )"),
        ("user IS x", "NULL or NOT NULL"),
        ("user = NULL", "column 8: nothing equals NULL: write IS NULL"),
        ("user NOT x", "IN, LIKE or BETWEEN"),
        ("step = three", 'column 8: "three" is not a number'),
        ("step = 99999999999999999999", "is not a number"),
        ("cost_usd > 1e999", "is not a number"),
        ("step LIKE '1%'", "column 11: LIKE compares texts, and step is a number"),
        (r"model LIKE 'a\b'", "column 12: in a pattern a backslash stands before"),
        ("stream = maybe", '"maybe" is not true or false'),
        ("stream > false", "column 8: stream has no order: use =, != or IN"),
        ("status BETWEEN ok AND ok", "status has no order"),
        ("tags.turns > 5", 'column 14: tags.turns is text, and so "10" < "9"'),
        ("duration_ms > -1", "is not a duration"),
        ("duration_ms > 2parsec", "is not a duration"),
        ("started > 1h", "is not a time"),
        ("started > -1000000d", "is not a time"),
        ("started = 2026-13-01", "is not a time"),
        ("started = 0001-01-01T00:00:00+14:00", "is not a time"),
        ("id = 123", "is not an id, or its first 8"),
        ("id = 0192f3a1-9c4d-7b2e-8000-0000000000000", "is not an id"),
        ("model = and", '"and" stands here, where a text is expected'),
        ("model = abs(1)", '"(" stands here, where AND, OR or the end'),
        ("1 = 1", 'unknown field "1"'),
    ],
)
def test_a_mistake_names_its_place_and_the_remedy(text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * MAX_BYTES, "brackets and NOTs inside each other"),
        ("not " * (MAX_BYTES // 4), "brackets and NOTs inside each other"),
        ("(" * (MAX_DEPTH + 1) + "step=1" + ")" * (MAX_DEPTH + 1), "brackets and NOTs inside each other"),
        ("step IN (" + ",".join("1" * (MAX_TERMS + 1)) + ")", "comparisons and listed values"),
        ("model = " + "x" * MAX_BYTES, "bytes, and 4096 are allowed"),
        ("model = " + "é" * (MAX_BYTES // 2), "bytes, and 4096 are allowed"),
        ('model = "' + '\'""' * 1300 + "'", "no closing"),
    ],
)
def test_what_is_too_large_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_the_largest_allowed_is_allowed() -> None:
    assert parse("(" * MAX_DEPTH + "step=1" + ")" * MAX_DEPTH) == Compare("step", Op.EQ, 1)
    listed = parse("step IN (" + ",".join("1" * MAX_TERMS) + ")")
    assert isinstance(listed, In)
    assert len(listed.values) == MAX_TERMS


def test_fields_of() -> None:
    assert fields_of(parse("not (origin = app or tags.a is null) and step in (1)")) == {"origin", "tags.a", "step"}
