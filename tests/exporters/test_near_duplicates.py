"""Near-duplicates: what is near and what is not, what becomes of them, and that the cost of one row stays the same."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace_exporters.near import Near
from tailrace_exporters.ngrams import Hasher, words
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import Near as Rule
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, after, completion_id, opened, said, user
from tests.exporters.pure import Log, export, logs
from tests.exporters.test_split import HALVES, differing_pair
from tests.typed import Run

WORDS = [f"w{n}" for n in range(5000)]


def row(seq: int, *turns: str, system: str = "", **fields: Json) -> Row:
    """A conversation: asked, answered, asked, answered; the answers are learned."""
    messages = [user(text) if n % 2 == 0 else said(text) for n, text in enumerate(turns)]
    whole = [{"role": "system", "content": system}, *messages]
    call = Call(seq, whole[:-1], whole[-1])
    made = Row(call, whole, None, None, None, tuple(each["role"] == "assistant" for each in whole), (call,))
    return replace(made, **fields)


def kept(rows: Sequence[Row], jaccard: float = 0.85) -> dict[int, list[int]]:
    """Of each row the rows that it is near, of those that stay; where it is near none it stays."""
    near = Near(Rule(jaccard=jaccard))
    found = {}
    for each in rows:
        found[each.head.seq] = near.kept(each)
        if not found[each.head.seq]:
            near.keep(each)
    return found


def text(dice: random.Random, size: int = 200) -> list[str]:
    return [dice.choice(WORDS) for _ in range(size)]


def changed(dice: random.Random, some: Sequence[str], count: int) -> list[str]:
    new = list(some)
    for at in dice.sample(range(len(new)), count):
        new[at] = f"new{dice.random()}"
    return new


def two_and_one_between(dice: random.Random) -> list[str]:
    """Two texts that are .67 alike, and a third that is .82 like each."""
    some = text(dice, 400)
    return [" ".join(each) for each in (changed(dice, some, 13), changed(dice, some, 13), some)]


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    a, b = ({tuple(some[n : n + 3]) for n in range(len(some) - 2)} for some in (one, other))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("threshold", [0.7, 0.85])
def test_what_is_near_is_found_and_what_is_not_is_left(threshold: float) -> None:
    """Over changes of all sizes: more than .12 from the threshold, which is over two sigma, only a few err."""
    dice = random.Random(7)
    wrong = clear = 0
    for seq in range(1, 600):
        asked, answered = text(dice, 300), text(dice, 300)
        count = dice.randint(0, 30)
        other = changed(dice, asked, count), changed(dice, answered, count)
        alike = min(jaccard(asked, other[0]), jaccard(answered, other[1]))
        pair = (row(2 * seq, *map(" ".join, (asked, answered))), row(2 * seq + 1, *map(" ".join, other)))
        if abs(alike - threshold) > 0.12:
            clear += 1
            wrong += bool(kept(pair, threshold)[2 * seq + 1]) is not (alike > threshold)
    assert clear > 100
    assert wrong <= 0.02 * clear


def test_a_long_system_prompt_or_document_that_many_share_makes_nothing_near() -> None:
    dice = random.Random(1)
    shared = " ".join(text(dice, 2000))
    prompted = [row(n, " ".join(text(dice, 20)), " ".join(text(dice, 20)), system=shared) for n in range(1, 30)]
    assert not any(kept(prompted).values())
    asked = [row(n, f"{shared} {' '.join(text(dice, 5))}", " ".join(text(dice, 20))) for n in range(1, 30)]
    assert not any(kept(asked).values())
    assert kept([row(1, shared, "the same answer"), row(2, f"{shared} then", "the same answer")])[2] == [1]


def test_the_steps_of_a_conversation_are_not_near_each_other() -> None:
    dice = random.Random(2)
    call = opened(1, " ".join(text(dice, 40)), " ".join(text(dice, 40)))
    log: dict[int, tuple[Call, int | None]] = {1: (call, None)}
    for seq in range(2, 31):
        call = after(call, " ".join(text(dice, 40)), seq=seq, answer=" ".join(text(dice, 40)))
        log[seq] = (call, seq - 1)
    _, placed = export(log, recipe_of("step"))
    assert len(placed) == 30


def test_short_texts_are_near_only_where_their_words_are_equal() -> None:
    said_so = [row(1, "yes", "ok"), row(2, "yes", "done"), row(3, "no", "ok"), row(4, "Yes!", " OK. "), row(5, "", "")]
    assert kept(said_so) == {1: [], 2: [], 3: [], 4: [1], 5: []}


def test_what_else_tells_rows_apart() -> None:
    base = row(1, "what is this", "a cat on a mat")
    image = {"type": "image_url", "image_url": {"url": "https://a/1.png"}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "what is this"}, image]}, base.messages[2]]
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]
    calling = [base.messages[1], {"role": "assistant", "content": None, "tool_calls": calls}]
    judged = Judgement("thumb", 1.0, wanted=False)
    rows = [
        base,
        replace(base, head=opened(2), messages=seen, train=(False, True)),
        replace(base, head=opened(3), messages=calling, train=(False, True)),
        replace(base, head=opened(4), kind=Kind.JUDGED, judgement=judged),
        replace(base, head=opened(5), kind=Kind.JUDGED, judgement=replace(judged, wanted=True)),
        replace(base, head=opened(6), kind=Kind.PREFERENCE, judgement=Judgement("retry", 1.0, rejected=said("a dog"))),
    ]
    assert not any(kept(rows).values())
    again = replace(rows[3], head=opened(7))
    assert kept([*rows, again])[7] == [4]
    spaced = [row(1, "猫はどこにいますか", "庭にいます"), row(2, "猫は どこに いますか", "庭に います")]
    assert kept(spaced)[2] == [1]


def test_a_row_is_compared_with_rows_that_stay_and_so_a_chain_of_likenesses_does_not_eat_them_all() -> None:
    """Each is near the one before it, and the last has nothing in common with the first."""
    dice = random.Random(3)
    some = text(dice, 300)
    rows = [row(1, "tell me", " ".join(some))]
    for seq in range(2, 41):
        some = [*some[8:], *text(dice, 8)]
        rows.append(row(seq, "tell me", " ".join(some)))
    found = kept(rows)
    stay = [seq for seq, near in found.items() if not near]
    assert 8 < len(stay) < 30
    assert all(seq in stay for near in found.values() for seq in near)


def test_the_first_of_several_kept_rows_is_named() -> None:
    dice = random.Random(4)
    rows = [row(n, "tell me", each) for n, each in enumerate(two_and_one_between(dice), 1)]
    assert kept(rows, 0.75) == {1: [], 2: [], 3: [1, 2]}


def test_signatures_are_the_same_everywhere() -> None:
    """A change here is another dataset from the same recipe."""
    dice = random.Random(5)
    near = Near(Rule(jaccard=0.85))
    near.kept(row(1, " ".join(text(dice)), " ".join(text(dice))))
    assert near._last[1].hex()[:32] == "adf0b9d80d0f8c1e36c39ddac61204df"
    assert Hasher(3).hashes([words("the same words everywhere")]).dtype == np.uint64


def test_the_cost_of_a_row_does_not_grow_where_all_begin_alike() -> None:
    dice = random.Random(6)
    shared, near = " ".join(text(dice, 400)), Near(Rule(jaccard=0.85))
    for seq in range(1, 400):
        near.kept(row(seq, shared, " ".join(text(dice, 30))))
        near.keep(row(seq, shared, " ".join(text(dice, 30))))
    assert all(len(there) <= 4 for there, _ in near._table._look(near._last[1]))
    assert len(near._table.alike(near._last[1])) <= 4 * 16
    held = sum(len(table) * 4 for table in near._table._tables) + near._table._signatures.buffer_info()[1] * 8
    assert held / 399 < 400


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=192, max_size=192), unique=True, min_size=1, max_size=30), st.booleans())
def test_bands_find_all_that_agree_in_one(drawn: list[bytes], wide: bool) -> None:
    near = Near(Rule(jaccard=0.85 if wide else 0.7))
    table, width = near._table, 8 if wide else 4
    for signature in drawn * 40:  # past the first tables' size
        table.add(signature)
    for number, signature in enumerate(drawn):
        assert number in table.alike(signature)
        assert table.signature(number) == signature
        other = bytes(byte ^ 255 for byte in signature)
        assert number in table.alike(other[:64] + signature[64 : 64 + width] + other[64 + width :])


def recipe_of(unit: str, keep: str = "first", seed: int = 0, *, jaccard: float = 0.85, **more: Json) -> Recipe:
    near = {"near": {"jaccard": jaccard, "keep": keep}}
    return Recipe.model_validate({"seed": seed, "assemble": {"unit": unit}, "dedupe": near | more, "split": HALVES})


def alike(dice: random.Random, *seqs: int) -> list[Call]:
    """First steps that differ in a word."""
    some = text(dice, 300)
    return [opened(seq, "tell me all", " ".join(changed(dice, some, 1))) for seq in seqs]


def test_dropped_rows_name_the_one_that_stays(tailrace: Run, tmp_path: Path) -> None:
    one, other = alike(random.Random(8), 1, 2)
    data, recipe = file_log(tmp_path / "data", {1: (one, None), 2: (other, None), 3: (opened(3), None)}), tmp_path / "r"
    recipe.write_text("[dedupe]\nnear = {jaccard = 0.85}\n")
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data).code == 0
    (line,) = map(orjson.loads, (tmp_path / "out" / "dropped.jsonl").read_bytes().splitlines())
    assert (line["stage"], line["reason"]) == ("near", "near_duplicate")
    assert (line["completions"], line["by"]) == ([str(completion_id(2))], str(completion_id(1)))
    assert tailrace("export", "verify", tmp_path / "out", "--data-dir", data).code == 0


def test_near_rows_that_stay_stand_in_one_split_or_go() -> None:
    one, other = differing_pair()
    first, second = alike(random.Random(9), one, other)
    log: Log = {one: (first, None), other: (second, None)}
    _, placed = export(log, recipe_of("step", "all"))
    assert len(placed) == 2
    assert len({(row.split, row.group) for row in placed}) == 1
    pipeline, placed = export(log, recipe_of("chain", "all"))
    assert [row.row.head.seq for row in placed] == [one]
    assert pipeline.ledger.stage_table()[-1]["dropped"] == {"split_conflict": 1}


def test_a_row_that_would_join_two_near_ones_of_two_splits_goes() -> None:
    dice = random.Random(4)
    one, other = differing_pair()
    answers = two_and_one_between(dice)
    log: Log = {n: (opened(n, "tell me", each), None) for n, each in zip((one, other, 50), answers, strict=True)}
    pipeline, placed = export(log, recipe_of("step", "all", jaccard=0.75))
    assert [row.row.head.seq for row in placed] == [one, other]
    assert placed[0].split != placed[1].split
    assert pipeline.ledger.stage_table()[-1]["dropped"] == {"split_conflict": 1}


def test_a_row_that_goes_for_another_reason_stands_for_nothing() -> None:
    """`other` is near `one`, which goes to a conflict; the next near one is then the first that stays."""
    one, other = differing_pair()
    parent = opened(50)
    dice = random.Random(11)
    some = text(dice, 300)
    near = [" ".join(changed(dice, some, 1)) for _ in range(2)]
    log: Log = {
        one: (after(parent, "x", seq=one, answer="x"), 50),
        other: (after(parent, "tell me", seq=other, answer=near[0]), 50),
        50: (parent, None),
        51: (after(parent, "tell me", seq=51, answer=near[1]), 50),
    }
    _, placed = export(log, recipe_of("step"))
    assert [row.row.head.seq for row in placed] == [one, 50, 51]


@pytest.mark.parametrize("keep", ["first", "all"])
@pytest.mark.parametrize("unit", ["step", "chain"])
@settings(max_examples=40)
@given(logs(), st.integers(0, 2), st.booleans())
def test_no_row_moves_when_the_log_grows(unit: str, keep: str, log: Log, seed: int, exact: bool) -> None:
    recipe = recipe_of(unit, keep, seed, exact=exact)
    seen: dict[int, str] = {}
    for watermark in range(1, max(log) + 1):
        _, placed = export(log, recipe, watermark=watermark)
        assert all(seen.setdefault(each.row.head.seq, each.split) == each.split for each in placed)
