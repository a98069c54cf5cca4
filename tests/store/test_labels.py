"""What is read of labels, on a real store filed by the writer's ingest: right, in pages, and by index."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Action, Closed, Json, Label, Labelled, LabelSource, Origin
from tailrace.store import classifiers, labels, read
from tailrace.store.query import Marks, compile_where, parse
from tailrace.store.query.fields import COMPLETION
from tests.store.plans import is_scan, planned
from tests.writer.filing import chat, store

CHAINS: Final = 4
STEPS: Final = 5


def said(role: str, text: str) -> Json:
    return {"role": role, "content": text}


def dialogues() -> list[Closed]:
    """Completions, step by step over all chains, so that number n is step n // CHAINS + 1 of chain n % CHAINS."""
    histories: list[list[Json]] = [[] for _ in range(CHAINS)]
    found = []
    for n in range(CHAINS * STEPS):
        history = histories[n % CHAINS]
        history.append(said("user", f"question {n}"))
        found.append(chat(n, history, said("assistant", f"answer {n}")))
        history.append(said("assistant", f"answer {n}"))
    return found


CALLS: Final = dialogues()


def label(n: int, of: int, value: Any = "confirm", **more: Any) -> Label:
    told = {"classifier": "intent", "version": "v1", "source": "llm", "label": value, **more}
    return Label(UUID(int=n), CALLS[of].id, at_us=n, **told)


@asynccontextmanager
async def filed(folder: Path, *told: Labelled) -> AsyncIterator[AsyncConnection]:
    async with store(folder) as (connection, ingest):
        for n in range(CHAINS * STEPS // CHAINS):
            await ingest.file(CALLS[n * CHAINS : (n + 1) * CHAINS])
        await ingest.file([], labelled=told)
        yield connection


def numbers(found: list[Any]) -> list[int]:
    return [one.seq - 1 for one in found]


async def walk(connection: AsyncConnection, **more: Any) -> list[int]:
    """All that is not labelled, page after page."""
    found: list[int] = []
    cursor, is_last = 0, False
    while not is_last:
        page = await labels.unlabelled(connection, "intent", "v1", after_seq=cursor, **more)
        assert page.cursor > cursor or page.is_last
        assert len(page.items) <= more.get("limit", 500)
        found += numbers(page.items)
        cursor, is_last = page.cursor, page.is_last
    return found


@pytest.mark.parametrize(("limit", "window"), [(500, 5000), (3, 5000), (500, 4), (2, 3), (1, 1)])
async def test_what_is_not_labelled_is_found_page_by_page(tmp_path: Path, limit: int, window: int) -> None:
    told = [
        *(label(n, n) for n in range(6)),
        label(50, 7, version="v2"),
        label(51, 8, version="v2", source="human"),
        label(52, 9, mode="shadow"),
        label(53, 10, None, error="timeout"),
        label(54, 11, classifier="other"),
    ]
    async with filed(tmp_path, *told) as connection:
        left = [6, 7, 9, *range(11, 20)]
        assert await walk(connection, limit=limit, window=window) == left
        assert await walk(connection, limit=limit, window=window, failed=True) == sorted([*left, 10])
        where = compile_where(parse("seq > 12"))
        assert await walk(connection, limit=limit, window=window, where=where) == list(range(12, 20))
        assert await walk(connection, limit=limit, window=window, origin=Origin.REPLAY) == []
        assert (await labels.unlabelled(connection, "intent", "v1", after_seq=20)).is_last


async def test_what_is_learned_from_is_what_counts_with_what_was_asked(tmp_path: Path) -> None:
    told = [
        label(1, 0, "a"),
        label(2, 1, "a"),
        label(3, 1, "b", source="human"),
        label(4, 1, "c"),
        label(5, 2, "a", source="student"),
        label(6, 3, "a", mode="audit"),
        label(7, 4, "a", version="v2"),
        label(8, 5, "a"),
        label(9, 5, "d"),
        label(10, 6, None, error="timeout"),
        label(11, 7, "e", classifier="other"),
    ]
    async with filed(tmp_path, *told) as connection:
        page = await labels.training(connection, "intent")
        assert [(one.label.id.int, one.completion.seq - 1) for one in page.items] == [(1, 0), (3, 1), (7, 4), (9, 5)]
        assert [one.request["messages"][-1]["content"] for one in page.items if one.request is not None] == [
            f"question {n}" for n in (0, 1, 4, 5)
        ]
        of_version = await labels.training(connection, "intent", version="v1")
        assert [one.label.id.int for one in of_version.items] == [1, 3, 9]
        student = await labels.training(connection, "intent", sources=[LabelSource.STUDENT])
        assert [one.label.id.int for one in student.items] == [5]
        first = await labels.training(connection, "intent", limit=2)
        second = await labels.training(connection, "intent", limit=2, after_seq=first.cursor)
        assert (first.is_last, [one.label.id.int for one in first.items + second.items]) == (False, [1, 3, 7, 9])
        assert [one.label.id.int for one in (await labels.audits(connection, "intent")).items] == [6]
        assert (await labels.audits(connection, "intent", version="v2")).items == []


async def test_people_are_heard_whenever_they_spoke(tmp_path: Path) -> None:
    told = [label(1, 0, "a", source="human", who="ada"), label(2, 0, "b", source="human", who="bob"), label(3, 1, "c")]
    async with filed(tmp_path, *told) as connection:
        page = await labels.human(connection, "intent")
        assert [(one.label.who, one.label.label) for one in page.items] == [("ada", "a"), ("bob", "b")]
        assert [one.label.who for one in (await labels.human(connection, "intent", after_seq=1)).items] == ["bob"]


async def test_the_labels_of_a_chain_come_newest_first(tmp_path: Path) -> None:
    told = [label(n + 1, n, f"label {n}") for n in range(16)]
    told += [label(90, 1, "shadow", mode="shadow"), label(91, 9, "human", source="human"), label(92, 9, "late")]
    async with filed(tmp_path, *told) as connection:
        chain = (await read.by_id(connection, [CALLS[1].id.bytes]))[CALLS[1].id.bytes].chain
        found = await labels.of_chain(connection, chain, "intent")
        assert [(seq - 1, one.label) for seq, one in found] == [
            (13, "label 13"), (9, "human"), (5, "label 5"), (1, "label 1"),
        ]  # fmt: skip
        assert len(await labels.of_chain(connection, chain, "intent", limit=2)) == 2


async def test_counts(tmp_path: Path) -> None:
    told = [
        *(label(n + 1, n, "a") for n in range(3)),
        label(10, 0, "b", source="human"),
        label(11, 3, None, error="x"),
        label(12, 3, ("a", "b"), classifier="topics", mode="shadow"),
    ]
    async with filed(tmp_path, *told) as connection:
        found = await classifiers.counts(connection)
        assert [(one.classifier, one.mode, one.source, one.label, one.count) for one in found] == [
            ("intent", "live", "llm", "a", 3),
            ("intent", "live", "human", "b", 1),
            ("intent", "live", "llm", None, 1),
            ("topics", "shadow", "llm", "a\nb", 1),
        ]
        assert len(await classifiers.counts(connection, "topics")) == 1


async def test_a_webhook_is_open_until_it_arrived_or_was_given_up(tmp_path: Path) -> None:
    def step(n: int, key: str, outcome: str, **more: Any) -> Action:
        told = {"do": "webhook", "dry_run": False, **more}
        return Action(UUID(int=n), CALLS[0].id, n, "intent", "v1", "a", key=key, outcome=outcome, **told)

    told = [
        step(1, "old", "planned"),
        step(2, "arrived", "planned"),
        step(3, "arrived", "done"),
        step(4, "given up", "planned"),
        step(5, "given up", "retried", attempts=1),
        step(6, "given up", "failed", attempts=2),
        step(7, "again", "planned"),
        step(8, "again", "retried", attempts=1),
        step(9, "open", "planned"),
        step(10, "dry", "planned", dry_run=True),
        step(11, "tag", "planned", do="tag"),
    ]
    async with filed(tmp_path, *told) as connection:
        found = await labels.open_webhooks(connection, since_us=2)
        assert [(one.key, one.attempts) for one in found] == [("again", 1), ("open", 0)]
        assert [one.key for one in await labels.open_webhooks(connection, since_us=0, limit=1)] == ["old"]


async def test_a_label_of_a_completion_that_is_not_filed_yet_is_passed_over(tmp_path: Path) -> None:
    stray = replace(label(1, 0), completion=UUID(int=99))
    async with filed(tmp_path, stray, label(2, 0)) as connection:
        page = await labels.training(connection, "intent", limit=1)
        assert (page.items, page.is_last, page.cursor) == ([], False, 1)


READS: Final[dict[str, Any]] = {
    "history": lambda c: labels.history(c, [CALLS[0].id.bytes]),
    "counting": lambda c: labels.counting(c, [CALLS[0].id.bytes]),
    "actions": lambda c: labels.actions(c, [CALLS[0].id.bytes]),
    "of_chain": lambda c: labels.of_chain(c, 1, "intent"),
    "unlabelled": lambda c: labels.unlabelled(c, "intent", "v1", after_seq=2),
    "training": lambda c: labels.training(c, "intent"),
    "audits": lambda c: labels.audits(c, "intent", after_seq=1),
    "human": lambda c: labels.human(c, "intent"),
    "open_webhooks": lambda c: labels.open_webhooks(c, since_us=1),
    "students": lambda c: classifiers.students(c, "intent"),
}
TABLES: Final = (
    "completion",
    "label",
    "action",
    "student",
    "feedback",
    "following",
    "other_label",
    "later",
    "outranking",
)
FEW: Final = ("history", "counting", "actions")
"""These sort what they read, which are the rows of few completions."""
BY: Final = {"human": "label_human", "open_webhooks": "action_open", "training": "label_classifier"}


@pytest.mark.parametrize("name", READS)
async def test_nothing_reads_a_table_whole(tmp_path: Path, name: str) -> None:
    async with filed(tmp_path, *(label(n + 1, n) for n in range(10))) as connection:
        async with planned(connection) as plans:
            await READS[name](connection)
            await connection.rollback()
        assert [step for step in plans.steps() if is_scan(step, TABLES)] == []
        assert plans.sorting() == [] or name in FEW
        assert plans.using(BY[name]) if name in BY else True


QUERIES: Final = {
    "label.intent = confirm": "label_completion",
    "label.intent != confirm AND label.intent.confidence >= 0.9": "label_completion",
    "label.intent.source = human": "label_completion",
    "next.label.intent = confirm": "completion_chain",
    "action.do = route": "action_completion",
    "NOT action.outcome = done": "action_completion",
    "feedback.score < 0.5": "feedback_completion",
    "feedback.correction IS NULL": "feedback_completion",
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("marks", [None, Marks(20, 20, 20, 20)])
async def test_a_query_looks_up_what_stands_beside_each_row(tmp_path: Path, query: str, marks: Marks | None) -> None:
    async with filed(tmp_path, *(label(n + 1, n) for n in range(10))) as connection:
        wanted = compile_where(parse(query), marks=marks)
        async with planned(connection) as plans:
            await connection.execute(select(COMPLETION.c.seq).where(COMPLETION.c.seq > 3, wanted))
            await connection.rollback()
        assert [step for step in plans.steps() if is_scan(step, TABLES)] == []
        assert plans.using(QUERIES[query]), list(plans.steps())
        assert plans.sorting() == []
