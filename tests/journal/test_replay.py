"""From segments to completions: joined, in order, bounded, once, and no file deleted before all in it is filed."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.clock import Clock
from tailrace.errors import LogUnavailable
from tailrace.journal import entries, frames
from tailrace.journal.entry import Entry
from tailrace.journal.frames import Kind
from tailrace.journal.journal import Journal
from tailrace.journal.replay import Replay, last_stamp
from tailrace.journal.segment import Name, PosixDisk, Segment
from tests.journal.play import (
    END,
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
    log,
    read_back,
    request,
)


def write(folder: Path, records: list[tuple[Kind, int, bytes, bytes]], *, owner: str = OWNER, seq: int = 1) -> None:
    """A segment of a dead owner, record by record: kind, call, header, body."""
    name = Name(owner, seq)
    segment = Segment.create(folder, name, 2**16, PosixDisk())
    raw = b"".join(
        b"".join(frames.encode(kind, id_of(n).bytes, 1000 * (at + 1), header, body, home=1, seed=segment.salt))
        for at, (kind, n, header, body) in enumerate(records)
    )
    segment.write([raw], 0)
    segment.close(len(raw))


def start(number: int) -> tuple[Kind, int, bytes, bytes]:
    return (Kind.START, number, entries.encode_start(START), request(number))


def part(number: int, body: bytes = b"part ") -> tuple[Kind, int, bytes, bytes]:
    return (Kind.PART, number, b"", body)


def end(number: int, kind: Kind = Kind.END) -> tuple[Kind, int, bytes, bytes]:
    return (kind, number, entries.encode_end(END), answer(number) if kind is Kind.END else b"")


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    replay = Replay(tmp_path / "journal")
    assert not replay.poll()
    assert replay.backlog_bytes == 0
    assert replay.oldest_stamp is None


def test_a_call_whose_relay_died_is_given_back_once_with_its_text_so_far(tmp_path: Path) -> None:
    write(tmp_path, [start(1), start(2), part(1), part(1), end(2)])
    replay = Replay(tmp_path)
    read = drain(replay)
    assert (read.closed[1].end, read.closed[1].end_stamp, read.closed[1].answer) == (None, None, b"part part ")
    assert read.closed[2].end == END
    assert not replay.poll()
    assert replay.running == 0
    assert files(tmp_path) == []


async def test_a_call_whose_relay_lives_is_not(tmp_path: Path) -> None:
    replay = Replay(tmp_path)
    async with journal(tmp_path) as live:
        await begin(live, 1)
        for number in range(100, 500):  # over several segments
            await call(live, number)
            assert 1 not in drain(replay).closed
    assert set(drain(replay).closed) == {1}
    replay.close()


def test_an_amendment_ends_a_call_that_has_no_end(tmp_path: Path) -> None:
    write(tmp_path, [start(1), part(1), end(1, Kind.AMEND)])
    read = read_back(tmp_path)
    assert (read.closed[1].end, read.closed[1].answer) == (END, b"part ")
    assert read.all("amended") == []


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([end(1)], "END without its START"),
        ([part(1)], "PART without its START"),
        ([start(1), end(1), end(1)], "END without its START"),
        ([start(1), start(1), end(1)], "a second START"),
        ([(Kind.START, 1, b"{}", b"body"), (Kind.END, 1, entries.encode_end(END), b"")], "no Start"),
        ([start(1), (Kind.END, 1, b"no json", b"body")], "header is no JSON"),
        ([start(1), (Kind.ATTEMPT, 1, b"{}", b""), end(1)], "no Attempt"),
        ([(Kind.GAP, 1, b"{}", b"")], "no Gap"),
    ],
)
def test_a_poison_record_is_set_aside_whole_and_its_neighbours_are_not(
    tmp_path: Path, records: list[tuple[Kind, int, bytes, bytes]], reason: str
) -> None:
    write(tmp_path, [start(8), *records, end(8), start(9), end(9)])
    read = read_back(tmp_path)
    (poison,) = read.all("poisons")
    assert reason in poison.reason
    assert poison.where.startswith(f"{OWNER}-00000001.seg@")
    assert any(header in poison.raw and body in poison.raw for _, _, header, body in records)
    assert poison.at_us > 0
    assert {8, 9} <= read.ended
    assert files(tmp_path) == []


def test_damage_is_set_aside_and_the_call_it_hit_is_told_by_what_is_left(tmp_path: Path) -> None:
    write(tmp_path, [start(1), start(2), end(1), end(2)])
    path = tmp_path / Name(OWNER, 1).file
    raw = bytearray(path.read_bytes())
    raw[60] ^= 255  # in START of call 1
    path.write_bytes(raw)
    read = read_back(tmp_path)
    assert read.ended == {2}
    assert [poison.reason for poison in read.all("poisons")] == ["checksum does not match", "END without its START"]
    assert request(1) in read.all("poisons")[0].raw
    assert answer(1) in read.all("poisons")[1].raw


async def test_the_records_of_several_owners_come_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    clock = Clock(0)
    owners = [f"{n:016x}" for n in range(3)]
    async with (
        Journal(tmp_path, owners[0], clock, log()) as one,
        Journal(tmp_path, owners[1], clock, log()) as two,
        Journal(tmp_path, owners[2], clock, log()) as three,
    ):
        for number in range(300):
            await call((one, two, three)[number * 7 % 5 % 3], number)
    replay = Replay(tmp_path)
    read = drain(replay, limit=7)
    ends = [closed.end_stamp for closed in read.all("closed")]
    assert len(ends) == 300
    assert ends == sorted(ends)
    assert list(read.closed) == list(range(300))


async def test_a_segment_is_kept_until_every_call_in_it_is_filed(tmp_path: Path) -> None:
    async with journal(tmp_path) as live:
        long = await begin(live, 1)
        for number in range(100, 300):
            await call(live, number)
        replay = Replay(tmp_path)
        first = replay.poll()
        assert len(files(tmp_path)) > 2, "nothing is deleted before it is done"
        replay.done(first)
        kept = [name for name in files(tmp_path) if not name.endswith(".new")]  # one being made is renamed when it is
        assert kept[0] == Name(OWNER, 1).file, "the long call begins in it"
        assert len(kept) <= 3
        await long.end(END, answer(1))
        last = replay.poll()
        assert [closed.request for closed in last.closed] == [request(1)]
        assert set(kept) <= set(files(tmp_path)), "the disk thread may have made one more"
        replay.done(last)
        assert Name(OWNER, 1).file not in files(tmp_path)
    assert not drain(replay).closed
    assert files(tmp_path) == []


async def test_after_a_restart_what_was_not_done_comes_again_and_leftovers_of_what_was_do_not(tmp_path: Path) -> None:
    async with journal(tmp_path) as live:
        across = await begin(live, 1)
        for number in range(100, 200):
            await call(live, number)
        first = Replay(tmp_path)
        assert set(drain(first).closed) == set(range(100, 200))
        pinning = await begin(live, 2)
        await across.end(END, answer(1))
        assert set(drain(first).closed) == {1}
        first.poll()
        first.close()
        await pinning.end(END, answer(2))

        assert Name(OWNER, 1).file not in files(tmp_path)

        second = Replay(tmp_path)
        again = second.poll()
        second.close()
        given = {closed.id.int - 1 for closed in again.closed}
        assert 2 in given
        assert 1 not in given
        assert not again.poisons, "END of call 1 is still there, its START's segment is not: it was filed"
        third = Replay(tmp_path)
        assert set(drain(third).closed) == given
        third.close()


async def test_a_batch_is_bounded_by_rows_and_by_bytes(tmp_path: Path) -> None:
    async with journal(tmp_path) as live:
        for number in range(200):
            await call(live, number, size=1000)
    replay = Replay(tmp_path)
    assert len(replay.poll(10).closed) == 10
    assert replay.oldest_stamp is not None
    few = replay.poll(500, max_bytes=20_000)
    assert 20_000 <= few.size_bytes < 25_000
    assert replay.backlog_bytes > 100_000
    rest = drain(replay)
    assert len(few.closed) + len(rest.closed) == 190
    assert replay.backlog_bytes == 0


async def test_interrupted_calls_are_bounded_too(tmp_path: Path) -> None:
    async with journal(tmp_path) as live:
        for number in range(25):
            await begin(live, number)
    replay = Replay(tmp_path)
    read = drain(replay, limit=10)
    assert [len(batch) for batch in read.batches] == [10, 10, 5]
    assert set(read.closed) == set(range(25))


async def test_bytes_that_wait_for_their_end_are_not_kept_in_memory(tmp_path: Path) -> None:
    async with journal(tmp_path, segment_bytes=2**22) as live:
        entry = await begin(live, 1)
        for _ in range(100):
            entry.part(b"x" * 10_000)
        replay = Replay(tmp_path)
        replay.poll()
        (running,) = replay._running.values()
        assert len(running.parts) == 100
        assert not any(isinstance(field, bytes) for span in running.parts for field in span)
        await entry.end(END, b"")
        (closed,) = replay.poll().closed
        replay.close()
    assert closed.answer == b"x" * 1_000_000


async def test_what_a_relay_left_half_made_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / Name("00000000000000bb", 1).file).with_suffix(".new").write_bytes(bytes(100))
    async with journal(tmp_path):
        Replay(tmp_path).close()
        assert files(tmp_path) == [Name(OWNER, 1).file]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["START", "PART", "END", "FAIL"]), max_size=60), st.integers(0, 2**32))
def test_whatever_the_relays_did_each_call_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")

    async def play() -> dict[int, bytes]:
        disk = FaultyDisk()
        texts: dict[int, bytes] = {}
        async with journal(folder, disk=disk, segment_bytes=2**14) as live:
            running: dict[int, Entry] = {}
            for number, step in enumerate(steps):
                chosen = sorted(running)[seed % len(running)] if running else None
                if step == "START":
                    with suppress(LogUnavailable):  # the disk may still be failing: what is refused is not there
                        running[number], texts[number] = await begin(live, number, seed % 3000), b""
                elif step == "FAIL":
                    disk.fail = {"allocate": 0}
                    await asyncio.sleep(0)
                    disk.heal()
                elif chosen is not None and step == "PART":
                    running[chosen].part(b"part ")
                    texts[chosen] += b"part "
                elif chosen is not None:
                    await running.pop(chosen).end(replace(END, status="client_closed"), b"end")
                    texts[chosen] += b"end"
        return texts

    texts = asyncio.run(play())
    read = read_back(folder)
    assert {number: closed.answer for number, closed in read.closed.items()} == texts
    assert read.ended == {number for number, text in texts.items() if text.endswith(b"end")}
    assert read.all("poisons") == []


async def test_the_last_stamp_is_found_whoever_wrote_it(tmp_path: Path) -> None:
    assert last_stamp(tmp_path) == 0
    clock = Clock(10**18)
    async with (
        Journal(tmp_path, "00000000000000bb", clock, log()) as one,
        Journal(tmp_path, "00000000000000aa", clock, log()) as two,
    ):
        for number in range(100):
            await call(one, number)
        await call(two, 1000)
        before = clock.stamp()
        assert 10**18 < last_stamp(tmp_path) < before
        await call(one, 1001)
        assert before < last_stamp(tmp_path) < clock.stamp()
