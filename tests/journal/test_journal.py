"""A completion's records through a healthy journal: kept, in order, in groups, and given back as they were."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from tailrace.errors import LogUnavailable, WorkFailed
from tailrace.journal.replay import Replay
from tailrace.records import Action, Definition, Feedback, Gap, Label, Labelled, Retried, StudentChange
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
both = pytest.mark.parametrize("durability", ["power", "process"])


@both
async def test_a_call_is_given_back_as_it_was(tmp_path: Path, durability: Durability) -> None:
    retried = Retried(2, 5, "other", "m2", previous=replace(LAST, outcome="provider_error"))
    async with journal(tmp_path, durability=durability) as log:
        entry = log.begin(id_of(7), START, request(7))
        await entry.written()
        await entry.attempt(retried)
        entry.part(b"first ")
        entry.part(b"second ")
        await entry.end(END, b"rest")
    (closed,) = read_back(tmp_path).all("closed")
    assert closed.id == id_of(7)
    assert (closed.owner, closed.start, closed.end) == (OWNER, START, END)
    assert (closed.request, closed.answer) == (request(7), b"first second rest")
    assert closed.retries == (retried,)
    assert closed.stamp < closed.end_stamp


@both
async def test_calls_beside_each_other_are_kept_apart(tmp_path: Path, durability: Durability) -> None:
    async with journal(tmp_path, durability=durability) as log:
        await asyncio.gather(*(call(log, number) for number in range(300)))
    closed = read_back(tmp_path).closed
    assert {number: (one.request, one.answer) for number, one in closed.items()} == {
        number: (request(number), answer(number)) for number in range(300)
    }


async def test_start_is_with_the_kernel_before_the_provider_is_called(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await begin(log, 1)
        (file,) = files(tmp_path)
        assert request(1) in (tmp_path / file).read_bytes()


async def test_what_ends_together_is_synced_together(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="power", disk=disk, segment_bytes=2**24) as log:
        entries = await asyncio.gather(*(begin(log, number) for number in range(5000)))
        before = disk.syncs
        async with asyncio.timeout(GUARD_S):
            await asyncio.gather(*(entry.end(END, answer(number)) for number, entry in enumerate(entries)))
        assert 1 <= disk.syncs - before <= 50
    assert len(read_back(tmp_path).ended) == 5000


async def test_process_durability_never_syncs_a_record(tmp_path: Path) -> None:
    disk = FaultyDisk()
    async with journal(tmp_path, durability="process", disk=disk) as log:
        for number in range(300):
            await call(log, number)
    assert disk.syncs == 0
    assert len(read_back(tmp_path).ended) == 300


async def test_an_end_in_the_finally_of_a_cancelled_call_is_kept(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def cancelled_call() -> None:
        entry = await begin(log, 1)
        try:
            entry.part(b"so far")
            started.set()
            await asyncio.Event().wait()
        finally:
            entry.end(replace(END, status="client_closed"), b", and the rest")

    async with journal(tmp_path, durability="power") as log, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(cancelled_call())
        await started.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    closed = read_back(tmp_path).closed[1]
    assert closed.end is not None
    assert (closed.end.status, closed.answer) == ("client_closed", b"so far, and the rest")


async def test_end_counts_once(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        entry = await begin(log, 1)
        first = entry.end(END, b"one")
        assert entry.end(replace(END, status="refused"), b"two") is first
        await first
    closed = read_back(tmp_path).closed[1]
    assert (closed.end, closed.answer) == (END, b"one")


async def test_segments_follow_each_other_while_calls_run_over_their_edges(tmp_path: Path) -> None:
    async with journal(tmp_path, durability="power") as log:
        long = await begin(log, 10_000)
        for number in range(400):
            if number % 50 == 0:
                long.part(b"%d " % number)
            await call(log, number)
        assert len(files(tmp_path)) > 3
        await long.end(END, b"end")
    read = read_back(tmp_path)
    assert read.ended == {*range(400), 10_000}
    assert read.closed[10_000].answer == b"0 50 100 150 200 250 300 350 end"
    assert files(tmp_path) == []


async def test_a_body_larger_than_a_segment_gets_one_of_its_size(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        small = await begin(log, 1)
        await asyncio.gather(*(call(log, number, size=300_000) for number in range(2, 5)))
        await small.end(END, answer(1))
    closed = read_back(tmp_path).closed
    assert set(closed) == {1, 2, 3, 4}
    assert closed[3].request == request(3, 300_000)
    assert closed[3].answer == answer(3, 300_000)


async def test_gaps_are_kept(tmp_path: Path) -> None:
    gap = Gap(5, OWNER, 3, "tailrace_log_unavailable")
    async with journal(tmp_path) as log:
        log.gap(gap)
    assert read_back(tmp_path).all("gaps") == [gap]


async def test_feedback_is_kept_once_it_was_acknowledged(tmp_path: Path) -> None:
    said = Feedback(
        id="f1", at_us=5, project="default", key=None, target="chatcmpl-1", source="user", thumb="down",
        correction={"role": "assistant", "content": "No."}, tags={"page": "checkout"},
    )  # fmt: skip
    async with journal(tmp_path) as log:
        await log.feedback(said)
    assert read_back(tmp_path).all("feedback") == [said]
    with pytest.raises(LogUnavailable):
        await log.feedback(said)


def said(number: int, note: str | None = None) -> list[Labelled]:
    """All kinds of what a classifier writes down."""
    id_ = id_of(number)
    return [
        Label(id_, id_of(1), 5, "intent", "v1", "llm", ("a", "b"), confidence=0.5, note=note),
        Action(id_, id_of(1), 5, "intent", "v1", "a", "route", "k", "done", dry_run=True),
        Definition(5, "intent", f"v{number}", {"labels": ["a", "b"]}),
        StudentChange(id_, 5, "intent", "v1", 1, "shadow", "too few audits", counts={"audits": 3}),
    ]


async def test_what_the_classifiers_say_is_kept_once_it_was_acknowledged(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        await log.label(said(1)[0])
        await log.labels(said(1)[1:])
    assert read_back(tmp_path).all("labelled") == said(1)
    with pytest.raises(LogUnavailable):
        log.label(said(1)[0])


async def test_many_labels_at_once_wait_for_the_next_segment(tmp_path: Path) -> None:
    """More than several segments hold, and one that is larger than a segment: none is refused for that."""
    many = [one for number in range(500) for one in said(number, "x" * 900)]
    large = said(501, "x" * 2**17)[0]
    async with journal(tmp_path) as log:
        async with asyncio.timeout(GUARD_S):
            await log.labels([*many, large])
        assert len(files(tmp_path)) > 5
    assert read_back(tmp_path).all("labelled") == [*many, large]


async def test_a_label_of_the_wrong_shape_is_poison_alone(tmp_path: Path) -> None:
    broken: Any = {"at_us": 5, "classifier": "intent", "version": "v1", "definition": 1}
    async with journal(tmp_path) as log:
        await log.labels([said(1)[0], replace(said(1)[0], at_us=cast("int", "now")), Definition(**broken)])
    read = read_back(tmp_path)
    assert read.all("labelled") == [said(1)[0], Definition(**broken)]
    (poison,) = read.all("poisons")
    assert (poison.id, poison.reason, b'"now"' in poison.raw) == (None, "no time", True)


async def test_an_amendment_follows_the_completion_it_is_about(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        entry = await begin(log, 1)
        await entry.end(END, b"all")
        entry.amend(replace(END, status="tailrace_error"))
    read = read_back(tmp_path)
    (amended,) = read.all("amended")
    assert (amended.id, amended.end.status) == (id_of(1), "tailrace_error")
    assert amended.stamp > read.closed[1].end_stamp


async def test_closed_it_takes_nothing(tmp_path: Path) -> None:
    async with journal(tmp_path) as log:
        entry = await begin(log, 1)
    assert not log.healthy
    with pytest.raises(LogUnavailable):
        await begin(log, 2)
    with pytest.raises(LogUnavailable):
        log.gap(Gap(1, OWNER, 1, "x"))
    entry.part(b"late")
    with pytest.raises(LogUnavailable):
        await entry.end(END, b"")
    assert read_back(tmp_path).closed[1].end is None


async def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkFailed, match="journal's folder"):
        async with journal(tmp_path / "file" / "journal"):
            pass


async def test_a_live_journal_is_read_while_it_is_written(tmp_path: Path) -> None:
    replay = Replay(tmp_path)
    seen: set[int] = set()
    async with journal(tmp_path) as log:
        for number in range(500):
            await call(log, number)
            if number % 20 == 19:
                fresh = drain(replay).ended
                assert not fresh & seen
                seen |= fresh
                assert seen == set(range(number + 1))
        assert 1 <= len(files(tmp_path)) <= 3, "filed segments are deleted while the journal goes on"
    replay.close()
