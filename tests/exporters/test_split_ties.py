"""Splits by user and session: nobody in two splits, no row that moves; what would join two splits goes and counts."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Placed
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, after, completion_id, opened
from tests.exporters.pure import Log, export, logs
from tests.exporters.test_split import HALVES, differing_pair
from tests.typed import Run


def recipe_of(unit: str, by: Sequence[str], *, exact: bool = True, seed: int = 0) -> Recipe:
    split = {**HALVES, "by": by}
    values = {"seed": seed, "assemble": {"unit": unit}, "dedupe": {"exact": exact}, "split": split}
    return Recipe.model_validate(values)


def named(log: Log, users: Sequence[str | None], sessions: Sequence[str | None]) -> Log:
    called = zip(sorted(log), users, sessions, strict=False)
    return {seq: (replace(log[seq][0], user=user, session=session), log[seq][1]) for seq, user, session in called}


def conversation(log: Log, seq: int, watermark: int) -> Iterator[Call]:
    """A completion and all whose words it holds, by the links as they were at `watermark`."""
    at: int | None = seq
    while at is not None:
        yield log[at][0]
        over = log[at][1]
        if over is not None and over > watermark:  # its link waited then at what it had found by itself
            while over is not None and over > at:
                over = log[over][1]
        at = over


def ties(log: Log, row: Placed, watermark: int, by: Sequence[str]) -> set[tuple[str, str]]:
    """All that holds a row to others: its chain, whoever is named in it, its words."""
    told = list(conversation(log, row.row.head.seq, watermark))
    found = {(kind, str(getattr(call, kind))) for call in told for kind in by if getattr(call, kind) is not None}
    return found | {("chain", str(told[-1].seq)), ("words", row.hash.hex())}


def nothing_is_in_two_splits(log: Log, placed: Sequence[Placed], watermark: int, by: Sequence[str]) -> None:
    held = [(row, ties(log, row, watermark, by)) for row in placed]
    for (one, mine), (other, theirs) in combinations(held, 2):
        if mine & theirs:
            assert one.split == other.split, (mine & theirs, one.row.head.seq, other.row.head.seq)
        if {kind for kind, _ in mine & theirs} - {"words"}:
            assert one.group == other.group
        if one.group == other.group:
            assert one.split == other.split


NAMES = st.lists(st.sampled_from([None, "ann", "bob", "eve"]), min_size=9, max_size=9)


@pytest.mark.parametrize("unit", ["step", "chain"])
@settings(max_examples=100)
@given(logs(), NAMES, NAMES, st.sampled_from([["user"], ["session", "user"]]), st.booleans(), st.integers(0, 2))
def test_nobody_is_in_two_splits_and_no_row_moves_as_the_log_grows(
    unit: str, log: Log, users: list[str | None], sessions: list[str | None], by: list[str], exact: bool, seed: int
) -> None:
    log = named(log, users, sessions)
    recipe = recipe_of(unit, by, exact=exact, seed=seed)
    seen: dict[int, set[str]] = defaultdict(set)
    for watermark in range(1, max(log) + 1):
        pipeline, placed = export(log, recipe, watermark=watermark)
        nothing_is_in_two_splits(log, placed, watermark, by)
        split = next(stage for stage in pipeline.ledger.stage_table() if stage["stage"] == "split")
        assert split["in"] == split["out"] + split["dropped"].get("split_conflict", 0)
        for row in placed:
            seen[row.row.head.seq].add(row.split)
    assert all(len(splits) == 1 for splits in seen.values())


@pytest.mark.parametrize("seed", range(4))
def test_no_row_moves_when_the_log_is_ten_times_as_long(seed: int) -> None:
    dice, size = random.Random(seed), 300
    log: dict[int, tuple[Call, int | None]] = {}
    for seq in range(1, size + 1):
        user = dice.choice([None, *(f"user {n}" for n in range(60))])
        over = dice.choice([None, None, *log])
        if over is None or len(log[over][0].messages) > 8:
            log[seq] = (opened(seq, user=user), None)
        else:
            log[seq] = (after(log[over][0], f"more {seq}", seq=seq, answer=f"{seq}", user=user), over)
    recipe = recipe_of("step", ["user"], seed=seed)
    before = {row.row.head.seq: row.split for row in export(log, recipe, watermark=size // 10)[1]}
    _, placed = export(log, recipe)
    now = {row.row.head.seq: row.split for row in placed}
    assert len(before) > size // 20
    assert {seq: now[seq] for seq in before} == before
    nothing_is_in_two_splits(log, placed, size, ["user"])


def test_who_names_another_user_inside_a_chain_goes_with_all_that_follows() -> None:
    one, other = differing_pair()
    first = opened(one, user="ann")
    bridge = after(first, "I am bob now", seq=50, answer="hello bob", user="bob")
    log: Log = {
        one: (first, None),
        other: (opened(other, user="bob"), None),
        50: (bridge, one),
        51: (after(bridge, "and ann again", seq=51, answer="hello ann", user="ann"), 50),
        52: (opened(52, user="bob"), None),
        53: (opened(53, user="ann"), None),
    }
    pipeline, placed = export(log, recipe_of("step", ["user"]))
    splits = {row.row.head.seq: row.split for row in placed}
    assert splits.keys() == {one, other, 52, 53}
    assert splits[one] == splits[53] != splits[other] == splits[52]
    assert pipeline.ledger.stage_table()[-1]["dropped"] == {"split_conflict": 2}
    assert {row.row.head.seq: row.group for row in placed}[53] == completion_id(one).bytes


def test_a_session_and_a_user_hold_chains_together_by_way_of_others() -> None:
    """1 and 3 share nothing but what each shares with 2."""
    log: Log = {
        1: (opened(1, user="ann", session="s"), None),
        2: (opened(2, user="bob", session="s"), None),
        3: (opened(3, user="bob", session="t"), None),
    }
    for seed in range(8):
        _, placed = export(log, recipe_of("chain", ["user", "session"], seed=seed))
        assert len({row.split for row in placed}) == 1
        assert {row.group for row in placed} == {completion_id(1).bytes}


def test_an_export_by_user(tailrace: Run, tmp_path: Path) -> None:
    log: Log = {n: (opened(n, user=f"user {n % 4}", session="all" if n > 30 else None), None) for n in range(1, 41)}
    data, recipe = file_log(tmp_path / "data", log), tmp_path / "recipe.toml"

    def splits(by: str) -> dict[int, set[str]]:
        recipe.write_text(f"[split]\ntrain = 0.4\ntest = 0.6\nby = {by}\n")
        out = tmp_path / f"out {by}"
        said = tailrace("export", recipe, "--out", out, "--data-dir", data)
        assert said.code == 0, said.err
        assert tailrace("export", "verify", out, "--data-dir", data).code == 0
        numbers = {str(completion_id(n)): n for n in log}
        found: dict[int, set[str]] = defaultdict(set)
        for line in (out / "lineage.jsonl").read_bytes().splitlines():
            row = orjson.loads(line)
            found[numbers[row["learned"][0]] % 4].add(row["split"])
        return found

    assert any(len(each) == 2 for each in splits("[]").values())
    assert all(len(each) == 1 for each in splits('["user"]').values())
    tied = splits('["user", "session"]')
    assert all(len(each) == 1 for each in tied.values())


def test_what_holds_the_words_of_a_user_of_another_split_goes_though_it_names_nobody() -> None:
    """`one` and `other` waited for 50, which joins them; 61 then continues `other`."""
    one, other = differing_pair()
    late = opened(50)
    waiting = after(late, "I am bob", seq=other, answer="hello bob", user="bob")
    log: Log = {
        one: (after(late, "first", seq=one, answer="hello"), 50),
        other: (waiting, 50),
        49: (opened(49, user="bob"), None),
        50: (late, None),
        61: (after(waiting, "and then", seq=61, answer="so"), other),
    }
    _, placed = export(log, recipe_of("step", ["user"]))
    splits = {row.row.head.seq: row.split for row in placed}
    assert splits.keys() == {one, 49, 50}
    assert splits[one] == splits[50] != splits[49]


def test_a_session_whose_first_completion_is_kept_apart_is_in_one_split_all_the_same() -> None:
    one, other = differing_pair()
    first = opened(one, user="ann")
    log: dict[int, tuple[Call, int | None]] = {
        one: (first, None),
        other: (opened(other, user="bob"), None),
        50: (after(first, "I am bob now", seq=50, answer="hello bob", user="bob", session="s"), one),
        **{n: (opened(n, session="s"), None) for n in range(51, 60)},
    }
    _, placed = export(log, recipe_of("step", ["user", "session"]))
    splits = {row.row.head.seq: row.split for row in placed}
    assert splits.keys() == {one, other, *range(51, 60)}
    assert len({splits[n] for n in range(51, 60)}) == 1
