"""Completions find each other in whatever order they are filed."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tailrace.records import Closed, Endpoint
from tailrace.store.read import Filed
from tests.writer.filing import BORN_US, chat, kept, made, store

HELLO = {"role": "user", "content": "hello"}
HI = {"role": "assistant", "content": "hi"}
MORE = {"role": "user", "content": "more"}
ORDERS = list(itertools.permutations(range(4)))


def at(n: int, messages: list[Any], answer: Any, begin: int, end: int, **start: Any) -> Closed:
    """A chat completion from `begin` to `end`, in milliseconds."""
    return chat(n, messages, answer, started_us=BORN_US + begin * 1000, ended_us=BORN_US + end * 1000, **start)


def greeting(n: int, begin: int, end: int, **start: Any) -> Closed:
    return at(n, [HELLO], HI, begin, end, **start)


def after(n: int, begin: int, says: str = "more", **start: Any) -> Closed:
    """What continues a greeting."""
    user = {"role": "user", "content": says}
    return at(n, [HELLO, HI, user], {"role": "assistant", "content": f"answer {n}"}, begin, begin + 1, **start)


async def filed(folder: Path, *batches: Iterable[Closed]) -> dict[bytes, Filed]:
    async with store(folder) as (_, ingest):
        for batch in batches:
            assert (await ingest.file(list(batch))).dead_letters == 0
    return {row.id: row for row, _ in await kept(folder)}


def family(rows: dict[bytes, Filed], calls: list[Closed]) -> list[int | None]:
    """Of each call, the place of its parent; -1 for one that is not among them."""
    places = {rows[call.id.bytes].seq: place for place, call in enumerate(calls)}
    parents = [rows[call.id.bytes].parent for call in calls]
    return [None if parent is None else places.get(parent, -1) for parent in parents]


def assert_whole(rows: Iterable[Filed]) -> None:
    """What chains and parents say of their members is true."""
    rows = list(rows)
    for row in rows:
        children = [one for one in rows if one.parent == row.seq]
        assert row.children == len(children)
        assert {one.chain for one in children} <= {row.chain}
        assert sum(one.relation == "continue" for one in children) == bool(children)
        members = [one for one in rows if one.chain == row.chain]
        assert (row.chain_completions, row.chain_steps) == (len(members), max(one.step for one in members))
        assert row.chain_key == next(one.id for one in members if one.parent is None)


@pytest.mark.parametrize("order", ORDERS)
async def test_twins_are_continued_by_what_has_their_words_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    calls = [greeting(0, 0, 10), after(1, 20), greeting(2, 5, 30), after(3, 40)]
    rows = await filed(tmp_path, *([calls[n]] for n in order))
    found = family(rows, calls)
    assert found == [None, 0, None, 2] or (found == [None, 0, None, 0] and order.index(2) > order.index(3))
    assert_whole(rows.values())


@pytest.mark.parametrize("order", ORDERS)
async def test_a_branch_and_a_retry_say_so_in_any_order_of_their_parent(tmp_path: Path, order: tuple[int, ...]) -> None:
    calls = [greeting(0, 0, 10), after(1, 20), after(2, 30, "other words"), after(3, 40)]
    rows = await filed(tmp_path, [calls[n] for n in order if n], [calls[0]])
    assert [rows[call.id.bytes].relation for call in calls] == ["start", "continue", "branch", "retry"]
    assert family(rows, calls) == [None, 0, 0, 0]
    assert_whole(rows.values())


async def test_a_child_leaves_an_older_answer_for_the_one_it_awaited(tmp_path: Path) -> None:
    more = [HELLO, HI, MORE, {"role": "assistant", "content": "answer 1"}, HELLO]
    calls = [greeting(0, 0, 10), after(1, 20), at(2, more, HI, 30, 40), at(3, [*more, HI, MORE], HI, 50, 60)]
    async with store(tmp_path) as (_, ingest):
        await ingest.file([calls[0], calls[2], calls[3]])
    between = {row.id: row for row, _ in await kept(tmp_path)}
    assert between[calls[2].id.bytes].parent == between[calls[0].id.bytes].seq
    rows = await filed(tmp_path, [calls[1]])  # after a restart
    assert family(rows, calls) == [None, 0, 1, 2]
    assert len({row.chain for row in rows.values()}) == 1
    assert_whole(rows.values())


async def test_scope_time_and_evidence_hold_for_late_ones_too(tmp_path: Path) -> None:
    children = [
        after(1, 20, key="theirs"),
        after(2, 9),  # began before the greeting had ended
        after(3, 20, session="a", user="a"),
        after(4, 2_000_000_000),  # long after
    ]
    late = greeting(0, 0, 10, session="b", user="b")
    rows = await filed(tmp_path, children, [late])
    assert family(rows, [late, *children]) == [None] * 5
    rows = await filed(tmp_path, [greeting(5, 0, 11, session="a")])
    assert rows[children[2].id.bytes].link_kind == "session"


def response(n: int, says: str, begin: int, **asked: Any) -> Closed:
    body = {"model": "m", "input": says, **asked}
    items = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": says}]}]
    answer = {"id": f"resp_{n:020d}", "object": "response", "output": items}
    started_us = BORN_US + begin * 1000
    return made(n, orjson.dumps(body), orjson.dumps(answer), endpoint=Endpoint.RESPONSES, started_us=started_us)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_who_names_a_late_answer_joins_it_where_no_row_can_have_moved(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    calls = [response(0, "a", 0)]
    calls += [response(n, "b", n * 10, previous_response_id=f"resp_{n - 1:020d}") for n in (1, 2)]
    rows = await filed(tmp_path, *([calls[n]] for n in order))
    began_a_chain = order == (0, 2, 1)  # and would come to be in one that was there before it
    assert family(rows, calls) == [None, 0, None if began_a_chain else 1]
    assert_whole(rows.values())


async def test_who_was_taken_for_a_twins_continuation_waits_for_one_that_is(tmp_path: Path) -> None:
    more = [HELLO, HI, MORE, {"role": "assistant", "content": "answer"}, HELLO]
    calls = [greeting(0, 0, 10, session="a"), greeting(1, 0, 11), at(2, more, HI, 30, 40)]
    rows = await filed(tmp_path, calls)
    assert family(rows, calls) == [None, None, 1]
    answer = {"role": "assistant", "content": "answer"}
    calls.append(at(3, more[:3], answer, 20, 25, session="a"))
    rows = await filed(tmp_path, [calls[3]])
    assert family(rows, calls) == [None, None, 1, 0]
    calls.append(at(4, more[:3], answer, 20, 26))
    rows = await filed(tmp_path, [calls[4]])
    assert family(rows, calls) == [None, None, 4, 0, 1]
    assert_whole(rows.values())


async def test_a_named_parent_is_not_given_up_for_one_of_the_same_words(tmp_path: Path) -> None:
    calls = [response(0, "a", 0), response(1, "b", 10, previous_response_id=f"resp_{0:020d}")]
    rows = await filed(tmp_path, calls, [response(2, "a", 5)])
    assert family(rows, calls) == [None, 0]


async def test_a_continuation_of_a_further_choice_stays_with_it(tmp_path: Path) -> None:
    choices = [{"index": i, "message": {"role": "assistant", "content": text}} for i, text in enumerate(("yo", "hi"))]
    two = made(
        0, orjson.dumps({"messages": [HELLO]}), orjson.dumps({"choices": choices}), started_us=BORN_US,
        ended_us=BORN_US + 10_000,
    )  # fmt: skip
    calls = [two, after(1, 20), after(2, 30)]
    rows = await filed(tmp_path, calls, [at(3, [HELLO], {"role": "assistant", "content": "yo"}, 0, 12)])
    assert family(rows, calls) == [None, 0, 0]
    assert_whole(rows.values())
