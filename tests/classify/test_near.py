"""Near-duplicates: found in the same context, and never where a word turns the meaning round."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.near import Near
from tailrace.classify.turn import Subject, Turn

LONG = "I would like to change the seat on my flight to Berlin tomorrow morning, can you help me with that"


def near(*texts: str, bound: float = 0.85) -> Near:
    made = Near(bound)
    for text in texts:
        made.add(Subject(text), text, "label")
    return made


def test_slips_case_and_space_are_no_difference() -> None:
    known = near(LONG)
    for text in (LONG, LONG.upper(), f" {LONG} !", LONG.replace("tomorrow", "tomorow")):
        found = known.find(Subject(text))
        assert found is not None, text
        assert (found.key, found.value) == (LONG, "label")


def test_a_denial_or_another_number_is_a_difference_however_alike() -> None:
    known = near(f"{LONG} for 2 people")
    assert known.find(Subject(f"{LONG} for 3 people")) is None
    assert known.find(Subject(f"{LONG} for 2 people".replace("I would", "I would not"))) is None
    assert known.find(Subject("yes")) is None
    assert near("no").find(Subject("yes")) is None


def test_another_context_is_a_difference() -> None:
    known = Near()
    asked = (Turn("assistant", "Shall I book it?"),)
    known.add(Subject("yes please", asked), "k", "confirm")
    assert known.find(Subject("Yes please", asked)) is not None
    assert known.find(Subject("yes please", (Turn("assistant", "Shall I cancel it?"),))) is None
    assert known.find(Subject("yes please", asked, previous="x")) is None


def test_what_is_remembered_is_bounded() -> None:
    known = Near(most=2)
    for text in ("one text", "another text", "a third one"):
        known.add(Subject(text), text, "x")
    assert len(known) == 2
    assert known.find(Subject("a third one")) is None


@given(st.lists(st.text("abc ", min_size=5, max_size=40), max_size=20), st.text("abc ", max_size=40), st.randoms())
def test_the_filter_misses_nothing_that_comparing_all_finds(texts: list[str], text: str, dice: random.Random) -> None:
    texts = [*texts, "".join(dice.choice("abc ") if dice.random() < 0.05 else char for char in text)]
    found = near(*texts, bound=0.6).find(Subject(text))
    alone = [one for each in texts if (one := near(each, bound=0.6).find(Subject(text))) is not None]
    assert (found is None) == (not alone)
    if found is not None:
        assert found.alike == max(one.alike for one in alone)
