"""`tailrace logs chain ID`: a conversation as a tree, from whichever of its completions it is asked for."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.commands import logs_chain
from tailrace.commands.logs_chain import tree
from tailrace.records import Json
from tailrace.store import read
from tailrace.store.engine import open_reader
from tailrace.store.read import Filed
from tests.commands.filed import N, id_of
from tests.commands.screen import on_a_terminal, plain
from tests.typed import Run
from tests.writer.filing import chat, store

TREE = f"""\
chain {id_of(N.HELLO)}  5 completions, 3 steps
  1. ok  0.5ms  {id_of(N.HELLO)[:13]}
user
    Hello
assistant
    Hi!
  2. ok  0.5ms  {id_of(N.BONN)[:13]}
     intent = confirm (human ada \\x1b]0;pwned\\x07\\x1b[31mred, r1)
     topics = travel, bonn (0.93, student)
     webhook crm.test: done after 2 attempts, for intent = question
user
    How do I get to Bonn?
assistant
    By train.
  │   2. retry ok  0.5ms  {id_of(N.AGAIN)[:13]}
  │ assistant
  │     By bus.
  │   2. branch ok  0.5ms  {id_of(N.ELSE)[:13]}
  │ user
  │     And to Rome?
  │ assistant
  │     All roads lead there.
  3. ok  0.5ms  {id_of(N.THANKS)[:13]}
user
    Thanks
assistant
    You are welcome.
"""


@pytest.mark.parametrize("n", [N.HELLO, N.THANKS, N.ELSE])
def test_a_chain_is_a_tree_with_each_answer_once(tailrace: Run, filed: Path, n: N) -> None:
    said = tailrace("logs", "chain", id_of(n), "--data-dir", filed)
    assert (said.code, said.err) == (0, "")
    assert said.out == TREE


def test_json_has_a_turn_a_line_with_what_was_new(tailrace: Run, filed: Path) -> None:
    said = tailrace("logs", "chain", id_of(N.BONN), "--json", "--data-dir", filed)
    turns = [orjson.loads(line) for line in said.out.splitlines()]
    assert [turn["seq"] for turn in turns] == [N.HELLO, N.BONN, N.AGAIN, N.ELSE, N.THANKS]
    assert [turn["relation"] for turn in turns] == ["start", "continue", "retry", "branch", "continue"]
    assert [turn["parent"] for turn in turns] == [None, *[id_of(N.HELLO)] * 3, id_of(N.BONN)]
    assert turns[1]["new_messages"] == [{"role": "user", "content": "How do I get to Bonn?"}]
    assert [sorted(turn["labels"]) for turn in turns] == [[], ["intent", "topics"], [], [], []]
    assert [len(turn["actions"]) for turn in turns] == [0, 1, 0, 0, 0]
    assert turns[1]["answer"]["choices"][0]["message"]["content"] == "By train."


@pytest.mark.parametrize("n", [N.HOSTILE, N.RESPONSE, N.CLAUDE, N.LIMITED])
def test_every_kind_of_completion_has_a_chain_that_steers_no_terminal(filed: Path, n: N) -> None:
    code, got = on_a_terminal("logs", "chain", id_of(n), "--data-dir", filed)
    assert code == 0
    assert plain(got)


def test_an_unknown_id_is_a_wrong_call(tailrace: Run, filed: Path) -> None:
    said = tailrace("logs", "chain", "00000000", "--data-dir", filed)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("tailrace: no completion has an id that begins with 00000000; ")


async def test_a_conversation_longer_than_the_stack_is_shown_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = []
    messages: list[Json] = []
    for n in range(1, 61):
        messages = [*messages, {"role": "user", "content": f"question {n}"}]
        answer = {"role": "assistant", "content": f"answer {n}"}
        made = chat(n, messages, answer)
        closed.append(replace(made, start=replace(made.start, step=n)))
        messages = [*messages, answer]
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as reader:
        await ingest.file(closed)
        rows = await read.chain(reader, str(closed[0].id), limit=50)
        title = str(logs_chain.title(rows))
        said = [
            str(line)
            async for turn in logs_chain.turns(reader, tree(rows))
            for line in logs_chain.lines(turn, {row.id: "x" for row in rows})
        ]
    assert title.endswith("60 completions, 60 steps; the first 50 of them")
    assert [line for line in said if "answer" in line] == [f"    answer {n}" for n in range(1, 51)]


@given(st.lists(st.integers(0, 12), max_size=40))
def test_a_tree_shows_each_once_below_its_parent_and_no_deeper_than_it_branches(parents: list[int]) -> None:
    """Completion `n` (from 1) has a parent among those before it, or none (0), or one that is not shown (13)."""
    rows = [
        cast("Filed", SimpleNamespace(seq=n, parent=None if (of := parent % n) == 0 else of))
        for n, parent in enumerate(parents, 1)
    ]
    places = tree(rows)
    assert sorted(place.row.seq for place in places) == [row.seq for row in rows]
    at = {place.row.seq: number for number, place in enumerate(places)}
    level = {place.row.seq: place.level for place in places}
    for row in rows:
        siblings = [other.seq for other in rows if other.parent == row.parent]
        above = 0 if row.parent is None else level[row.parent]
        assert level[row.seq] == above + (row.seq != siblings[0])
        assert row.parent is None or at[row.parent] < at[row.seq]
