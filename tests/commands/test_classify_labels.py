"""`tailrace classify` on a log that nobody serves: rules in bulk, status, export and import, a review at a terminal."""

import asyncio
import csv
import os
import pty
import select
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from tailrace.classify.examples import parse_gold
from tailrace.classify.ready import load
from tailrace.commands.classify_values import brief_for
from tailrace.records import Label, Labelled, LabelMode, LabelSource, StudentChange
from tailrace.settings_load import load as load_settings
from tests.commands.filed import HOSTILE, said, user
from tests.running import PATIENCE_S
from tests.typed import Run
from tests.writer.filing import chat, store

CONFIG = """
[classifiers.mood]
labels = {angry = "is angry", fine = "is fine"}
rules = [{label = "angry", any = ["(?i)angry"]}, {label = "fine", any = ["(?i)fine"]}]
"""
TEXTS = ("I am angry", "all is fine", "hm, let me see", f"=cmd {HOSTILE}", "very angry and fine")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a completion for each text, each a chain of two steps, and the settings beside it."""
    (tmp_path / "tailrace.toml").write_text(CONFIG)

    async def work() -> None:
        async with store(tmp_path / "data") as (_, ingest):
            for n, text in enumerate(TEXTS, 1):
                await ingest.file([chat(n, [user("Hello"), said(f"Hi {n}, how are you?"), user(text)], said("ok"))])

    asyncio.run(work())
    return tmp_path / "data"


def ids(folder: Path) -> list[str]:
    return [str(UUID(bytes=row["id"])) for row in rows(folder, "SELECT id FROM completion ORDER BY seq")]


def rows(folder: Path, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(folder / "tailrace.db")
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def counting(folder: Path) -> list[tuple[str | None, str] | None]:
    """The label that counts of each completion, in order."""
    found = []
    for completion in ids(folder):
        query = "SELECT text, source FROM label WHERE hex(completion) = '{}' AND rank > 0 ORDER BY rank DESC, seq DESC"
        here = rows(folder, query.format(UUID(completion).hex.upper()))
        found.append((here[0]["text"], here[0]["source"]) if here else None)
    return found


def run(tailrace: Run, *words: str | Path, folder: Path) -> tuple[int, Any, str]:
    done = tailrace("classify", *words, "--data-dir", folder)
    out = done.out
    return done.code, orjson.loads(out) if out.startswith("{") else out, done.err


def test_rules_label_a_log_that_nobody_serves(tailrace: Run, folder: Path) -> None:
    code, told, err = run(tailrace, "run", "mood", "--json", "--yes", folder=folder)
    assert (code, told["by_source"], told["open"]) == (0, {"rule": 3}, 2), err
    assert counting(folder) == [("angry", "rule"), ("fine", "rule"), None, None, ("angry", "rule")]
    assert not list((folder / "journal").glob("*.seg"))
    code, told, _ = run(tailrace, "run", "mood", "--json", "--yes", folder=folder)
    assert (told["labelled"], told["estimate"]["items"]) == (0, 2), "what is labelled is left out"
    code, told, _ = run(tailrace, "run", "mood", "--again", "--json", "--yes", folder=folder)
    assert (code, told["labelled"]) == (0, 3)
    assert len(rows(folder, "SELECT * FROM label")) == 3, "the same label again is the same label"


def test_a_wrong_call_is_told_in_a_line(tailrace: Run, folder: Path) -> None:
    for words, told in (
        (("run", "moods"), "there are: mood"),
        (("run", "mood", "--sources", "llm"), "llm is off"),
        (("run", "mood", "--sources", "magic"), "none of rules, cache, student, llm"),
        (("run", "mood"), "give --yes"),
        (("run", "mood", "--input", "x.jsonl"), "--out"),
        (("run", "mood", "colour = red"), "QUERY"),
        (("status", "moods"), "there are: mood"),
        (("export", "mood", "--out", "x.txt"), ".jsonl or .csv"),
        (("import", "mood", "x.jsonl"), "cannot be read"),
        (("review", "mood"), "no terminal"),
    ):
        code, _, err = run(tailrace, *words, folder=folder)
        assert (code, err.splitlines()[-1].startswith("tailrace: ")) == (2, True), (words, err)
        assert told in err, words


def test_status_tells_versions_labels_failures_and_the_labeller(tailrace: Run, folder: Path) -> None:
    run(tailrace, "run", "mood", "--json", "--yes", folder=folder)
    code, told, _ = run(tailrace, "status", "mood", "--json", folder=folder)
    (version,) = told["versions"]
    assert (code, told["version"], version["in_force"]) == (0, version["version"], True)
    assert version["labels"] == [{"mode": "live", "source": "rule", "count": 3}]
    assert told["labels"] == {"angry": 2, "fine": 1}
    assert told["follower"] == {"runs": False, "at": None, "behind": None}
    assert told["webhooks"] == {"open": 0, "failed": 0, "done": 0}
    code, text, _ = run(tailrace, "status", folder=folder)
    assert "labels: angry 2, fine 1" in text
    assert "student: none yet" in text


def test_two_students_are_held_against_one_another(tailrace: Run, folder: Path) -> None:
    version = run(tailrace, "status", "mood", "--json", folder=folder)[1]["version"]
    before = {"labels": 200, "fitted": 3, "judged": 40, "agreed": 30}
    now = {"labels": 1300, "fitted": 1, "judged": 50, "agreed": 48, "audits": 40, "proven_percent": 65}
    told: list[tuple[str, str, dict[str, int]]] = [
        ("before", "shadow", {"labels": 200}), ("before", "shadow", before), (version, "live", now),
    ]  # fmt: skip
    for n, (of, state, counts) in enumerate(told):
        file_labels(folder, StudentChange(uuid4(), n, "mood", of, 1, state, f"reason {n}", counts=counts))
    _, found, _ = run(tailrace, "status", "mood", "--json", folder=folder)
    figures = ("version", "number", "labels", "judged", "agreement", "coverage")
    assert [tuple(one[name] for name in figures) for one in found["students"]] == [
        (version, 1, 1300, 50, 0.96, 0.65),
        ("before", 3, 200, 40, 0.75, 0.0),
    ]
    _, text, _ = run(tailrace, "status", "mood", folder=folder)
    line = f"version {version} student   1:  1,300 labels, agrees 96.0% over 50 judged turns, proven for 65% of"
    assert line in text
    assert "version before student   3:    200 labels, agrees 75.0% over 40 judged turns, proven for 0% of" in text


def test_failures_are_told_by_their_kind(tailrace: Run, folder: Path) -> None:
    version = run(tailrace, "status", "mood", "--json", folder=folder)[1]["version"]
    of = UUID(ids(folder)[0])
    label = Label(uuid4(), of, 1, "mood", version, LabelSource.LLM, None, error="off_list")
    file_labels(folder, label, replace(label, id=uuid4(), label="fine", error=None, mode=LabelMode.AUDIT))
    _, told, _ = run(tailrace, "status", "mood", "--json", folder=folder)
    assert told["failures"] == [{"version": version, "source": "llm", "error": "off_list", "count": 1}]
    assert told["audits"] == 1


def file_labels(folder: Path, *labels: Labelled) -> None:
    async def work() -> None:
        async with store(folder) as (_, ingest):
            await ingest.file([], labelled=labels)

    asyncio.run(work())


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_is_exported_is_a_gold_file_and_is_imported_once(
    tailrace: Run, folder: Path, tmp_path: Path, suffix: str
) -> None:
    given = tmp_path / "given.jsonl"
    labels = ["angry", "fine", "none", "none", "angry"]
    lines = [{"id": id_, "label": label} for id_, label in zip(ids(folder), labels, strict=True)]
    given.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    code, told, err = run(tailrace, "import", "mood", given, "--as-human", "--who", "ada", "--json", folder=folder)
    assert (code, told["written"]) == (0, 5), err
    assert counting(folder) == [(label, "human") for label in labels]
    out = tmp_path / f"gold.{suffix}"
    code, said_, _ = run(tailrace, "export", "mood", "--out", out, "--sources", "human", folder=folder)
    assert (code, "5 labels" in said_) == (0, True)
    ready = load("mood", load_settings(None, {}).classifiers["mood"])
    gold = parse_gold(out.read_bytes(), out.suffix, brief_for(ready))
    assert [(one.subject.text, one.label) for one in gold] == list(zip(TEXTS, labels, strict=True))
    assert gold[0].subject.turns[-1].text == "Hi 1, how are you?"
    if suffix == "csv":
        cells = list(csv.reader(out.read_text().splitlines()))
        assert cells[4][1].startswith("'=cmd")
    code, told, _ = run(tailrace, "import", "mood", out, "--as-human", "--json", folder=folder)
    assert (code, told["written"], told["there_already"]) == (0, 0, 5)
    assert len(rows(folder, "SELECT * FROM label")) == 5
    assert run(tailrace, "export", "mood", "--out", out, folder=folder)[0] == 2, "a file that is there stays"


def test_a_label_that_is_imported_gives_way_to_a_persons_and_comes_back_by_import(
    tailrace: Run, folder: Path, tmp_path: Path
) -> None:
    first = ids(folder)[0]
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_bytes(orjson.dumps({"id": first, "label": "fine"}))
    other.write_bytes(orjson.dumps({"id": first, "label": "angry"}))
    for file, more, now in (
        (one, (), ("fine", "imported")),
        (other, ("--as-human",), ("angry", "human")),
        (one, (), ("angry", "human")),
        (one, ("--as-human",), ("fine", "human")),
        (other, ("--as-human",), ("angry", "human")),
    ):
        assert run(tailrace, "import", "mood", file, *more, folder=folder)[0] == 0
        assert counting(folder)[0] == now


def test_wrong_rows_are_told_with_their_lines_and_nothing_is_imported(
    tailrace: Run, folder: Path, tmp_path: Path
) -> None:
    good, bad = ids(folder)[0], str(uuid4())
    lines = [
        {"id": good, "label": "angry"}, {"id": good, "label": "fine"}, {"id": bad, "label": "fine"},
        {"id": ids(folder)[1], "label": "cross"}, {"label": "fine"}, {"id": ids(folder)[2]},
    ]  # fmt: skip
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    code, _, err = run(tailrace, "import", "mood", file, folder=folder)
    assert code == 2
    for line, told in ((2, "line 1"), (3, "no completion"), (4, "'cross' is no label"), (5, "no id"), (6, "no label")):
        assert any(f"line {line}: " in one and told in one for one in err.splitlines()), (line, err)
    assert rows(folder, "SELECT * FROM label") == []


def reviewed(folder: Path, keys: str, *more: str) -> str:
    """A review at a terminal of its own: what was shown, when all keys were typed one after the other."""
    command = [sys.executable, "-m", "tailrace", "classify", "review", "mood", "--data-dir", str(folder), *more]
    mine, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    child = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=folder.parent, env=environment, start_new_session=True
    )
    os.close(its)
    shown, deadline, waiting = b"", time.monotonic() + PATIENCE_S, list(keys)
    try:
        seen = 0
        while time.monotonic() < deadline:
            ready, _, _ = select.select([mine], [], [], 0.1)
            if ready:
                try:
                    data = os.read(mine, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data
            if waiting and shown.count(b"[?] help") > seen:
                seen = shown.count(b"[?] help")
                os.write(mine, waiting.pop(0).encode())
        assert child.wait(PATIENCE_S) == 0, shown.decode()
    finally:
        child.kill()
        child.wait()
        os.close(mine)
    return shown.decode()


def test_a_person_labels_at_a_terminal_and_takes_an_answer_back(tailrace: Run, folder: Path) -> None:
    run(tailrace, "run", "mood", "--json", "--yes", folder=folder)
    shown = reviewed(folder, "2s1u3q", "--order", "recent", "--who", "ada")
    assert "very angry and fine" in shown
    assert "assistant: Hi 5, how are you?" in shown
    assert "now: angry (rule" in shown
    assert "\x1b]0;" not in shown
    assert "\\x1b]0;pwned" in shown
    # newest first: `2` to the last one, `s` past the one before, `1` to the third and back by `u`, then `3` to it
    assert counting(folder) == [("angry", "rule"), ("fine", "rule"), ("none", "human"), None, ("fine", "human")]
    assert {row["who"] for row in rows(folder, "SELECT who FROM label WHERE source = 'human'")} == {"ada"}


def test_an_answer_that_is_taken_back_leaves_what_counted_before(tailrace: Run, folder: Path) -> None:
    run(tailrace, "run", "mood", "--json", "--yes", folder=folder)
    before = counting(folder)
    reviewed(folder, "2uq", "--order", "recent")
    assert counting(folder) == before
    reviewed(folder, "s2uq", "--order", "recent")
    assert counting(folder) == [*before[:3], (None, "human"), before[4]], "a person's word that nothing is known"
    assert len(rows(folder, "SELECT * FROM label")) == 3 + 4
    queue = reviewed(folder, "q", "--order", "recent")
    assert "1 of 5" in queue, "what was taken back waits again"


def test_the_orders_of_the_queue(tailrace: Run, folder: Path) -> None:
    version = run(tailrace, "status", "mood", "--json", folder=folder)[1]["version"]
    some = [UUID(id_) for id_ in ids(folder)]
    label = Label(uuid4(), some[0], 1, "mood", version, LabelSource.LLM, "fine", confidence=0.9)
    file_labels(
        folder,
        label,
        replace(label, id=uuid4(), completion=some[1], confidence=0.4),
        replace(label, id=uuid4(), completion=some[2], mode=LabelMode.AUDIT),
        replace(label, id=uuid4(), completion=some[4], source=LabelSource.HUMAN, confidence=None, who="ada"),
    )
    for order, first in (("margin", TEXTS[1]), ("audit", TEXTS[2]), ("recent", "=cmd"), ("novelty", TEXTS[2])):
        shown = reviewed(folder, "q", "--order", order)
        assert f"user: {first}" in shown, order
