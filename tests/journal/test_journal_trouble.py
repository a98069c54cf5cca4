"""A journal whose disk fails or is full: nothing unkept is acknowledged, nothing kept is lost, and it comes back."""

import asyncio
import errno
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from tailrace.errors import LogUnavailable
from tailrace.journal.entry import Entry
from tailrace.journal.journal import Journal
from tailrace.journal.replay import Replay
from tailrace.records import Gap, Retried
from tests.journal.play import (
    END,
    GUARD_S,
    LAST,
    OWNER,
    START,
    FaultyDisk,
    answer,
    begin,
    call,
    drain,
    files,
    id_of,
    journal,
    read_back,
    request,
)

Durability = Literal["power", "process"]


async def recovered(log: Journal) -> None:
    async with asyncio.timeout(GUARD_S):
        while True:
            if log.healthy:
                return
            await asyncio.sleep(0)


async def fill(log: Journal, first: int = 0) -> list[int]:
    """Calls until one is refused; those that were kept."""
    kept: list[int] = []
    try:
        async with asyncio.timeout(GUARD_S):
            while True:
                await call(log, first + len(kept))
                kept.append(first + len(kept))
    except LogUnavailable:
        return kept


@pytest.mark.parametrize(("what", "durability"), [("sync", "power"), ("write", "power"), ("write", "process")])
@pytest.mark.parametrize("passing", [0, 1, 7])
async def test_a_failing_disk_is_never_trusted_again_and_the_journal_comes_back(
    tmp_path: Path, what: str, durability: Durability, passing: int
) -> None:
    disk = FaultyDisk()
    kept: set[int] = set()
    refused: set[int] = set()

    async def attempt(number: int) -> None:
        try:
            await call(log, number)
        except LogUnavailable:
            refused.add(number)
        else:
            kept.add(number)

    async with journal(tmp_path, durability=durability, disk=disk, segment_bytes=2**20) as log:
        await asyncio.gather(*(attempt(number) for number in range(20)))
        assert len(kept) == 20
        disk.fail = {what: passing}
        for first in range(20, 1000, 8):
            if not log.stats.failures:
                await asyncio.gather(*(attempt(number) for number in range(first, first + 8)))
        assert refused
        disk.heal()
        await recovered(log)
        await asyncio.gather(*(attempt(number) for number in range(1000, 1020)))
        assert kept >= set(range(1000, 1020))
    read = read_back(tmp_path)
    assert kept <= read.ended
    statuses = {number: one.end.status for number, one in read.closed.items() if one.end is not None}
    statuses |= {amended.id.int - 1: amended.end.status for amended in read.all("amended")}
    assert {statuses[number] for number in kept} == {"ok"}
    assert {statuses.get(number, "tailrace_error") for number in refused} == {"tailrace_error"}


async def test_a_call_with_a_record_in_an_abandoned_file_is_never_acknowledged(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="power", disk=disk) as log:
        early = await begin(log, 1)
        early.part(b"so far")
        failing = await begin(log, 2)
        disk.fail = {"sync": 0}
        with pytest.raises(LogUnavailable):
            await failing.end(END, b"")
        assert not log.healthy
        assert log.stats.failures == 1
        disk.heal()
        await recovered(log)
        early.part(b" more")
        with pytest.raises(LogUnavailable):
            await early.end(END, b"the end")
        with pytest.raises(LogUnavailable):
            await early.attempt(Retried(2, 1, "p", "m", LAST))
        await call(log, 3)
    closed = read_back(tmp_path).closed
    assert closed[1].end is not None
    assert (closed[1].end.status, closed[1].end.error) == ("tailrace_error", "tailrace_log_unavailable")
    assert closed[1].answer == b"so far"
    assert closed[3].end == END


async def test_a_failing_owner_is_not_taken_for_dead(tmp_path: Path) -> None:
    disk = FaultyDisk()
    replay = Replay(tmp_path)
    async with journal(tmp_path, durability="power", disk=disk) as log:
        early = await begin(log, 1)
        disk.fail = {"sync": 0, "allocate": 0}
        with pytest.raises(LogUnavailable):
            await call(log, 2)
        assert 1 not in drain(replay).closed, "its relay lives, without a segment it could write to"
        disk.heal()
        await recovered(log)
        early.end(replace(END, status="client_closed"), b"")
    closed = drain(replay).closed[1]
    replay.close()
    assert closed.end is not None
    assert closed.end.status == "client_closed"


async def test_an_end_waiting_for_a_failing_disk_hears_of_it_and_nothing_hangs(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="power", disk=disk) as log:
        entries = [await begin(log, number) for number in range(50)]
        disk.fail = {"sync": 0}
        futures = [entry.end(END, b"") for entry in entries]
        async with asyncio.timeout(GUARD_S):
            results = await asyncio.gather(*futures, return_exceptions=True)
        assert {type(result) for result in results} == {LogUnavailable}
        disk.heal()


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_at_the_cap_new_calls_are_refused_running_ones_end_and_filing_lifts_it(
    tmp_path: Path, durability: Durability
) -> None:
    replay = Replay(tmp_path)
    async with journal(tmp_path, durability=durability, journal_max_bytes=2**18) as log:
        running = [await begin(log, number) for number in range(3)]
        kept = await fill(log, first=100)
        assert kept
        assert not log.healthy
        assert sum((tmp_path / file).stat().st_size for file in files(tmp_path)) <= 2**18
        for number, entry in enumerate(running):
            entry.part(b"part ")
            await entry.end(END, answer(number))
        read = drain(replay)
        assert read.ended == {0, 1, 2, *kept}
        assert read.closed[1].answer == b"part " + answer(1)
        await recovered(log)
        await call(log, 10_000)
    assert 10_000 in drain(replay).ended
    replay.close()


async def test_idle_owners_do_not_hold_the_cap_against_each_other(tmp_path: Path) -> None:
    replay = Replay(tmp_path)
    async with AsyncExitStack() as stack:
        logs = [
            await stack.enter_async_context(journal(tmp_path, owner=f"{n:016x}", workers=4, journal_max_bytes=2**19))
            for n in range(1, 5)
        ]
        kept = {number for n, log in enumerate(logs) for number in await fill(log, first=10_000 * n)}
        seen = drain(replay).ended
        for n, log in enumerate(logs):
            await recovered(log)
            await call(log, 100_000 + n)
        seen |= drain(replay).ended
    replay.close()
    assert seen == kept | {100_000, 100_001, 100_002, 100_003}


async def test_a_full_disk_refuses_new_calls_and_keeps_running_ones(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="power", disk=disk) as log:
        running = [await begin(log, number) for number in range(10)]
        disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
        kept = await fill(log, first=100)
        with pytest.raises(LogUnavailable):
            await begin(log, 50, size=100_000)
        await asyncio.gather(*(entry.end(END, answer(number, 1000)) for number, entry in enumerate(running)))
        disk.heal()
        await recovered(log)
        await call(log, 10_000)
    assert read_back(tmp_path).ended == {*range(10), *kept, 10_000}


async def test_text_that_finds_no_room_waits_in_memory_and_comes_with_the_end(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, disk=disk, part_bytes=4096) as log:
        entry = await begin(log, 1)
        disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
        await fill(log, first=100)
        for _ in range(4):
            entry.part(b"x" * 900)
        await entry.end(END, b"the end")
    assert read_back(tmp_path).closed[1].answer == b"x" * 3600 + b"the end"


async def too_long(entry: Entry, log: Journal) -> None:
    entry.part(b"y" * 30_000)
    with pytest.raises(LogUnavailable):
        await entry.end(END, b"the end")


async def one_long_end(entry: Entry, log: Journal) -> None:
    with pytest.raises(LogUnavailable):
        await entry.end(END, b"y" * 30_000)


@pytest.mark.parametrize("way", [too_long, one_long_end])
async def test_an_answer_that_finds_no_room_is_cut_and_says_so(tmp_path: Path, way: object) -> None:
    assert callable(way)
    disk = FaultyDisk()
    async with journal(tmp_path, disk=disk, part_bytes=4096) as log:
        entry = await begin(log, 1)
        disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
        kept = await fill(log, first=100)
        await way(entry, log)
        other = await fill(log, first=1000)
    read = read_back(tmp_path)
    closed = read.closed[1]
    assert closed.end is not None
    assert (closed.end.status, closed.end.error) == ("tailrace_error", "tailrace_log_unavailable")
    assert closed.answer == b"y" * len(closed.answer)
    assert len(closed.answer) >= 4096
    assert read.ended == {1, *kept, *other}


async def test_an_answer_waits_for_a_disk_that_is_slow_to_make_room(tmp_path: Path) -> None:
    async with journal(tmp_path, part_bytes=1024) as log:
        entries = [await begin(log, number) for number in range(40)]  # their reservations fill the first segments

        async def stream(entry: Entry, number: int) -> None:
            for at in range(0, 20_000, 500):
                entry.part(answer(number, 20_000)[at : at + 500])
                if entry.is_crowded:
                    await entry.room()
            await entry.end(END, answer(number, 20_000)[20_000:])

        async with asyncio.timeout(GUARD_S):
            await asyncio.gather(*(stream(entry, number) for number, entry in enumerate(entries)))
    closed = read_back(tmp_path).closed
    assert [closed[number].answer for number in range(40)] == [answer(number, 20_000) for number in range(40)]


async def test_who_waits_for_room_is_told_when_there_will_be_none(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, disk=disk, part_bytes=4096) as log:
        entry = await begin(log, 1)
        disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
        await fill(log, first=100)
        async with asyncio.timeout(GUARD_S):
            while not entry.cut:
                entry.part(b"y" * 1000)
                await entry.room()
        with pytest.raises(LogUnavailable):
            await entry.end(END, b"the end")
    assert len(read_back(tmp_path).closed[1].answer) >= 4096


async def test_an_end_longer_than_its_reservation_waits_for_the_next_segment(tmp_path: Path) -> None:
    async with journal(tmp_path, durability="power") as log:
        entries = [await begin(log, number) for number in range(5)]
        futures = [entry.end(END, answer(number, 200_000)) for number, entry in enumerate(entries)]
        async with asyncio.timeout(GUARD_S):
            await asyncio.gather(*futures)
    closed = read_back(tmp_path).closed
    assert [closed[number].answer for number in range(5)] == [answer(number, 200_000) for number in range(5)]


async def test_a_call_whose_client_left_while_it_waited_for_room_is_kept_in_order(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        entry = log.begin(id_of(1), START, request(1, 300_000))
        waiting = entry.end(replace(END, status="client_closed"), b"")
        async with asyncio.timeout(GUARD_S):
            await waiting
        await entry.written()
    closed = read_back(tmp_path).closed[1]
    assert closed.end is not None
    assert closed.end.status == "client_closed"


async def test_a_call_that_waited_for_room_in_vain_leaves_nothing(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, disk=disk) as log:
        disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
        entry = log.begin(id_of(1), START, request(1, 300_000))
        ended = entry.end(END, b"")
        for waiting in (entry.written(), ended):
            with pytest.raises(LogUnavailable):
                await waiting
    assert read_back(tmp_path).closed == {}


async def test_it_starts_on_a_full_disk_and_takes_calls_when_that_is_over(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
    async with journal(tmp_path, disk=disk) as log:
        assert not log.healthy
        with pytest.raises(LogUnavailable):
            await begin(log, 1)
        with pytest.raises(LogUnavailable):
            log.gap(Gap(1, OWNER, 1, "x"))
        disk.heal()
        await recovered(log)
        await call(log, 2)
    assert read_back(tmp_path).ended == {2}


async def test_it_closes_on_a_failing_disk(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="power", disk=disk) as log:
        await call(log, 1)
        await begin(log, 2)
        disk.fail = {"write": 0, "sync": 0, "allocate": 0}
    assert read_back(tmp_path).ended == {1}
