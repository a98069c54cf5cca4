"""Gold files are read or refused with their line; examples are chosen alike each time, and never the text itself."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify import examples as module
from tailrace.classify.examples import Example, Shots, parse_gold
from tailrace.classify.item_files import GoldError
from tailrace.classify.tasks.build import request_of
from tailrace.classify.turn import Subject, Turn
from tests.classify.tasks.asking import brief

GOLD = [
    ("yes please", "yes"), ("yes, book it", "yes"), ("sure, go on", "yes"), ("fine by me", "yes"),
    ("no thanks", "no"), ("no, cancel it", "no"), ("what does it cost?", "none"),
]  # fmt: skip
SELECTS = pytest.mark.parametrize("select", ["fixed", "similar", "diverse", "similar_diverse"])


def made(items: list[tuple[str, str]]) -> tuple[Example, ...]:
    return tuple(Example(Subject(text), {"label": label}, label) for text, label in items)


def chosen(select: Any, count: int, text: str) -> list[str]:
    return [example.subject.text for example in Shots(made(GOLD), select, count).choose(Subject(text))]


def test_fixed_takes_each_label_in_turn() -> None:
    assert chosen("fixed", 4, "x") == ["yes please", "no thanks", "what does it cost?", "yes, book it"]
    assert len(chosen("fixed", 99, "x")) == len(GOLD)


def test_similar_takes_the_nearest_and_puts_it_beside_the_question() -> None:
    assert chosen("similar", 2, "cancel it please") == ["yes please", "no, cancel it"]


def test_diverse_takes_each_label_and_what_is_unlike() -> None:
    found = chosen("diverse", 4, "x")
    assert {label for text, label in GOLD if text in found} == {"yes", "no", "none"}
    assert not {"yes please", "yes, book it"} <= set(found)


def test_similar_diverse_leaves_near_copies_out() -> None:
    gold = made(
        [("cancel my booking", "a"), ("cancel my booking!", "a"), ("cancel my bookings", "a"), ("my flight", "b")]
    )
    assert [each.label for each in Shots(gold, "similar", 2).choose(Subject("please cancel my booking"))] == ["a", "a"]
    spread = Shots(gold, "similar_diverse", 2).choose(Subject("please cancel my booking"))
    assert [each.label for each in spread] == ["b", "a"]


def test_a_better_order_of_the_nearest_is_taken() -> None:
    shots = Shots(made(GOLD), "similar", 1)
    near = shots.near("no thanks, yes please")
    assert shots.choose(Subject("?"), near=near[::-1]) == (near[-1],)


@SELECTS
@given(text=st.sampled_from([text for text, _ in GOLD]), change=st.sampled_from([str, str.upper, lambda t: f" {t} "]))
def test_the_text_is_never_its_own_example(select: Any, text: str, change: Callable[[str], str]) -> None:
    found = chosen(select, 3, change(text))
    assert text not in found
    assert found == chosen(select, 3, change(text))
    if select in {"fixed", "diverse"}:
        assert len(found) == 3


@SELECTS
@pytest.mark.parametrize("count", [0, 3])
def test_there_may_be_none(select: Any, count: int) -> None:
    assert Shots((), select, count).choose(Subject("x")) == ()
    assert len(Shots(made(GOLD), select, count).choose(Subject("yes no"))) <= count


ROWS: dict[str, dict[str, Any]] = {
    "classification": {"label": "yes"},
    "multilabel": {"labels": ["no", "yes"]},
    "ner": {"entities": [{"text": "Anna", "label": "yes"}]},
    "extraction": {"attributes": {"yes": "Anna", "no": None}},
    "qa": {"label": "no"},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_gold_file_of_each_task_in_both_forms(name: str) -> None:
    row = {
        "text": "Book, for Anna",
        **ROWS[name],
        "context": [{"role": "assistant", "text": "who?"}],
        "previous": "yes",
    }
    (example,) = parse_gold(b"\n" + orjson.dumps(row) + b"\n\n", ".jsonl", brief(name))
    assert example.subject == Subject("Book, for Anna", (Turn("assistant", "who?"),), "yes")
    assert example.answer == ROWS[name]
    cells = [
        ",".join(v) if k == "labels" else v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in row.items()
    ]
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    assert parse_gold(f"\ufeff{','.join(row)}\r\n{quoted}\r\n".encode(), ".CSV", brief(name)) == (example,)
    body = request_of(brief(name), Subject("x"), shots=[example.shot])
    assert orjson.loads(body["messages"][2]["content"]) == ROWS[name]


def test_reasoning_is_shown_where_the_model_is_to_reason() -> None:
    line = b'{"text": "x", "label": "yes", "reasoning": "he nods"}'
    assert list(parse_gold(line, ".jsonl", brief("classification", reasoning=True))[0].answer) == ["reasoning", "label"]
    assert list(parse_gold(line, ".jsonl", brief("classification"))[0].answer) == ["label"]


@pytest.mark.parametrize(
    ("data", "suffix", "says"),
    [
        (b'{"text": "a", "label": "yes"}\nx', ".jsonl", "line 2: is no JSON"),
        (b"[1]", ".jsonl", "line 1: has no text"),
        (b'{"text": " ", "label": "yes"}', ".jsonl", "line 1: has no text"),
        (b'{"text": "a"}', ".jsonl", "line 1: has no label, which is what classification answers with"),
        (b'{"text": "a", "label": "maybe so"}', ".jsonl", "line 1: its label holds what is no label here"),
        (b"text,label\na,yes\nb,maybe so\n", ".csv", "line 3: its label holds"),
        (b"text,label\n\xff,yes\n", ".csv", "is no UTF-8"),
    ],
)
def test_a_wrong_gold_file_is_refused_with_its_line(data: bytes, suffix: str, says: str) -> None:
    with pytest.raises(GoldError, match=says):
        parse_gold(data, suffix, brief("classification"))


def test_a_quote_that_is_not_in_its_text_is_refused() -> None:
    with pytest.raises(GoldError, match="a quote that is not in its text"):
        parse_gold(b'{"text": "a", "entities": [{"text": "b", "label": "yes"}]}', ".jsonl", brief("ner"))


def test_too_many_items_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 1)
    with pytest.raises(GoldError, match="more than 1 items"):
        parse_gold(b'{"text": "a", "label": "yes"}\n' * 2, ".jsonl", brief("classification"))
