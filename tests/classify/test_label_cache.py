"""A label is found again for the same turn in the same context, and for no other."""

from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.classify.cache import key_of
from tailrace.classify.turn import Subject, Turn

TEXT = st.text(max_size=6)
SUBJECT = st.builds(
    Subject,
    TEXT,
    st.lists(st.builds(Turn, st.sampled_from(["user", "assistant"]), TEXT), max_size=3).map(tuple),
)


def test_case_and_space_do_not_matter_where_they_may_not() -> None:
    assert key_of("v", Subject(" OK\n")) == key_of("v", Subject("ok"))
    assert key_of("v", Subject("ok."), folded=False) != key_of("v", Subject("OK."), folded=False)
    assert key_of("v", Subject("ok")) != key_of("w", Subject("ok"))
    assert key_of("v", Subject("ok", previous="a")) != key_of("v", Subject("ok", previous="b"))
    assert key_of("v", Subject("ok", before="tool")) != key_of("v", Subject("ok"))


@example(Subject("ab"), Subject("b", previous="a"))
@example(Subject("x", (Turn("user", "a"),)), Subject("xuser", (Turn("", "a"),)))
@given(SUBJECT, SUBJECT)
def test_other_subjects_have_other_keys(one: Subject, other: Subject) -> None:
    assert (key_of("v", one, folded=False) == key_of("v", other, folded=False)) == (one == other)
