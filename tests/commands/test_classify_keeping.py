"""Where a command's labels go: what a killed one left is filed first, and one at a time writes of a classifier."""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tailrace import datadir
from tailrace.clock import Clock
from tailrace.commands.classify_keeping import keeping
from tailrace.errors import UserError
from tailrace.journal.own import own_journal
from tailrace.records import Label, LabelSource
from tailrace.settings import Settings
from tailrace.writer.drain import drain
from tests.writer.filing import chat, store

SETTINGS = Settings()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with store(tmp_path) as (_, ingest):
        await ingest.file([chat(1, [{"role": "user", "content": "x"}], {"role": "assistant", "content": "y"})])
    return tmp_path


def label(n: int) -> Label:
    return Label(uuid4(), UUID(int=n), n, "mood", "v1", LabelSource.RULE, "fine")


def filed(folder: Path) -> int:
    connection = sqlite3.connect(folder / "tailrace.db")
    try:
        (count,) = connection.execute("SELECT count(*) FROM label").fetchone()
    finally:
        connection.close()
    return int(count)


async def left_behind(folder: Path) -> str:
    """What a command that died wrote, under the names that it gives; and those names' beginning."""
    with datadir.hold(folder):
        async with keeping(SETTINGS, folder, "mood") as keeper:
            await keeper.put(label(1))
            (segment,) = (folder / "journal").glob("*.seg")
            raise InterruptedError(segment.name)


async def test_what_a_killed_command_left_is_filed_before_the_next_one_begins(folder: Path) -> None:
    with suppress(InterruptedError):
        await left_behind(folder)
    assert list((folder / "journal").glob("*.seg"))
    begun = asyncio.Event()

    async def command() -> int:
        async with keeping(SETTINGS, folder, "mood") as keeper:
            begun.set()
            assert keeper.served
            await keeper.put(label(2))
            return filed(folder)

    with datadir.hold(folder):  # as `tailrace serve` does, whose writer is slow today
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(command())
            with suppress(TimeoutError):
                await asyncio.wait_for(begun.wait(), 0.3)
            assert not begun.is_set()
            await drain(SETTINGS, folder, Clock(0))
            await begun.wait()
            while not running.done():  # it ends when its own label is filed
                await drain(SETTINGS, folder, Clock(0))
    assert running.result() == 1
    assert filed(folder) == 2


async def test_another_classifiers_segments_are_waited_for_by_nobody(folder: Path) -> None:
    with suppress(InterruptedError):
        await left_behind(folder)
    with datadir.hold(folder), suppress(InterruptedError):
        async with keeping(SETTINGS, folder, "topic"):
            raise InterruptedError


async def test_one_command_at_a_time_writes_labels_of_a_classifier(folder: Path) -> None:
    async with keeping(SETTINGS, folder, "mood") as keeper:
        assert not keeper.served
        with pytest.raises(UserError, match="another command writes labels of mood"):
            async with keeping(SETTINGS, folder, "mood"):
                pass
        await keeper.put(label(1))
    assert filed(folder) == 1


async def test_without_a_proxy_what_waits_in_the_journal_is_filed_at_the_begin_and_at_the_end(folder: Path) -> None:
    async with own_journal(folder, SETTINGS.log, Clock(0)) as journal:
        await journal.labels([label(1)])
    async with keeping(SETTINGS, folder, "mood") as keeper:
        assert filed(folder) == 1
        await keeper.put(label(2), label(3))
    assert filed(folder) == 3
    assert not list((folder / "journal").glob("*.seg"))
