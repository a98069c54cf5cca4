"""Judge, relabel, paraphrase: what is asked, what becomes of the row, and that the counts hold."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters import stages
from tailrace_exporters.asking import NOT_ASKED, Asker
from tailrace_exporters.judge import Judge, judge
from tailrace_exporters.paraphrase import Paraphrase
from tailrace_exporters.recipe import Recipe, parse_recipe
from tailrace_exporters.recipe_calls import Paraphrase as ParaphraseTable
from tailrace_exporters.recipe_tables import Split
from tailrace_exporters.rows import Judgement, Kind, Made, Placed, Row, Stage, teachers
from tailrace_exporters.surroundings import Surroundings
from tests.exporters.asked import answering, shown, silent
from tests.exporters.logged import Call, after, opened, said, user
from tests.exporters.pure import Log, export

ONE: Final[Log] = {1: (opened(1, "q", "a"), None)}
TWO: Final[Log] = {1: (opened(1, "q", "a"), None), 2: (after(opened(1, "q", "a"), "r", seq=2, answer="b"), 1)}


def recipe(text: str) -> Recipe:
    return parse_recipe(text, "recipe")


RELABEL: Final = recipe('[relabel]\nmodel = "big"')
PARAPHRASE: Final = recipe('[augment]\nparaphrase = {model = "small", per_row = 3}')


def judged(rule: str, asker: Asker, tmp_path: Path, log: Log = ONE) -> tuple[dict[str, int], list[Placed]]:
    (tmp_path / "rubric.md").write_text("5: kind. {rubric} stays as it is.")
    wanted = recipe(f'[filter]\njudge = {{model = "j", rubric = "rubric.md"{rule}}}')
    pipeline, placed = export(log, wanted, asker=asker, folder=tmp_path)
    return dict(pipeline.ledger.stages[Stage.JUDGE].dropped), placed


@pytest.mark.parametrize(
    ("rule", "text", "dropped"),
    [
        ("", '{"reason": "good", "score": 4}', {}),
        ("", '{"reason": "bad", "score": 3}', {"score:3": 1}),
        ("", '```json\n{"reason": "fenced", "score": 5}\n```', {}),
        (", keep_at_least = 1", '{"score": 1}', {}),
        ("", '{"score": 6}', {"off_scale": 1}),
        ("", '{"score": "5"}', {"off_scale": 1}),
        ("", '{"score": true}', {"off_scale": 1}),
        ("", '{"score": 4.0}', {"off_scale": 1}),
        ("", "five", {"off_scale": 1}),
        ("", "[" * 100_000, {"off_scale": 1}),
        (', off_scale = "keep"', "five", {}),
    ],
)
def test_a_row_is_kept_from_a_score_on(rule: str, text: str, dropped: dict[str, int], tmp_path: Path) -> None:
    found, placed = judged(rule, answering(lambda _: text), tmp_path)
    assert found == dropped
    assert len(placed) == (0 if dropped else 1)
    assert not any(each.row.made for each in placed)


def test_a_judge_is_shown_the_row_as_data_and_the_rubric_as_it_is(tmp_path: Path) -> None:
    seen: list[Json] = []
    judged("", answering(lambda _: '{"score": 5}', seen=seen), tmp_path, TWO)
    (request,) = seen
    assert "5: kind. {rubric} stays as it is." in request["messages"][0]["content"]
    assert shown(request)["graded"] == [2, 4]
    assert [message["content"] for message in shown(request)["conversation"]][1:] == ["q", "a", "r", "b"]
    schema = request["response_format"]["json_schema"]["schema"]["properties"]
    assert (list(schema), schema["score"]["enum"]) == (["reason", "score"], [1, 2, 3, 4, 5])


@pytest.mark.parametrize("word", ["unanswered:provider_error", "unanswered:no_answer"])
def test_no_answer_costs_the_row_with_its_reason(word: str, tmp_path: Path) -> None:
    assert judged("", silent(word), tmp_path)[0] == {word: 1}
    pipeline, placed = export(ONE, RELABEL, asker=silent(word))
    assert (pipeline.ledger.stages[Stage.RELABEL].dropped, placed) == ({word: 1}, [])
    pipeline, placed = export(ONE, PARAPHRASE, asker=silent(word))
    assert (pipeline.ledger.stages[Stage.PARAPHRASE].dropped, len(placed)) == ({word: 1}, 1)


def test_where_nobody_is_asked_rows_pass_as_they_are(tmp_path: Path) -> None:
    assert len(judged("", silent(NOT_ASKED), tmp_path)[1]) == 1
    for wanted in (RELABEL, PARAPHRASE):
        (placed,) = export(ONE, wanted, asker=silent(NOT_ASKED))[1]
        assert placed.row.made == ()


def test_a_rubric_must_be_there_and_text(tmp_path: Path) -> None:
    wanted = recipe('[filter]\njudge = {model = "j", rubric = "rubric.md"}')
    around = Surroundings(tmp_path, {})
    with pytest.raises(RecipeError, match=r"rubric\.md: cannot be read"):
        judge(wanted, around)
    (tmp_path / "rubric.md").write_bytes(b"a\xff")
    with pytest.raises(RecipeError, match=r"rubric\.md: byte 1 is no UTF-8"):
        judge(wanted, around)
    (tmp_path / "rubric.md").write_bytes(b"a")
    assert judge(wanted, around) is not None
    assert list(around.inputs) == ["rubric.md"]


def test_a_row_to_be_avoided_is_not_judged_for_being_bad() -> None:
    wanted = recipe('[filter]\njudge = {model = "j", rubric = "r"}').filter.judge
    assert wanted is not None
    stage = Judge(wanted, "rubric")
    row = a_row(kind=Kind.JUDGED, judgement=Judgement("thumb_down", None, wanted=False))
    assert not stage.asks(row)
    assert list(stage.take(row, {})) == [row]
    assert stage.asks(replace(row, judgement=Judgement("thumb_up", None)))


def a_row(**fields: Json) -> Row:
    call = opened(1, "q", "a")
    made = Row(call, call.conversation, None, None, None, (False, False, True), (call,))
    return replace(made, **fields)


def test_relabelled_is_the_last_answer_and_only_it_is_learned() -> None:
    seen: list[Json] = []
    (placed,) = export(TWO, RELABEL, asker=answering(lambda _: "better", seen=seen))[1]
    row = placed.row
    assert [message["content"] for message in seen[0]["messages"]][1:] == ["q", "a", "r"]
    assert [message["content"] for message in row.messages][1:] == ["q", "a", "r", "better"]
    assert row.train == (False, False, False, False, True)
    assert ([each.seq for each in row.learned], [each.seq for each in row.context]) == ([2], [1])
    (made,) = row.made
    assert (made.stage, made.by, made.depth, len(made.answers)) == (Stage.RELABEL, "lab/big", 1, 1)
    assert teachers(row) == ["lab/big"]


def test_relabelling_asks_with_the_tools_and_the_format_of_the_request() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    params = {"tools": tools, "parallel_tool_calls": False, "temperature": 1}
    seen: list[Json] = []
    log: Log = {1: (Call(1, [user("q")], said("a"), params), None)}
    export(log, RELABEL, asker=answering(lambda _: "better", seen=seen))
    assert {key: value for key, value in seen[0].items() if key != "messages"} == {
        "model": "big", "tools": tools, "parallel_tool_calls": False,
    }  # fmt: skip


def test_a_new_answer_that_was_cut_is_not_learned() -> None:
    pipeline, placed = export(ONE, RELABEL, asker=answering(lambda _: "bet", finish="length"))
    assert (pipeline.ledger.stages[Stage.RELABEL].dropped, placed) == ({"finish:length": 1}, [])


@pytest.mark.parametrize(("text", "dropped"), [('{"n": "one"}', {"answer_disobeys_schema": 1}), ('{"n": 1}', {})])
def test_a_new_answer_obeys_its_request_where_answers_must(text: str, dropped: dict[str, int]) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}
    log: Log = {1: (Call(1, [user("q")], said('{"n": 0}'), asked), None)}
    wanted = recipe('[filter]\nschema = true\n[relabel]\nmodel = "big"')
    pipeline, placed = export(log, wanted, asker=answering(lambda _: text))
    assert (pipeline.ledger.stages[Stage.RELABEL].dropped, len(placed)) == (dropped, 1 - len(dropped))


def test_variants_are_rows_of_their_own_and_the_others_are_counted() -> None:
    told = {"variant_1": "Q? please", "variant_2": " q ", "variant_3": "q?  PLEASE"}
    pipeline, placed = export(ONE, PARAPHRASE, asker=answering(lambda _: json.dumps(told)))
    assert [each.row.messages[1]["content"] for each in placed] == ["q", "Q? please"]
    assert [each.row.messages[2] for each in placed] == [said("a")] * 2
    count = pipeline.ledger.stages[Stage.PARAPHRASE]
    assert (count.came, count.made, count.went) == (1, 3, 2)
    assert count.dropped == {"same_as_original": 1, "repeated_variant": 1}
    assert placed[1].row.made == (Made(Stage.PARAPHRASE, "lab/small", placed[1].row.made[0].answers, 1),)
    assert placed[0].group == placed[1].group


def test_a_variant_learns_only_what_answers_it() -> None:
    told = {"variant_1": "R!", "variant_2": "", "variant_3": 7}
    pipeline, placed = export(TWO, PARAPHRASE, asker=answering(lambda _: json.dumps(told)))
    variant = placed[1].row
    assert [message["content"] for message in variant.messages][1:] == ["q", "a", "R!", "b"]
    assert variant.train == (False, False, False, False, True)
    assert ([each.seq for each in variant.learned], [each.seq for each in variant.context]) == ([2], [1])
    assert pipeline.ledger.stages[Stage.PARAPHRASE].dropped == {"no_variant": 2}


@pytest.mark.parametrize(
    ("content", "shown_as"),
    [
        ([{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}], "q"),
        ([{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "u"}}], None),
        ([{"type": "image_url", "image_url": {"url": "u"}}], None),
        ("  ", None),
        (None, None),
        ("\ud800", None),
    ],
)
def test_only_texts_are_said_in_other_words(content: Json, shown_as: str | None) -> None:
    stage = Paraphrase(ParaphraseTable(model="small", per_row=1))
    row = a_row(messages=[{"role": "user", "content": content}, said("a")], train=(False, True))
    asks = stage.asks(row)
    assert [shown(json.loads(ask.body))["message"] for ask in asks] == ([] if shown_as is None else [shown_as])
    if not asks:
        assert list(stage.take(row, {})) == [row]


@given(st.lists(st.one_of(st.none(), st.sampled_from(("q", "Q ", "x", "X", "y  z", "y z"))), min_size=3, max_size=3))
def test_no_variant_repeats_another_and_the_counts_hold(texts: list[str | None]) -> None:
    told = {f"variant_{n}": text for n, text in enumerate(texts, 1)}
    split = PARAPHRASE.model_copy(update={"split": Split.model_validate({"train": 0.5, "valid": 0.5})})
    log: Log = {n: (opened(n, "q", f"a{n}"), None) for n in range(1, 5)}
    pipeline, placed = export(log, split, asker=answering(lambda _: json.dumps(told)))
    said_words = [(each.row.head.seq, " ".join(each.row.messages[1]["content"].split()).casefold()) for each in placed]
    assert len(set(said_words)) == len(said_words)
    for each in placed:
        assert not each.row.made or each.split == "train"
    count = pipeline.ledger.stages[Stage.PARAPHRASE]
    assert count.came + count.made == count.went + count.dropped.total() == 4 * 4


def test_variants_outside_of_the_first_split_are_dropped() -> None:
    log: Log = {n: (opened(n), None) for n in range(1, 21)}
    asker = answering(lambda request: json.dumps({"variant_1": f"please, {shown(request)['message']}"}))
    one = recipe('[augment]\nparaphrase = {model = "small", per_row = 1}\n[split]\ntrain = 0.5\ntest = 0.5')
    pipeline, placed = export(log, one, asker=asker)
    by_split = {name: [bool(each.row.made) for each in placed if each.split == name] for name in ("train", "test")}
    assert by_split["train"].count(True) == by_split["train"].count(False) > 0
    assert by_split["test"]
    assert not any(by_split["test"])
    assert pipeline.ledger.stages[Stage.AUGMENT].dropped == {"held_out": len(by_split["test"])}


def test_what_no_json_carries_is_shown_to_no_model() -> None:
    log: Log = {1: (Call(1, [user("q") | {"n": 2**70}], said("a")), None)}
    pipeline, _ = export(log, RELABEL, asker=answering(lambda _: "better"))
    assert pipeline.ledger.stages[Stage.RELABEL].dropped == {"unencodable": 1}


def test_rows_that_prefer_an_answer_keep_it() -> None:
    row = a_row(kind=Kind.PREFERENCE, judgement=Judgement("corrected", None, rejected=said("x")))
    for wanted in (RELABEL, PARAPHRASE):
        for stage in stages_of(wanted):
            assert not stage.asks(row)
            assert list(stage.take(row, {})) == [row]


def stages_of(wanted: Recipe) -> list[Json]:
    around = Surroundings(Path(), {})
    return list(stages.wanted(stages.BEFORE_DEDUPE, wanted, around).values())
