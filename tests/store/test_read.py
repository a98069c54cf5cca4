"""Lists are what a plain filter would give, in pages of any size; one completion, its chain, what stands beside it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.errors import UserError
from tailrace.records import Attempt, Closed, Feedback, Origin, Retried, Status
from tailrace.store import read
from tailrace.store.engine import open_reader
from tailrace.store.query import parse
from tailrace.store.read import Order, Selection
from tailrace.store.stats import health, stats
from tests.store.plans import planned
from tests.writer.filing import BORN_US, chat, made, store

HELLO = {"role": "user", "content": "hello"}
HI = {"role": "assistant", "content": "hi"}
CALLS = 40
STEP_US = 30_000_000  # so that a minute, the slack between an id's time and the row's, is two of them


def call(n: int) -> Closed:
    """Every third is a shadow, and ids of neighbours are in the wrong order now and then."""
    one = chat(n, [HELLO], HI, started_us=BORN_US + n * STEP_US, session=f"s{n % 4}", user=f"u{n % 3}")
    one = replace(one, start=replace(one.start, origin=Origin.SHADOW)) if n % 3 == 2 else one
    return replace(one, start=replace(one.start, at_us=one.start.at_us + STEP_US * 2 - 1)) if n % 7 == 6 else one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read") / "data"


@pytest.fixture
async def reader(folder: Path) -> AsyncIterator[AsyncConnection]:
    """A reading connection to `CALLS` completions."""
    async with store(folder) as (_, ingest):
        await ingest.file([call(n) for n in range(CALLS)])
    async with open_reader(folder) as connection:
        yield connection


def chosen(selection: Selection) -> list[int]:
    """What `selection` means, without SQL."""
    found = []
    for n in range(CALLS):
        start = call(n).start
        found += (
            [n]
            if (
                selection.after_seq < n + 1 <= (selection.up_to_seq or CALLS)
                and (selection.since_us is None or start.at_us >= selection.since_us)
                and (selection.until_us is None or start.at_us < selection.until_us)
                and (selection.origin is None or start.origin == selection.origin)
            )
            else []
        )
    if selection.order is Order.NEWEST_FIRST:
        found.reverse()
    return found[: selection.limit]


TIMES = st.none() | st.integers(-3, CALLS + 3).map(lambda n: BORN_US + n * STEP_US)
SELECTIONS = st.builds(
    Selection,
    since_us=TIMES,
    until_us=TIMES,
    after_seq=st.integers(0, CALLS + 2),
    up_to_seq=st.none() | st.integers(1, CALLS + 2),
    origin=st.sampled_from([None, Origin.APP, Origin.SHADOW, Origin.EXPORT]),
    order=st.sampled_from(Order),
    limit=st.none() | st.integers(0, 50),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(selection=SELECTIONS, page=st.integers(1, 12))
async def test_a_list_is_what_a_plain_filter_gives(reader: AsyncConnection, selection: Selection, page: int) -> None:
    found = [row.seq - 1 async for batch in read.rows(reader, selection, batch_rows=page) for row in batch]
    assert found == chosen(selection)
    assert not reader.in_transaction(), "a list that is through holds no snapshot"


async def test_no_page_is_empty_or_too_large(reader: AsyncConnection) -> None:
    sizes = [len(batch) async for batch in read.rows(reader, Selection(origin=None, limit=17), batch_rows=5)]
    assert sizes == [5, 5, 5, 2]


async def test_a_list_does_not_grow_under_way(tmp_path: Path) -> None:
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as connection:
        await ingest.file([call(n) for n in range(4)])
        found = []
        async for batch in read.rows(connection, Selection(origin=None), batch_rows=2):
            found += [row.seq for row in batch]
            await ingest.file([call(len(found) + 10)])
        assert found == [1, 2, 3, 4]
        assert await read.watermark(connection) == 6


async def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    async with store(tmp_path), open_reader(tmp_path) as connection:
        assert [batch async for batch in read.rows(connection, Selection(since_us=0))] == []
        assert await read.watermark(connection) == 0
        with pytest.raises(UserError, match="no completion"):
            await read.one(connection, str(UUID(int=0)))


def test_a_query_that_names_the_origin_sees_all_of_them() -> None:
    assert read.narrowed(Selection(), parse("origin = shadow")).origin is None
    assert read.narrowed(Selection(), parse("status = ok")).origin is Origin.APP
    named = replace(Selection(), origin=Origin.EXPORT)
    assert read.narrowed(named, parse("origin = shadow"), origin_named=True).origin is Origin.EXPORT


async def test_one_by_its_id_or_as_much_of_it_as_is_unique(reader: AsyncConnection) -> None:
    id_ = call(9).id
    for text in (str(id_), str(id_).upper(), id_.hex, str(id_)[:13]):
        assert (await read.one(reader, text)).seq == 10
    with pytest.raises(UserError, match="several ids begin with"):
        await read.one(reader, str(id_)[:8])
    for text in ("", "0123456", "xyz", str(id_) + "0", "%" * 8):
        with pytest.raises(UserError, match=r"is no id"):
            await read.one(reader, text)


async def test_a_chain_by_any_of_its_completions(tmp_path: Path) -> None:
    calls = [chat(0, [HELLO], HI), chat(1, [HELLO], HI), chat(2, [HELLO, HI, HELLO], HI)]
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as connection:
        await ingest.file(calls)
        for text in (str(calls[1].id), str(calls[2].id)):
            found = await read.chain(connection, text)
            assert [row.id for row in found] == [calls[1].id.bytes, calls[2].id.bytes]
            assert {(row.chain_key, row.chain_completions) for row in found} == {(calls[1].id.bytes, 2)}
        assert await read.names(connection, [3, 1, 9]) == {1: calls[0].id, 3: calls[2].id}


async def test_attempts_and_feedback_stand_beside_their_completion(tmp_path: Path) -> None:
    one, other = chat(0, [HELLO], HI), chat(1, [HELLO], HI)
    assert one.end is not None
    first = Attempt(1, 5, "a", "m1", Status.PROVIDER_ERROR, 500, "provider_status", 7, detail="no")
    second = Attempt(2, 6, "b", "m2", Status.OK, 200)
    one = replace(one, retries=(Retried(2, 6, "b", "m2", first),), end=replace(one.end, last=second))
    said = [Feedback(name, 5, "default", None, str(one.id), "user", thumb="up") for name in ("x", "y")]
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as connection:
        await ingest.file([one, other], feedback=said)
        found = await read.attempts(connection, [2, 1, 7])
        assert set(found) == {1, 2}
        assert [(row.n, row.provider, row.outcome, row.detail) for row in found[1]] == [
            (1, "a", "provider_error", "no"), (2, "b", "ok", None)
        ]  # fmt: skip
        assert [row.id for row in await read.feedback(connection, 1)] == ["x", "y"]
        assert await read.feedback(connection, 2) == []
        (row, _) = [row async for batch in read.rows(connection, Selection()) for row in batch]
        assert (row.attempts, row.provider) == (2, "b")


async def test_counts_are_what_is_there(tmp_path: Path) -> None:
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as connection:
        empty = await stats(connection)
        assert (empty.completions, empty.first_us, empty.by_status, empty.gap_calls) == (0, None, {}, 0)
        await connection.rollback()
        bad = made(7, b"no JSON", b"nor this")
        assert bad.end is not None
        bad = replace(bad, end=replace(bad.end, status=Status.PROVIDER_ERROR), start=replace(bad.start, model="n"))
        await ingest.file([call(0), call(1), bad])
        found = await stats(connection)
        quick = await health(connection)
    assert (found.completions, found.attempts, found.chains, found.raws) == (3, 3, 3, 2)
    assert found.by_status == {"ok": 2, "provider_error": 1}
    assert found.by_model == {"m": 2, "n": 1}
    assert (found.messages, found.nodes) == (2, 2)
    assert (found.first_us, found.last_us) == (call(0).start.at_us, call(1).start.at_us)
    assert found.file_bytes > found.free_bytes >= 0
    assert (quick.newest_us, quick.dead_letters, quick.migration) == (call(1).start.at_us, 0, found.schema)


async def test_what_a_page_or_a_person_asks_for_is_looked_up(reader: AsyncConnection) -> None:
    """No table is read whole and nothing is sorted: a list costs what its page costs."""
    since = BORN_US + 20 * STEP_US
    async with planned(reader) as plans:
        for order in Order:
            for selection in (Selection(order=order), Selection(order=order, since_us=since, until_us=since + STEP_US)):
                async for batch in read.rows(reader, selection, batch_rows=10):
                    await read.attempts(reader, [row.seq for row in batch])
                    await read.names(reader, [row.seq for row in batch])
        await read.one(reader, str(call(3).id))
        await read.chain(reader, str(call(3).id))
        await read.feedback(reader, 1)
        await read.watermark(reader)
        await reader.rollback()
    assert len(plans) > 15, "else this tests little"
    assert plans.reading_all() == []
    assert plans.sorting() == []
    assert plans.using("completion_chain")
    assert plans.using("sqlite_autoindex_completion_1")
