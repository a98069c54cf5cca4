"""Cells of a CSV: no formula, and nothing lost."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.cells import guarded, unguarded


@given(st.text("'=+-@\t\r\n ab", max_size=6) | st.text())
def test_a_cell_reads_as_it_was_and_never_begins_a_formula(cell: str) -> None:
    written = guarded(cell)
    assert unguarded(written) == cell
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_what_is_no_formula_is_left_alone() -> None:
    for cell in ("", "yes", "it's", "'quoted'", "5 - 3"):
        assert guarded(cell) == cell
