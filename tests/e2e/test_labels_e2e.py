"""Real processes: labels that another process writes are filed while `tailrace serve` runs, and where none does."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson

from tailrace import datadir, stamps
from tailrace.clock import Clock
from tailrace.journal.own import own_journal
from tailrace.records import Label
from tailrace.settings import Settings
from tailrace.writer.drain import drain
from tests.running import PATIENCE_S, Proxy, proxy, until
from tests.writer.filing import made

LABELS: Final = 300
OTHER: Final = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from tailrace import stamps
from tailrace.clock import Clock
from tailrace.ids import uuid7
from tailrace.journal.own import own_journal
from tailrace.records import Label
from tailrace.settings import Log

async def work(folder, completion, count):
    async with own_journal(folder, Log(), Clock(stamps.anchor(folder))) as journal:
        await journal.labels(
            Label(uuid7(1, n.to_bytes(10, "big")), completion, n, "intent", "v1", "llm", f"label {n}")
            for n in range(count)
        )
        print("kept", flush=True)
        sys.stdin.read()

asyncio.run(work(Path(sys.argv[1]), UUID(sys.argv[2]), int(sys.argv[3])))
"""


def writing(folder: Path, completion: str) -> "subprocess.Popen[str]":
    """A process that has kept its labels, and lives until its stdin ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder), completion, str(LABELS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "kept\n"
    return child


def ended(child: "subprocess.Popen[str]", *, kill: bool) -> None:
    if kill:
        child.kill()
    child.communicate(timeout=PATIENCE_S)


def owners(folder: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in (folder / "journal").iterdir()}


def labelled(running: Proxy, completion: str) -> int | None:
    """How many labels the log has, once it has all of them."""
    query = f"SELECT count(*) AS n FROM label WHERE completion = x'{completion.replace('-', '')}'"
    found = running.select(query)
    return int(found[0]["n"]) if found and found[0]["n"] >= LABELS else None


def test_labels_of_another_process_are_filed_and_its_segments_deleted(tmp_path: Path) -> None:
    with proxy(tmp_path) as running:
        answer = running.post({"model": "sim/echo", "messages": [{"role": "user", "content": "Yes"}]})
        completion = answer.headers["x-tailrace-id"]
        for kill in (False, True):
            before = owners(running.data_dir)
            child = writing(running.data_dir, completion)
            assert until(lambda: labelled(running, completion), "the labels while their process lives") == LABELS
            own = owners(running.data_dir) - before
            assert len(own) == 1
            ended(child, kill=kill)
            until(lambda: True if not own & owners(running.data_dir) else None, "its segments to go")  # noqa: B023
        assert labelled(running, completion) == LABELS, "the same ids again are the same labels"
        (row,) = running.select("SELECT * FROM classifier_version")
        assert (row["name"], row["version"]) == ("intent", "v1")
        shown = subprocess.run(
            [sys.executable, "-m", "tailrace", "logs", 'label.intent = "label 299"', "--json", "--data-dir",
             str(running.data_dir)], capture_output=True, check=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert orjson.loads(shown.stdout)["labels"]["intent"]["label"] == "label 299"
        assert running.stop() == 0


def test_where_no_writer_runs_the_holder_of_the_folder_files_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def work() -> None:
        clock = Clock(stamps.anchor(data))
        settings = Settings()
        async with own_journal(data, settings.log, clock) as journal:
            await journal.labels([Label(made(1, b"", b"").id, made(2, b"", b"").id, 1, "intent", "v1", "human", "yes")])
        await drain(settings, data, clock)

    with datadir.hold(data):
        asyncio.run(work())
    with closing(sqlite3.connect(data / "tailrace.db")) as store:
        rows: list[Any] = store.execute("SELECT text, rank FROM label").fetchall()
    assert rows == [("yes", 2)]
    assert list((data / "journal").iterdir()) == []


def test_what_waits_for_a_writer_is_filed_by_the_next_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with datadir.hold(data):
        completion = str(made(1, b"", b"").id)
        child = writing(data, completion)
        os.kill(child.pid, signal.SIGKILL)
        ended(child, kill=True)
    with proxy(tmp_path, data_dir=data) as running:
        assert until(lambda: labelled(running, completion), "the labels that were there before") == LABELS
