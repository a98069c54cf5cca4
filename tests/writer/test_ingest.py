"""Each completion once, none lost for a neighbour's sake, whatever the store does meanwhile."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.records import Amended, Gap, Poison, Status
from tailrace.writer import ingest as ingest_module
from tailrace.writer import prepare as prepare_module
from tests.bench import storage
from tests.bench.made import conversations
from tests.writer.filing import chat, count, kept, store

SCANS = re.compile(r"SCAN (completion|message|node|shape|i)\b")
"""A plan's line that reads a whole large table."""
USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}


async def test_the_same_batch_again_adds_nothing(tmp_path: Path) -> None:
    batch = [chat(n, [{"role": "user", "content": str(n)}], ANSWER) for n in range(5)]
    async with store(tmp_path) as (_, ingest):
        assert (await ingest.file(batch)).rows == 5
        assert (await ingest.file(batch)).rows == 0
        assert (await ingest.file([*batch, chat(9, [USER], ANSWER)])).rows == 1
    async with store(tmp_path) as (_, again):
        assert (await again.file(batch)).rows == 0
    assert len(await kept(tmp_path)) == 6


async def test_a_commit_whose_outcome_is_unknown_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store(tmp_path) as (_, ingest):
        commit = AsyncConnection.commit
        failed: list[int] = []

        async def unknown(self: AsyncConnection) -> None:
            await commit(self)
            if not failed:
                failed.append(1)
                raise OperationalError("COMMIT", {}, Exception("database is locked"))

        monkeypatch.setattr(AsyncConnection, "commit", unknown)
        monkeypatch.setattr(ingest_module, "is_passing", lambda _exc: True)
        await ingest.file([chat(n, [{"role": "user", "content": str(n)}], ANSWER) for n in range(3)])
        await ingest.file([chat(n, [{"role": "user", "content": str(n)}], ANSWER) for n in range(3, 6)])
    assert failed
    assert [row.seq for row, _ in await kept(tmp_path)] == [1, 2, 3, 4, 5, 6]


async def test_a_poison_record_is_set_aside_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = prepare_module.prepare

    def picky(closed: Any, prices: Any = None) -> Any:
        if b"poison" in closed.request:
            raise ValueError("poisoned")
        return real(closed, prices)

    monkeypatch.setattr(ingest_module, "prepare", picky)
    batch = [chat(n, [{"role": "user", "content": "poison" if n == 3 else str(n)}], ANSWER) for n in range(7)]
    async with store(tmp_path) as (connection, ingest):
        filed = await ingest.file(batch)
        again = await ingest.file(batch)
        assert (filed.rows, filed.dead_letters, again.rows) == (6, 1, 0)
        assert await count(connection, "dead_letter") == 1
    assert len(await kept(tmp_path)) == 6


async def test_what_the_store_refuses_is_found_by_halves(tmp_path: Path) -> None:
    batch = [chat(n, [{"role": "user", "content": str(n)}], ANSWER) for n in range(9)]
    batch[4] = replace(batch[4], start=replace(batch[4].start, step=2**70))  # no column holds that
    async with store(tmp_path) as (connection, ingest):
        filed = await ingest.file(batch)
        assert (filed.rows, filed.dead_letters) == (8, 1)
        assert await count(connection, "dead_letter") == 1


async def test_gaps_poisons_and_amendments_count_once(tmp_path: Path) -> None:
    one = chat(1, [USER], ANSWER)
    assert one.end is not None
    gap, poison = Gap(5, "o", 3, "full"), Poison(6, "seg@1", "torn", b"raw")
    amended = Amended(one.id, 9, replace(one.end, status=Status.TAILRACE_ERROR))
    async with store(tmp_path) as (connection, ingest):
        for _ in range(2):
            await ingest.file([one], [gap], [poison], [amended])
        assert (await count(connection, "gap"), await count(connection, "dead_letter")) == (1, 1)
    ((row, _),) = await kept(tmp_path)
    assert row.status == "tailrace_error"


async def test_a_parent_that_is_filed_after_its_children_gets_them(tmp_path: Path) -> None:
    first = chat(1, [USER], ANSWER)
    second = chat(2, [USER, ANSWER, {"role": "user", "content": "more"}], {"role": "assistant", "content": "yes"})
    third = chat(
        3, [USER, ANSWER, {"role": "user", "content": "more"}, {"role": "assistant", "content": "yes"}, USER], ANSWER
    )
    async with store(tmp_path) as (_, ingest):
        for call in (third, second, first):
            await ingest.file([call])
    found = {row.id: row for row, _ in await kept(tmp_path)}
    rows = [found[call.id.bytes] for call in (first, second, third)]
    assert [row.parent for row in rows] == [None, rows[0].seq, rows[1].seq]
    assert len({row.chain for row in rows}) == 1
    assert [row.children for row in rows] == [1, 1, 0]


async def test_a_compacted_conversation_is_linked_with_evidence_only(tmp_path: Path) -> None:
    long = {"role": "assistant", "content": "short"}
    question = {"role": "user", "content": "q"}
    begun = [
        chat(n, [{"role": "user", "content": f"first {n}"}, ANSWER, question], long, session=f"s{n}") for n in range(2)
    ]
    compacted = [{"role": "user", "content": "summary"}, ANSWER, question, long, {"role": "user", "content": "go on"}]
    async with store(tmp_path) as (_, ingest):
        await ingest.file(begun)
        await ingest.file([chat(10, compacted, ANSWER, session="s1"), chat(11, compacted, ANSWER)])
    rows = [row for row, _ in await kept(tmp_path)]
    assert [row.parent for row in rows] == [None, None, rows[1].seq, None]
    assert rows[2].link_kind == "session"


async def test_a_chain_of_twenty_steps_stores_what_is_new(tmp_path: Path) -> None:
    stored, new_text = await storage.fill(tmp_path)
    steps = storage.CHAINS * storage.STEPS
    assert stored / steps <= 1.2 * new_text / steps + 700


async def test_look_ups_use_indexes(tmp_path: Path) -> None:
    """A full scan of a large table by the linking would only show in production."""
    statements: list[str] = []
    async with store(tmp_path) as (connection, ingest):
        for made in conversations(20, 3):
            await ingest.file(made)
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.set_trace_callback(statements.append)
        for made in conversations(20, 4, seed=8):
            await ingest.file(made)
        await driver.set_trace_callback(None)
        scans = []
        for statement in {one for one in statements if one.lstrip().upper().startswith(("SELECT", "UPDATE"))}:
            async with driver.execute(f"EXPLAIN QUERY PLAN {statement}") as plan:
                details = [str(row[3]) for row in await plan.fetchall()]
            scans += [(detail, statement) for detail in details if SCANS.match(detail)]
    assert statements
    assert scans == []
