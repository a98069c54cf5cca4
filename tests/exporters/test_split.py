"""Splits: no chain in two of them, no row that moves when the log grows, whatever order the log was filed in."""

from collections import defaultdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Placed
from tailrace_exporters.split import Forest, share
from tests.exporters.logged import Call, after, completion_id, opened
from tests.exporters.pure import Log, export, logs

HALVES = {"train": 0.5, "valid": 0.5}


def recipe_of(unit: str, *, exact: bool = True, seed: int = 0) -> Recipe:
    values = {"seed": seed, "assemble": {"unit": unit}, "dedupe": {"exact": exact}, "split": HALVES}
    return Recipe.model_validate(values)


def test_shares_are_kept_and_a_seed_draws_anew() -> None:
    ids = [completion_id(n).bytes for n in range(2000)]
    shares = {"train": 0.9, "valid": 0.05, "test": 0.05}
    drawn = [share(1, id_, shares) for id_ in ids]
    assert 1740 < drawn.count("train") < 1860
    assert 60 < drawn.count("valid") < 140
    assert drawn == [share(1, id_, shares) for id_ in ids]
    assert drawn != [share(2, id_, shares) for id_ in ids]


def test_rounding_leaves_no_row_without_a_split() -> None:
    assert share(0, b"x" * 16, {"train": 1e-300, "test": 1e-300}) == "test"


def differing_pair() -> tuple[int, int]:
    """Two completions whose own splits differ."""
    names = {n: share(0, completion_id(n).bytes, HALVES) for n in range(1, 20)}
    other = next(n for n in names if names[n] != names[1])
    return 1, other


def test_a_parent_filed_late_that_joins_two_splits_costs_the_later_row() -> None:
    one, other = differing_pair()
    parent = opened(50)
    log: Log = {
        one: (after(parent, "x", seq=one, answer="x"), 50),
        other: (after(parent, "y", seq=other, answer="y"), 50),
        50: (parent, None),
    }
    before = {p.row.head.seq: p.split for p in export(log, recipe_of("step"), watermark=49)[1]}
    assert before[one] != before[other]
    pipeline, placed = export(log, recipe_of("step"))
    assert {p.row.head.seq: p.split for p in placed} == {one: before[one], 50: before[one]}
    assert pipeline.ledger.stage_table()[-1]["dropped"] == {"split_conflict": 1}


def test_a_chain_that_opens_with_a_duplicate_goes_where_the_first_one_went() -> None:
    one, other = differing_pair()
    first, second = opened(one, "hello", "hi"), opened(other, "hello", "hi")
    log: Log = {
        one: (first, None),
        other: (second, None),
        90: (after(second, "then", seq=90, answer="so"), other),
    }
    _, placed = export(log, recipe_of("step"))
    assert [p.row.head.seq for p in placed] == [one, 90]
    assert len({p.split for p in placed}) == 1
    assert len({p.group for p in placed}) == 1


def test_a_duplicate_does_not_make_peace_between_two_splits() -> None:
    """`late` joins `orphan`, alone in one split until then, with a chain that follows its duplicate into the other."""
    one, orphan = differing_pair()
    late = after(opened(60, "hello", "hi"), "more", seq=70, answer="m")
    log: Log = {
        one: (opened(one, "hello", "hi"), None),
        orphan: (after(late, "x", seq=orphan, answer="x"), 70),
        60: (opened(60, "hello", "hi"), None),
        70: (late, 60),
    }
    _, placed = export(log, recipe_of("step", exact=False))
    assert [p.row.head.seq for p in placed] == [one, orphan, 70]
    assert placed[1].split == placed[2].split != placed[0].split


def test_duplicates_that_are_kept_stand_in_one_split_or_go() -> None:
    one, other = differing_pair()
    log: Log = {one: (opened(one, "hello", "hi"), None), other: (opened(other, "hello", "hi"), None)}
    _, placed = export(log, recipe_of("chain", exact=False))
    assert [p.row.head.seq for p in placed] == [one]
    _, placed = export(log, recipe_of("step", exact=False))
    assert {p.split for p in placed} == {placed[0].split}
    assert len(placed) == 2


def stood_in() -> Log:
    """The first of equal rows (2) goes to a conflict, 4 is written in its stead; then 8, equal to both."""
    first = {3: "b", 5: "a", 6: "b", 7: "a"}
    calls: dict[int, tuple[Call, int | None]] = {seq: (opened(seq, word, word), None) for seq, word in first.items()}
    for seq, parent, said in ((4, 3, "a"), (1, 4, "a"), (2, 3, "a"), (8, 6, "a")):
        answer = "a" if seq == 1 else "b"
        calls[seq] = (after(calls[parent][0], said, seq=seq, answer=answer), parent)
    return calls


def test_a_later_duplicate_stands_where_the_row_in_the_first_ones_stead_does() -> None:
    log = stood_in()
    _, placed = export(log, recipe_of("step", exact=False))
    rows = {row.row.head.seq: row for row in placed}
    assert rows.keys() == {1, 4, 5, 6, 7}  # 8 is drawn with 6, in the other split than 4
    assert rows[6].split != rows[4].split


def test_a_parent_that_is_gone_from_the_log_still_holds_its_children_together() -> None:
    forest = Forest(9, 0, HALVES)
    for seq in (5, 6, 7):
        forest.add(seq, completion_id(seq).bytes, 3)
    forest.grow()
    assert {forest.group(seq) for seq in (5, 6, 7)} == {completion_id(5).bytes}
    assert forest.chain(7) == completion_id(7).bytes


def test_a_link_that_moved_to_a_parent_filed_later_is_told_as_it_was() -> None:
    """4 was linked to 2 until its true parent 9, itself a continuation of 2, was filed."""
    forest = Forest(5, 0, HALVES)
    for seq, parent in ((2, None), (4, 9)):
        forest.add(seq, completion_id(seq).bytes, parent)
    assert forest.missing == {9}
    forest.add_later(9, 2)
    assert not forest.missing
    forest.grow()
    forest.mark(2)
    assert forest.above(4) == 2
    assert forest.group(4) == forest.chain(4) == completion_id(2).bytes


@pytest.mark.parametrize("unit", ["step", "chain"])
@settings(max_examples=150)
@given(logs(), st.booleans(), st.integers(0, 3))
@example(log={1: (opened(1), None)}, exact=True, seed=0)
@example(log=stood_in(), exact=False, seed=0)
def test_no_row_moves_when_the_log_grows_and_no_group_is_in_two_splits(
    unit: str, log: Log, exact: bool, seed: int
) -> None:
    recipe = recipe_of(unit, exact=exact, seed=seed)
    seen: dict[int, set[str]] = defaultdict(set)
    for watermark in range(1, max(log) + 1):
        _, placed = export(log, recipe, watermark=watermark)
        one_split_a_component(log, placed, watermark)
        for row in placed:
            seen[row.row.head.seq].add(row.split)
    assert all(len(splits) == 1 for splits in seen.values())


def one_split_a_component(log: Log, placed: list[Placed], watermark: int) -> None:
    """Components found here by another way: completions joined by links and by equal rows."""
    joined: dict[int, set[int]] = {seq: {seq} for seq in log if seq <= watermark}

    def join(one: int, other: int) -> None:
        both = joined[one] | joined[other]
        for seq in both:
            joined[seq] = both

    for seq in joined:
        over = log[seq][1]
        if over is not None and over > watermark:
            while over is not None and over > seq:
                over = log[over][1]
        if over is not None:
            join(seq, over)
    first: dict[bytes, int] = {}
    for row in placed:
        join(row.row.head.seq, first.setdefault(row.hash, row.row.head.seq))
    for row in placed:
        splits = {other.split for other in placed if other.row.head.seq in joined[row.row.head.seq]}
        assert splits == {row.split}
