"""Feedback finds its completion by any of three names, before or after that is filed, and counts once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Closed, Feedback
from tailrace.store.engine import open_writer
from tailrace.store.migrations import upgrade
from tailrace.writer.ingest import Ingest
from tests.bench.made import BORN_US, conversations
from tests.store.plans import planned


def say(target: str, *, id_: str = "f1", project: str = "default", at_us: int = BORN_US, **said: Any) -> Feedback:
    return Feedback(
        id=id_, at_us=at_us, project=project, key=None, target=target, source="user", **{"thumb": "up", **said}
    )


def made(count: int = 3) -> list[Closed]:
    calls = next(conversations(count, 1))
    return [replace(one, start=replace(one.start, external_id=f"mine-{n}")) for n, one in enumerate(calls)]


def answer_id(closed: Closed) -> str:
    return str(orjson.loads(closed.answer)["id"])


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[tuple[AsyncConnection, Ingest]]:
    async with open_writer(folder) as connection:
        await upgrade(connection, folder, now_us=0)
        yield connection, await Ingest.open(connection, idle_s=1e6)


async def about(connection: AsyncConnection) -> dict[str, bytes | None]:
    """Each feedback's id, and the id of the completion it is about."""
    query = "SELECT f.id, c.id FROM feedback f LEFT JOIN completion c ON c.seq = f.completion"
    found = {row[0]: row[1] for row in await connection.execute(text(query))}
    await connection.rollback()
    return found


async def test_each_of_three_names_leads_to_the_completion(tmp_path: Path) -> None:
    calls = made()
    async with store(tmp_path) as (connection, ingest):
        await ingest.file(calls)
        said = [
            say(str(calls[0].id), id_="ours"),
            say(answer_id(calls[1]), id_="theirs"),
            say("mine-2", id_="own"),
            say("nobody", id_="lost"),
            say(str(calls[0].id), id_="other", project="elsewhere"),
        ]
        await ingest.file([], feedback=said)
        assert await about(connection) == {
            "ours": calls[0].id.bytes, "theirs": calls[1].id.bytes, "own": calls[2].id.bytes, "lost": None,
            "other": None,
        }  # fmt: skip


async def test_feedback_that_comes_first_waits(tmp_path: Path) -> None:
    calls = made()
    async with store(tmp_path) as (connection, ingest):
        await ingest.file([], feedback=[say(answer_id(calls[1]))])
        await ingest.file(calls[:1])
        assert await about(connection) == {"f1": None}
        await ingest.file(calls[1:])
        assert await about(connection) == {"f1": calls[1].id.bytes}


async def test_it_waits_over_a_restart_and_not_for_ever(tmp_path: Path) -> None:
    calls = made()
    async with store(tmp_path) as (_, ingest):
        early = say(answer_id(calls[1]), id_="early", at_us=BORN_US - 7_200_000_000)
        await ingest.file([], feedback=[early, say(answer_id(calls[1]), id_="late")])
    async with store(tmp_path) as (connection, ingest):
        await ingest.file(calls)
        assert await about(connection) == {"early": None, "late": calls[1].id.bytes}


async def test_the_same_feedback_again_is_the_same(tmp_path: Path) -> None:
    calls = made()
    async with store(tmp_path) as (connection, ingest):
        said = say(str(calls[0].id), score=0.25, correction={"role": "assistant", "content": "No."}, tags={"page": "x"})
        await ingest.file(calls, feedback=[said, said])
        await ingest.file([], feedback=[said])
        row = (await connection.execute(text("SELECT * FROM feedback"))).mappings().one()
        assert (row["score"], row["thumb"], row["tags"]) == (0.25, "up", '{"page":"x"}')
        assert orjson.loads(row["correction"]) == said.correction


async def test_the_newest_of_several_is_meant(tmp_path: Path) -> None:
    calls = [replace(one, start=replace(one.start, external_id="same")) for one in made()]
    async with store(tmp_path) as (connection, ingest):
        await ingest.file(calls, feedback=[say("same")])
        assert await about(connection) == {"f1": calls[-1].id.bytes}


async def test_our_id_is_found_however_it_is_written(tmp_path: Path) -> None:
    calls = made()
    spelled = [calls[0].id.hex, str(calls[1].id).upper(), f"{{{calls[2].id}}}"]
    async with store(tmp_path) as (connection, ingest):
        await ingest.file([], feedback=[say(target, id_=f"early {n}") for n, target in enumerate(spelled)])
        await ingest.file(calls, feedback=[say(target, id_=f"late {n}") for n, target in enumerate(spelled)])
        found = await about(connection)
    assert found == {f"{when} {n}": calls[n].id.bytes for n in range(3) for when in ("early", "late")}


async def test_what_waits_costs_other_batches_nothing(tmp_path: Path) -> None:
    async with store(tmp_path) as (connection, ingest):
        await ingest.file(made())
        await ingest.file([], feedback=[say(f"nobody {n}", id_=str(n)) for n in range(50)])
        async with planned(connection) as plans:
            await ingest.file(list(next(conversations(3, 1, seed=8))))
        assert not any("feedback" in statement for statement in plans.plans)
        assert not plans.using("completion_external_id")


async def test_the_newest_that_wait_are_the_ones_remembered(tmp_path: Path) -> None:
    calls = made()
    async with store(tmp_path) as (connection, ingest):
        said = [say("mine-0", id_="first"), *(say(f"nobody {n}", id_=str(n)) for n in range(1000)), say("mine-1")]
        await ingest.file([], feedback=said[:600])
        await ingest.file([], feedback=said[600:])
        await ingest.file(calls)
        found = await about(connection)
    assert (found["first"], found["f1"]) == (None, calls[1].id.bytes)
