"""A process that is no relay worker keeps its labels in the same folder, and they are filed like all others."""

import asyncio
from pathlib import Path
from uuid import UUID

from tailrace.clock import Clock
from tailrace.journal.own import SEGMENT_BYTES, own_journal
from tailrace.journal.replay import Replay
from tailrace.records import Label
from tests.journal.play import call, drain, files, journal, log, read_back


def label(number: int) -> Label:
    return Label(UUID(int=number), UUID(int=9), 5, "intent", "v1", "llm", "confirm")


async def test_it_stands_beside_the_relays_and_takes_little(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    async with (
        journal(folder) as relay,
        own_journal(tmp_path, log(segment_bytes=2**24), Clock(0)) as one,
        own_journal(tmp_path, log(segment_bytes=2**24), Clock(0)) as two,
    ):
        await asyncio.gather(call(relay, 1), one.labels([label(1), label(2)]), two.labels([label(3)]))
        read = drain(replay := Replay(folder))
        assert {one.id.int for one in read.all("labelled")} == {1, 2, 3}
        assert list(read.closed) == [1]
        theirs = [path for path in folder.iterdir() if not path.name.startswith("00000000000000aa")]
        assert len(theirs) >= 2
        assert all(path.stat().st_size <= SEGMENT_BYTES for path in theirs)
    assert drain(replay).batches == []
    replay.close()
    assert files(folder) == [], "all owners are gone"


async def test_what_is_written_while_nobody_reads_waits(tmp_path: Path) -> None:
    async with own_journal(tmp_path, log(), Clock(0)) as mine:
        await mine.labels(map(label, range(10)))
    assert read_back(tmp_path / "journal").all("labelled") == [*map(label, range(10))]
    assert files(tmp_path / "journal") == []
