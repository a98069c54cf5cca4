"""Preference mining: each reason, what is never mined, and that a store is read as of the watermark."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from tailrace.chains.turns import turn_of
from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace.store.engine import open_reader, open_writer
from tailrace.store.query import Marks
from tailrace_exporters import build
from tailrace_exporters.assemble import conversation
from tailrace_exporters.engines import local
from tailrace_exporters.files import NoFiles
from tailrace_exporters.mine import Member, Miner, Opinion, Said
from tailrace_exporters.pipeline import Pipeline
from tailrace_exporters.recipe import parse_recipe
from tailrace_exporters.recipe_prefer import Prefer
from tailrace_exporters.rows import Dropped, Kind, Placed, Row, Stage
from tailrace_exporters.surroundings import Surroundings
from tests.exporters.filing import TABLES, file_log
from tests.exporters.logged import Call, after, echoed, opened, said, user
from tests.exporters.pure import Log, logs
from tests.store.plans import planned

BOTH: Final = frozenset({Kind.PREFERENCE, Kind.JUDGED})
RULE: Final = Prefer(
    classifier="reply", accept=("thanks",), reject=("no",), min_confidence=0.5, good_score=0.8, bad_score=0.2
)
NO, THANKS = Said("no", 0.9), Said("thanks", 0.8)


def member(call: Call, parent: int | None = None, *, good: bool = True, **fields: Any) -> Member:
    found = conversation(call.exchange)
    assert not isinstance(found, str)
    return Member(call, parent, found, is_admitted=good, **fields)


def mined(members: Sequence[Member], rule: Prefer = RULE, kinds: frozenset[Kind] = BOTH) -> list[Row | Dropped]:
    return list(Miner(rule, kinds).rows(members))


def told(found: Sequence[Row | Dropped]) -> list[tuple[str, str, str | None]]:
    """Reason, the last message's words, and those that are not preferred."""
    return [
        (each.judgement.reason, words(each.messages[-1]), words(each.judgement.rejected))
        for each in found
        if isinstance(each, Row) and each.judgement is not None and each.kind is Kind.PREFERENCE
    ]  # fmt: skip


def words(message: Json) -> str:
    return str(message.get("content") or message["tool_calls"][0]["function"]["arguments"])


def dropped(found: Sequence[Row | Dropped]) -> list[str]:
    return [each.reason for each in found if isinstance(each, Dropped)]


FIRST: Final = opened(1, "q", "bad")
SECOND: Final = after(FIRST, "no!", seq=2, answer="good")
THIRD: Final = after(SECOND, "ah", seq=3, answer="bye")


def test_a_correction_is_preferred_to_what_it_corrects() -> None:
    corrected = Opinion("user", correction={"role": "assistant", "content": "better"})
    older = Opinion("user", correction="worse")
    (row,) = mined([member(FIRST, good=False, opinions=(older, corrected))])
    assert told([row]) == [("corrected", "better", "bad")]
    assert isinstance(row, Row)
    assert row.judgement is not None
    assert (row.judgement.confidence, row.judgement.rejected_by) == (None, (FIRST,))
    assert [(made.by, made.answers, made.depth) for made in row.made] == [("user", (), 0)]
    assert row.train == (False, False, True)


@pytest.mark.parametrize("correction", [7, {"role": "user", "content": "x"}, {"role": "assistant", "content": None}])
def test_a_correction_that_is_no_answer_is_counted(correction: Json) -> None:
    assert dropped(mined([member(FIRST, opinions=(Opinion("u", correction=correction),))])) == ["unreadable_correction"]


def test_a_user_rejects_and_accepts_by_labels_thumbs_or_scores() -> None:
    first, second, third = member(FIRST), member(SECOND, 1), member(THIRD, 2)
    by_labels = mined(
        [first, replace(second, said=NO), replace(third, said=THANKS)], kinds=frozenset({Kind.PREFERENCE})
    )
    assert told(by_labels) == [("rejected", "good", "bad")]
    assert isinstance(by_labels[0], Row)
    assert by_labels[0].judgement is not None
    assert by_labels[0].judgement.confidence == pytest.approx(0.7)
    for down, up in ((Opinion("u", "down"), Opinion("u", "up")), (Opinion("u", score=0.1), Opinion("u", score=0.9))):
        found = mined([replace(first, opinions=(down,)), replace(second, opinions=(up,))])
        assert told(found) == [("rejected", "good", "bad")]
    assert told(mined([first, replace(second, said=NO), third])) == []
    assert told(mined([first, second, replace(third, said=THANKS)])) == []


def test_what_is_too_unsure_is_dropped_and_what_is_not_known_is_not() -> None:
    unsure = [member(FIRST), member(SECOND, 1, said=Said("no", 0.6)), member(THIRD, 2, said=Said("thanks", 0.6))]
    assert dropped(mined(unsure, kinds=frozenset({Kind.PREFERENCE}))) == ["confidence"]
    unknown = [member(FIRST), member(SECOND, 1, said=Said("no", None)), member(THIRD, 2, said=THANKS)]
    (row,) = mined(unknown, kinds=frozenset({Kind.PREFERENCE}))
    assert isinstance(row, Row)
    assert row.judgement is not None
    assert row.judgement.confidence is None


def test_what_was_gone_on_with_is_preferred_to_what_was_asked_before() -> None:
    retry = replace(FIRST, seq=2, answer=said("good"))
    next_ = after(retry, "and?", seq=3, answer="x")
    assert told(mined([member(FIRST), member(retry), member(next_, 2)])) == [("regenerated", "good", "bad")]
    assert told(mined([member(FIRST, good=False), member(retry), member(next_, 2)])) == [("regenerated", "good", "bad")]
    assert told(mined([member(FIRST), member(retry)])) == []  # nobody chose
    assert told(mined([member(FIRST), member(retry, good=False), member(next_, 2)])) == []
    other = after(FIRST, "and?", seq=4, answer="x")
    assert told(mined([member(FIRST), member(retry), member(next_, 2), member(other, 1)])) == []
    assert dropped(mined([member(FIRST), member(replace(retry, answer=said("bad"))), member(next_, 2)])) == [
        "same_answer"
    ]


SCHEMA: Final[Json] = {
    "type": "json_schema",
    "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {}}, "required": ["a"]}},
}


def test_an_answer_that_obeys_is_preferred_to_one_that_does_not() -> None:
    first = replace(FIRST, params={"response_format": SCHEMA}, answer=said('{"a'), finish_reason="length")
    retry = replace(first, seq=2, answer=said('{"a": 1}'), finish_reason="stop")
    assert told(mined([member(first, good=False), member(retry)])) == [("schema", '{"a": 1}', '{"a')]
    again = replace(after(first, "invalid", seq=2, answer='{"a": 2}'), params=first.params)
    assert told(mined([member(first), member(again, 1)])) == [("schema", '{"a": 2}', '{"a')]
    assert told(mined([member(first), member(replace(again, params={}), 1)])) == []  # it was asked for something else
    assert told(mined([member(retry), member(replace(first, seq=3))])) == []
    assert told(mined([member(first), member(replace(retry, answer=said("{}")))])) == []


def calling(arguments: str, id_: str) -> Json:
    call = {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def with_result(call: Call, seq: int, result: str, answer: Json) -> Call:
    id_ = call.answer["tool_calls"][0]["id"]
    tool = {"role": "tool", "tool_call_id": id_, "content": result}
    return replace(call, seq=seq, messages=[*call.messages, echoed(call.answer), tool], answer=answer)


@pytest.mark.parametrize(
    ("first_result", "second_result", "is_pair"),
    [
        ('{"error": "no such city"}', '{"t": 7}', True),
        ("Error: no such city", "7 degrees", True),
        ('{"success": false}', '{"success": true, "error": null}', True),
        ('{"error": "no such city"}', '{"error": "again"}', False),
        ('{"t": 7}', '{"t": 8}', False),
        ("7", "8", False),
    ],
)
def test_a_call_that_succeeds_is_preferred_to_one_that_failed(
    first_result: str, second_result: str, *, is_pair: bool
) -> None:
    first = Call(1, [user("weather?")], calling('{"city": "X"}', "c1"))
    second = with_result(first, 2, first_result, calling('{"city": "Y"}', "c2"))
    third = with_result(second, 3, second_result, said("7"))
    found = mined([member(first), member(second, 1), member(third, 2)])
    assert told(found) == ([("tool_error", '{"city": "Y"}', '{"city": "X"}')] if is_pair else [])


def judged(found: Sequence[Row | Dropped]) -> list[tuple[str, bool, float | None]]:
    return [
        (each.judgement.reason, each.judgement.wanted, each.judgement.confidence)
        for each in found
        if isinstance(each, Row) and each.judgement is not None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("opinions", "label", "good", "expected"),
    [
        ([Opinion("u", "up")], None, True, [("thumb", True, None)]),
        ([Opinion("u", "down")], None, False, [("thumb", False, None)]),
        ([Opinion("u", score=0.8)], None, True, [("score", True, None)]),
        ([Opinion("u", score=0.5)], None, True, []),
        ([Opinion("u", score=0.2)], NO, True, [("score", False, None)]),
        ([], NO, True, [("label", False, 0.9)]),
        ([], THANKS, True, [("label", True, 0.8)]),
        ([], Said("thanks", 0.4), True, ["confidence"]),
        ([], Said("other", 0.9), True, []),
        ([], Said(["no"], 0.9), True, []),
        ([Opinion("u", "up"), Opinion("v", "down")], None, True, ["contradicted"]),
        ([Opinion("u", "up")], None, False, ["not_good_enough"]),
    ],
)
def test_answers_are_judged_by_the_first_sign(
    opinions: list[Opinion], label: Said | None, expected: list[Json], *, good: bool
) -> None:
    members = [member(FIRST, good=good, opinions=opinions), member(SECOND, 1, said=label)]
    found = mined(members, kinds=frozenset({Kind.JUDGED}))
    assert [*judged(found), *dropped(found)] == expected
    for each in found:
        if isinstance(each, Row):
            assert (each.kind, words(each.messages[-1]), each.head.seq) == (Kind.JUDGED, "bad", 1)


OPINIONS: Final = st.lists(
    st.builds(
        Opinion, st.just("u"), st.sampled_from((None, "up", "down")), st.sampled_from((None, 0.1, 0.9)),
        st.sampled_from((None, "a", "c")),
    ), max_size=2,
)  # fmt: skip
SAID: Final = st.one_of(
    st.none(), st.builds(Said, st.sampled_from(("no", "thanks", "x")), st.sampled_from((None, 0.9)))
)


@given(logs(late=False), st.data())
def test_no_answer_is_preferred_to_itself_and_none_that_was_refused_is_learned(log: Log, data: st.DataObject) -> None:
    members = [
        member(call, parent, good=data.draw(st.booleans()), said=data.draw(SAID), opinions=data.draw(OPINIONS))
        for call, parent in log.values()
    ]
    good = {each.seq for each in members if each.is_admitted}
    seen = set()
    for row in mined(members):
        if isinstance(row, Dropped):
            assert row.stage is Stage.MINE
            continue
        assert row.judgement is not None
        assert row.train == (False,) * (len(row.messages) - 1) + (True,)
        if row.kind is Kind.PREFERENCE:
            assert row.judgement.rejected is not None
            assert turn_of(row.messages[-1]) != turn_of(row.judgement.rejected)
            assert row.head.seq in good or row.judgement.reason == "corrected"
            (worse,) = row.judgement.rejected_by
            assert conversation(log[worse.seq][0].exchange).messages[:-1] == row.messages[:-1]  # type: ignore[union-attr]
            assert (worse.seq, row.head.seq) not in seen
            seen.add((worse.seq, row.head.seq))
        elif row.judgement.wanted:
            assert row.head.seq in good


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('reject = ["no"]', "classifier goes with accept and reject"),
        ('classifier = "c"', "classifier goes with accept and reject"),
        ('classifier = "c"\nreject = ["no"]\naccept = ["no"]', "a label cannot both accept and reject"),
        ("good_score = 0.2\nbad_score = 0.2", "bad_score must be below good_score"),
    ],
)
def test_a_table_that_contradicts_itself_is_told(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_recipe(f"[prefer]\n{text}", "recipe")


# ---- over a store

FILED: Final[Log] = {
    1: (FIRST, None),
    2: (replace(FIRST, seq=2, answer=said("good")), None),
    3: (after(replace(FIRST, seq=2, answer=said("good")), "r", seq=3, answer="x"), 2),
    4: (opened(4, "q", "bad"), None),
    5: (after(opened(4, "q", "bad"), "no!", seq=5, answer="best", model="other"), 4),
}
"""Two chains that begin with the same words."""


def feedback(data_dir: Path, rows: Sequence[tuple[int, dict[str, Json]]]) -> None:
    async def work() -> None:
        async with open_writer(data_dir) as connection:
            for seq, (completion, fields) in enumerate(rows, 1):
                row = {"seq": seq, "id": f"f{seq}", "at_us": 0, "project": "default", "target": "x", "source": "user"}
                await connection.execute(insert(TABLES["feedback"]), [row | {"completion": completion} | fields])
            await connection.commit()

    asyncio.run(work())


def exported(data_dir: Path, text: str, marks: Marks | None = None) -> tuple[Pipeline, list[Placed]]:
    async def work() -> tuple[Pipeline, list[Placed]]:
        placed: list[Placed] = []
        async with open_reader(data_dir) as connection:
            log = local.Log(connection, marks or await build.latest(connection))
            recipe, around = parse_recipe(text, "recipe"), Surroundings(Path(), {})
            async with planned(connection) as plans:
                pipeline = await local.run(log, recipe, around, NoFiles(), progress=lambda *_: None, look=placed.append)
            assert not [step for step, statement in plans.reading_all() if "feedback" in statement]
            assert plans.using("completion_chain")
            assert plans.using("feedback_completion")
        return pipeline, placed

    return asyncio.run(work())


RECIPE: Final = '[write]\nformats = ["openai-chat", "trl-preference", "trl-kto"]\n'


@pytest.mark.parametrize("unit", ["chain", "step"])
def test_a_log_is_mined_chain_by_chain_as_of_the_watermark(tmp_path: Path, unit: str) -> None:
    data_dir = file_log(tmp_path / "data", FILED)
    better = orjson.dumps({"role": "assistant", "content": "better"})
    feedback(data_dir, [(4, {"thumb": "down"}), (5, {"thumb": "up"}), (1, {"correction": better})])
    text = f'[assemble]\nunit = "{unit}"\n[select]\nwhere = \'model = "gpt-5"\'\n{RECIPE}'
    pipeline, placed = exported(data_dir, text)
    found = [each.row for each in placed if each.row.judgement is not None]
    assert sorted(told(found)) == [("corrected", "better", "bad")]
    assert [(row.head.seq, row.judgement and row.judgement.wanted) for row in found if row.kind is Kind.JUDGED] == [
        (4, False)
    ]
    count = pipeline.ledger.stages[Stage.MINE]
    assert (count.made, count.dropped) == (2 + 1, {"not_good_enough": 1})  # 5 was not selected, and is liked
    assert count.came + count.made == count.went + count.dropped.total()

    _, placed = exported(data_dir, text, Marks(completions=5, feedback=1))
    assert [each.row.head.seq for each in placed if each.row.judgement is not None] == [4]


def test_a_rejected_answer_may_be_one_that_was_refused(tmp_path: Path) -> None:
    cut = replace(FIRST, status="client_closed", finish_reason=None)
    again = replace(after(cut, "no!", seq=2, answer="good"), finish_reason="stop", status="ok")
    data_dir = file_log(tmp_path / "data", {1: (cut, None), 2: (again, 1)})
    feedback(data_dir, [(1, {"thumb": "down"}), (2, {"thumb": "up"})])
    _, placed = exported(data_dir, RECIPE)
    (row,) = [each.row for each in placed if each.row.kind is Kind.PREFERENCE]
    assert told([row]) == [("rejected", "good", "bad")]
    assert len({each.split for each in placed}) == 1


def test_where_no_format_takes_it_nothing_is_mined(tmp_path: Path) -> None:
    data_dir = file_log(tmp_path / "data", FILED)

    async def stages() -> list[Stage]:
        async with open_reader(data_dir) as connection:
            log = local.Log(connection, await build.latest(connection))
            recipe = parse_recipe("", "recipe")
            pipeline = await local.run(log, recipe, Surroundings(Path(), {}), NoFiles(), progress=lambda *_: None)
            return list(pipeline.ledger.stages)

    assert Stage.MINE not in asyncio.run(stages())


def test_equal_mined_rows_move_no_chain(tmp_path: Path) -> None:
    cut = replace(FIRST, status="client_closed")
    other = replace(cut, seq=3)
    one, two = after(FIRST, "r", seq=2, answer="x"), after(other, "s", seq=4, answer="y", status="ok")
    log: Log = {1: (cut, None), 2: (one, 1), 3: (other, None), 4: (two, 3)}
    data_dir = file_log(tmp_path / "data", log)
    better = orjson.dumps("better")
    feedback(data_dir, [(1, {"correction": better}), (3, {"correction": better}), (4, {"thumb": "up"})])
    apart = 0
    for seed in (0, 1, 6, 10):
        text = f'seed = {seed}\n[assemble]\nunit = "step"\n[split]\ntrain = 0.5\ntest = 0.5\n{RECIPE}'
        _, placed = exported(data_dir, text)
        by_chain = {chain: {each.split for each in placed if each.chain == chain} for chain in (cut.id, other.id)}
        assert all(len(splits) == 1 for splits in by_chain.values())
        apart += by_chain[cut.id] != by_chain[other.id]
    assert apart
