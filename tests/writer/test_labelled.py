"""Labels, actions, versions and students are filed once, whenever they come; one that is no such thing goes alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Action, Definition, Label, Labelled, StudentChange
from tailrace.store import classifiers, labels
from tailrace.writer.ingest import Ingest
from tailrace.writer.labelled import MAX_VALUE_BYTES
from tests.store.plans import planned
from tests.writer.filing import chat, count, store

HELLO: Final = {"role": "user", "content": "hello"}
CALL: Final = chat(1, [HELLO], {"role": "assistant", "content": "hi"})


def label(n: int, value: Any = "confirm", **more: Any) -> Label:
    return Label(UUID(int=n), CALL.id, n, "intent", "v1", **{"source": "llm", "label": value, **more})


def action(n: int, **more: Any) -> Action:
    said = {"label": "confirm", "do": "webhook", "key": "k", "outcome": "planned", **more}
    return Action(UUID(int=n), CALL.id, n, "intent", "v1", **said)


CHANGE: Final = StudentChange(
    UUID(int=7), 5, "intent", "v1", 3, "refused", "too few audits", 0.5, 0.25, {"audits": 58, "errors": 2}, "s/3.bin"
)


@asynccontextmanager
async def filed(folder: Path, *said: Any) -> AsyncIterator[tuple[AsyncConnection, Ingest]]:
    async with store(folder) as (connection, ingest):
        await ingest.file([CALL], labelled=said)
        yield connection, ingest


async def counting(connection: AsyncConnection) -> dict[str, Label]:
    found = (await labels.counting(connection, [CALL.id.bytes])).get(CALL.id.bytes, {})
    await connection.rollback()
    return found


async def test_all_come_back_as_they_were_told(tmp_path: Path) -> None:
    said = [
        label(1, ("a", "b"), confidence=0.5, latency_us=9, error="off_list", note="r1 r2", mode="shadow"),
        label(2, [{"start": 1, "end": 3, "type": "person"}], who="ada", source="human"),
        label(3, {"answer": "two\nlines"}),
        label(4, None, error="timeout"),
        label(5, "a long answer " * 100, source="imported"),
        label(6, ()),
    ]
    done = action(9, target="crm.test", dry_run=True, attempts=3, error="http_500")
    async with filed(tmp_path, *said, done, CHANGE) as (connection, _):
        assert await labels.history(connection, [CALL.id.bytes]) == {CALL.id.bytes: said}
        assert await labels.actions(connection, [CALL.id.bytes]) == {CALL.id.bytes: [done]}
        assert await classifiers.students(connection, "intent") == [CHANGE]


async def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    said: list[Labelled] = [
        label(1),
        action(2),
        CHANGE,
        label(1),
        Definition(1, "intent", "v1", {"labels": ["confirm"]}),
    ]
    async with filed(tmp_path, *said) as (connection, ingest):
        await ingest.file([], labelled=[replace(label(1), label="reject"), *said[1:], label(3)])
        counts = [await count(connection, name) for name in ("label", "action", "student", "classifier_version")]
        assert counts == [2, 1, 1, 1]
        assert (await labels.history(connection, [CALL.id.bytes]))[CALL.id.bytes] == [label(1), label(3)]


async def test_a_label_may_be_filed_before_its_completion(tmp_path: Path) -> None:
    async with store(tmp_path) as (connection, ingest):
        await ingest.file([], labelled=[label(1)])
        assert (await labels.training(connection, "intent")).items == []
        await connection.rollback()
        await ingest.file([CALL])
        (found,) = (await labels.training(connection, "intent")).items
        assert (found.label, found.completion.id) == (label(1), CALL.id.bytes)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ([label(1, "a"), label(2, "b")], "b"),
        ([label(1, "a"), label(2, "b", mode="shadow"), label(3, "c", mode="audit")], "a"),
        ([label(1, "a"), label(2, None, error="timeout")], "a"),
        ([label(1, "a", source="human"), label(2, "b"), label(3, "c", source="student")], "a"),
        ([label(1, "a", source="human"), label(2, "b"), label(3, "c", source="human")], "c"),
        ([label(1, "a", source="human", mode="audit"), label(2, "b")], "a"),
        ([label(1, "b", mode="shadow")], None),
    ],
)
async def test_a_person_outranks_all_then_the_newest_live_label_counts(
    tmp_path: Path, said: list[Label], counts: str | None
) -> None:
    async with filed(tmp_path) as (connection, ingest):
        for one in said:
            await ingest.file([], labelled=[one])
        found = await counting(connection)
        assert (found["intent"].label if found else None) == counts
        assert len((await labels.history(connection, [CALL.id.bytes]))[CALL.id.bytes]) == len(said)


BAD: Final = [
    label(50, "x", source="robot"),
    label(51, "x", mode="loud"),
    label(52, "x", confidence=1.5),
    label(53, ("one\ntwo", "three")),
    label(54, {"all": "x" * MAX_VALUE_BYTES}),
    replace(label(55), classifier=""),
    replace(label(56), version="x" * 513),
    replace(label(57), at_us=2**63),
    action(58, key=""),
    replace(CHANGE, id=UUID(int=59), coverage=-0.1),
    Definition(1, "intent", "v9", "x" * MAX_VALUE_BYTES),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
async def test_one_that_cannot_be_filed_is_set_aside_alone_and_once(tmp_path: Path, bad: Any) -> None:
    good = [label(n) for n in range(1, 8)]
    async with filed(tmp_path) as (connection, ingest):
        for _ in range(2):
            told = await ingest.file([], labelled=[*good[:5], bad, *good[5:]])
            assert told.dead_letters == 1
        assert await count(connection, "label") == len(good)
        (letter,) = (await connection.execute(text("SELECT * FROM dead_letter"))).mappings()
        assert orjson.loads(letter["raw"])["classifier"] == bad.classifier
        assert letter["completion"] == (None if isinstance(bad, StudentChange | Definition) else CALL.id.bytes)


async def test_a_version_is_met_once_and_defined_once(tmp_path: Path) -> None:
    first, second = Definition(9, "intent", "v1", {"n": 1}), Definition(10, "intent", "v1", {"n": 2})
    async with filed(tmp_path, label(4)) as (connection, ingest):
        assert await classifiers.versions(connection) == [classifiers.Version("intent", "v1", 4, None)]
        await connection.rollback()
        await ingest.file([], labelled=[first, second, replace(label(11), version="v2")])
        await ingest.file([], labelled=[second])
        assert await classifiers.versions(connection, "intent") == [
            classifiers.Version("intent", "v2", 11, None),
            classifiers.Version("intent", "v1", 4, {"n": 1}),
        ]
        assert await classifiers.versions(connection, "other") == []


async def test_filing_looks_what_is_there_up_in_indexes(tmp_path: Path) -> None:
    async with filed(tmp_path) as (connection, ingest):
        async with planned(connection) as plans:
            await ingest.file([], labelled=[label(1), action(2), CHANGE, Definition(1, "intent", "v1", 1)])
        tables = ("label", "action", "student", "classifier_version")
        about = [step for step in plans.steps() if any(name in step for name in tables)]
        assert len(about) == len(tables)
        assert [step for step in about if step.startswith("SCAN")] == []
