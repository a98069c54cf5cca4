"""The ladder gives a label of the list or nothing, whatever was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.ladder import Rung, place

LABELS = ("confirm", "confirm_order", "reject", "question", "book-flight", "none")


@pytest.mark.parametrize(
    ("said", "label", "rung"),
    [
        ("confirm", "confirm", Rung.EXACT),
        ("Confirm", "confirm", Rung.FOLDED),
        ('  "REJECT."\n', "reject", Rung.FOLDED),
        ("confirm order", "confirm_order", Rung.FOLDED),
        ("Book_Flight", "book-flight", Rung.FOLDED),
        ("The label is: confirm", "confirm", Rung.INCLUDED),
        ("I'd say book_flight here", "book-flight", Rung.INCLUDED),
        ("-confirm- _it_", "confirm", Rung.INCLUDED),
        ("**confirm order**, I think", "confirm_order", Rung.INCLUDED),
        ("rejct", "reject", Rung.CLOSE),
        ("questions", "question", Rung.CLOSE),
    ],
)
def test_each_rung(said: str, label: str, rung: Rung) -> None:
    placed = place(said, LABELS)
    assert placed is not None
    assert (placed.label, placed.rung) == (label, rung)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "   ",
        "?!",
        "confirm or reject",
        "not confirm",
        "unconfirm",
        "deconfirm",
        "safe",
        "con",
        "reject_other_request",
        "pre-confirm",
        "reconfirmed",
        "none of these, so reject",
        "I have looked at the whole of the conversation and come to the view that it is confirm",
        "confirm" * 200,
        "отклонить",
    ],
)
def test_what_is_no_label_or_could_be_two_is_none(said: str) -> None:
    assert place(said, LABELS) is None


def test_labels_that_only_differ_in_signs_must_be_exact() -> None:
    assert place("c++", ("c", "c++")) == place("c++", ["c++"])
    assert place("C++", ("c", "c++")) is None


@given(st.text() | st.lists(st.sampled_from([*LABELS, "the", "not", " ", "\n", '"', "x"])).map(" ".join))
def test_whatever_is_said_the_label_is_on_the_list(said: str) -> None:
    placed = place(said, LABELS)
    assert placed is None or placed.label in LABELS


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=8), max_size=6, unique=True))
def test_of_any_list(said: str, labels: list[str]) -> None:
    placed = place(said, labels)
    assert placed is None or placed.label in labels
    assert all(place(label, labels) is not None for label in labels)
