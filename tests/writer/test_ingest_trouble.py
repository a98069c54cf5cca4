"""Whatever the store does meanwhile, what is filed in the end is what an untroubled writer would have filed."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from tailrace.records import Amended, Closed, Feedback, Gap, Poison, Status
from tailrace.store.engine import open_writer, store_file
from tailrace.writer import ingest as ingest_module
from tests.bench.made import conversations
from tests.writer.filing import chat, count, kept, store

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
GAP = Gap(5, "o", 3, "full")
FEEDBACK = Feedback("f", 5, "default", None, "nobody", "user", thumb="up")
BATCHES = list(conversations(3, 3))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "_PATIENCE_S", (0.0,))


def dump(folder: Path) -> list[str]:
    """All that is in the store."""
    with sqlite3.connect(store_file(folder)) as connection:
        found = list(connection.iterdump())
    connection.close()
    return found


async def untroubled(folder: Path) -> list[str]:
    async with store(folder) as (_, ingest):
        for batch in BATCHES:
            await ingest.file(batch, [GAP])
    return dump(folder)


def failing(code: int) -> OperationalError:
    cause = sqlite3.OperationalError("it is not to be")
    cause.sqlite_errorcode = code
    return OperationalError("a statement", {}, cause)


class Trouble:
    """Fails the statement or COMMIT number `at`, before or after it was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, done: bool) -> None:
        self.at, self.done, self.seen = at, done, 0
        for name in ("execute", "exec_driver_sql", "commit"):
            monkeypatch.setattr(AsyncConnection, name, self._wrapped(getattr(AsyncConnection, name)))

    def _wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(connection: AsyncConnection, *args: Any, **kwargs: Any) -> Any:
            self.seen += 1
            hit = self.seen == self.at
            if hit and not self.done:
                raise failing(sqlite3.SQLITE_IOERR)
            result = await real(connection, *args, **kwargs)
            if hit:
                raise failing(sqlite3.SQLITE_BUSY)
            return result

        return call


@pytest.mark.parametrize("done", [False, True])
async def test_whichever_statement_fails_the_same_is_filed(tmp_path: Path, done: bool) -> None:
    expected = await untroubled(tmp_path / "0")
    at, seen = 0, 1
    while at <= seen:
        at += 1
        folder = tmp_path / str(at)
        async with store(folder) as (_, ingest):
            await ingest.file(BATCHES[0], [GAP])
            with pytest.MonkeyPatch.context() as monkeypatch:
                trouble = Trouble(monkeypatch, at, done=done)
                await ingest.file(BATCHES[1], [GAP])
                seen = trouble.seen
            await ingest.file(BATCHES[2], [GAP])
        assert dump(folder) == expected, f"after statement {at}"
    assert at > 15, "else this tests little"


async def test_a_restart_between_any_two_batches_changes_nothing(tmp_path: Path) -> None:
    expected = await untroubled(tmp_path / "0")
    for batch in BATCHES:
        async with store(tmp_path / "1") as (_, ingest):
            await ingest.file(batch, [GAP])
    assert dump(tmp_path / "1") == expected


async def test_the_same_records_again_after_a_restart_change_nothing(tmp_path: Path) -> None:
    expected = await untroubled(tmp_path)
    async with store(tmp_path) as (_, ingest):
        for batch in BATCHES:
            assert (await ingest.file(batch, [GAP])).rows == 0
    assert dump(tmp_path) == expected


class Noticed:
    """Stands for the process's log, and tells when a warning comes."""

    def __init__(self) -> None:
        self.warned = asyncio.Event()
        self.said: list[tuple[str, str]] = []

    def warning(self, event: str, *, reason: str) -> None:
        self.said.append((event, reason))
        self.warned.set()


async def test_a_store_that_another_holds_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Noticed()
    monkeypatch.setattr(ingest_module, "log", log)
    async with store(tmp_path) as (connection, ingest):
        await connection.exec_driver_sql("PRAGMA busy_timeout=0")
        await connection.rollback()
        other = sqlite3.connect(store_file(tmp_path), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ingest.file([chat(1, [USER], ANSWER)]))
            await log.warned.wait()
            assert not task.done()
            other.execute("COMMIT")
        other.close()
    assert task.result().rows == 1
    assert log.said == [("the store does not take rows now, trying again", "database is locked")]


async def test_cancelled_while_it_waits_nothing_is_half_filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store(tmp_path) as (connection, ingest):
        monkeypatch.setattr(AsyncConnection, "commit", _never)
        with pytest.raises(asyncio.CancelledError):
            await ingest.file([chat(1, [USER], ANSWER)])
        monkeypatch.undo()
        await connection.rollback()
        assert await count(connection, "completion") == 0
        assert (await ingest.file([chat(1, [USER], ANSWER)])).rows == 1


async def _never(_connection: AsyncConnection) -> None:
    raise asyncio.CancelledError


def wrong(record: Any, **fields: Any) -> Any:
    """`record` as a newer relay, or a broken one, might have written it."""
    return replace(record, **fields)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("gaps", wrong(GAP, calls=2**70)),
        ("gaps", wrong(GAP, reason=["full"])),
        ("feedback", wrong(FEEDBACK, id="g", score={"a": 1})),
        ("feedback", wrong(FEEDBACK, id="g", target=7)),
        ("poisons", Poison("soon", "seg@7", "torn", b"raw")),  # type: ignore[arg-type]
    ],
)
async def test_any_other_record_that_cannot_be_filed_is_set_aside_alone(tmp_path: Path, kind: str, bad: Any) -> None:
    good: dict[str, Any] = {"gaps": GAP, "feedback": FEEDBACK, "poisons": Poison(6, "seg@1", "torn", b"raw")}
    async with store(tmp_path) as (connection, ingest):
        for _ in range(2):
            await ingest.file([chat(1, [USER], ANSWER)], **{kind: [bad, good[kind]]})
        letters = await count(connection, "dead_letter")
        assert await count(connection, "completion") == 1
        assert letters == 2 if kind == "poisons" else letters == await count(connection, kind.removesuffix("s")) == 1


async def test_an_amendment_that_cannot_be_filed_keeps_its_call_s_id(tmp_path: Path) -> None:
    one, other = chat(1, [USER], ANSWER), chat(2, [USER], ANSWER)
    assert one.end is not None
    bad = Amended(one.id, 9, replace(one.end, duration_us=2**70))
    good = Amended(other.id, 9, replace(one.end, status=Status.TAILRACE_ERROR, error="tailrace_internal"))
    async with store(tmp_path) as (connection, ingest):
        filed = await ingest.file([one, other], amended=[bad, good])
        assert (filed.rows, filed.dead_letters) == (2, 1)
        letter = (await connection.execute(text("SELECT * FROM dead_letter"))).mappings().one()
        assert letter["completion"] == one.id.bytes
        assert letter["source"].startswith("amended ")
        assert letter["raw"].decode() == repr(bad)
        await connection.rollback()
    assert [row.status for row, _ in await kept(tmp_path)] == ["ok", "tailrace_error"]


async def test_where_nothing_can_be_set_aside_the_writer_stops(tmp_path: Path) -> None:
    """The journal keeps its segments then: to go on would be to lose them."""
    bad = replace(chat(1, [USER], ANSWER), stamp=1)
    bad = replace(bad, start=replace(bad.start, step=2**70))
    async with store(tmp_path) as (connection, ingest):
        await connection.execute(text("DROP TABLE dead_letter"))
        await connection.commit()
        with pytest.raises(OperationalError, match="no such table: dead_letter"):
            await ingest.file([bad, chat(2, [USER], ANSWER)])
        assert await count(connection, "completion") == 1


async def test_what_was_set_aside_is_whole(tmp_path: Path) -> None:
    bad: Closed = replace(chat(1, [USER], ANSWER), stamp=1)
    bad = replace(bad, start=replace(bad.start, at_us=2**70))
    with capture_logs() as logs:
        async with store(tmp_path) as (connection, ingest):
            await ingest.file([bad], poisons=[Poison(6, "seg@1", "torn", b"raw", bad.id)])
            rows = (await connection.execute(text("SELECT * FROM dead_letter ORDER BY id"))).mappings().all()
            await connection.rollback()
    assert [(row["completion"], row["source"], row["raw"]) for row in rows] == [
        (bad.id.bytes, "completion", bad.request + b"\n\n" + bad.answer),
        (bad.id.bytes, "seg@1", b"raw"),
    ]
    assert rows[0]["reason"] == "OverflowError: Python int too large to convert to SQLite INTEGER"
    assert [entry["event"] for entry in logs] == ["a completion was set aside", "a journal record was set aside"]
    assert USER["content"] not in str(logs), "no body in the process's log"


async def test_an_amended_end_changes_nothing_else(tmp_path: Path) -> None:
    one = chat(1, [USER], ANSWER)
    assert one.end is not None
    end = replace(
        one.end, status=Status.TAILRACE_ERROR, error="tailrace_log_unavailable", http_status=None, duration_us=7,
        first_byte_us=3, overhead_us=2, provider_request_id="r",
    )  # fmt: skip
    async with store(tmp_path) as (_, ingest):
        await ingest.file([one])
        ((before, _),) = await kept(tmp_path)
        await ingest.file([], amended=[Amended(one.id, 9, end), Amended(chat(2, [USER], ANSWER).id, 9, end)])
    ((after, exchange),) = await kept(tmp_path)
    changed = {name for name in after._fields if getattr(after, name) != getattr(before, name)}  # type: ignore[attr-defined]
    assert changed == {
        "status", "error", "http_status", "duration_us", "first_byte_us", "overhead_us", "request_id"
    }  # fmt: skip
    assert (after.status, after.error, after.http_status, after.duration_us) == (
        "tailrace_error", "tailrace_log_unavailable", None, 7,
    )  # fmt: skip
    assert exchange.answer is not None


async def test_only_one_writes(tmp_path: Path) -> None:
    async with store(tmp_path):
        with pytest.raises(Exception, match="another process writes this store"):
            async with open_writer(tmp_path):
                pass
