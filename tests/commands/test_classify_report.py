"""`tailrace classify report`: rules, sources and confidences against people, drift by week, suspects."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from tailrace.classify.ready import Ready, load
from tailrace.classify.turn import Subject
from tailrace.commands.classify_suspects import Stored, suspects
from tailrace.records import Label, LabelMode, LabelSource
from tailrace.settings_load import load as load_settings
from tests.commands.filed import said, user
from tests.typed import Run
from tests.writer.filing import BORN_US, chat, store

CONFIG = """
[classifiers.mood]
labels = {angry = "is angry", fine = "is fine"}
rules = [
    {label = "angry", any = ["angry"]}, {label = "fine", any = ["fine", "well"]}, {label = "fine", any = ["angry x"]},
]
"""
WEEK_US = 7 * 86_400 * 10**6
COUNT = 80


def text_of(n: int) -> str:
    return f"{('I am angry', 'all is fine', 'all is well', 'hm so')[n % 4]} about the thing with number {n}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tailrace.toml").write_text(CONFIG)

    async def work() -> None:
        async with store(tmp_path / "data") as (_, ingest):
            for n in range(COUNT):
                at_us = BORN_US + n * 1000 + (n // 40) * WEEK_US
                times = {"started_us": at_us, "ended_us": at_us + 5}
                await ingest.file([chat(n + 1, [user(text_of(n))], said("ok"), **times)])

    asyncio.run(work())
    return tmp_path / "data"


def ready_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ready:
    monkeypatch.chdir(folder.parent)
    return load("mood", load_settings(None, {}).classifiers["mood"])


async def file_labels(folder: Path, version: str) -> None:
    """The model labels all: `angry` and `fine` in turn in the first week, all `angry` in the second; people the first
    half, and the model is right where it is sure."""
    async with store(folder) as (connection, ingest):
        rows = await connection.exec_driver_sql("SELECT id FROM completion ORDER BY seq")
        made = []
        for n, (id_,) in enumerate(rows.all()):
            word = "angry" if n % 2 == 0 or n >= 40 else "fine"
            label = Label(
                uuid4(), UUID(bytes=id_), n, "mood", version, LabelSource.LLM, word, confidence=0.5 + n % 40 / 100
            )
            made.append(label)
            if n < 40:
                right = word if n % 40 >= 20 else "none"
                made.append(
                    replace(label, id=uuid4(), label=right, source=LabelSource.HUMAN, confidence=None, who="ada")
                )
            if n == 41:
                made.append(replace(label, id=uuid4(), mode=LabelMode.AUDIT))
        await ingest.file([], labelled=made)


def told(tailrace: Run, folder: Path, *words: str) -> dict[str, Any]:
    done = tailrace("classify", "report", "mood", "--json", "--data-dir", folder, *words)
    assert done.code == 0, done.err
    found: dict[str, Any] = orjson.loads(done.out)
    return found


def test_what_is_not_there_is_null(tailrace: Run, folder: Path) -> None:
    report = told(tailrace, folder)
    assert (report["turns"], report["labelled"], report["coverage"]) == (COUNT, 0, 0)
    assert [rule["accuracy"] for rule in report["rules"]] == [None, None, None]
    assert (report["agreement"], report["confidence"], report["drift"], report["suspects"]) == ([], {}, [], [])
    assert tailrace("classify", "report", "mood", "--data-dir", folder).code == 0


def test_rules_sources_confidences_and_drift_are_held_against_later_labels(
    tailrace: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(file_labels(folder, ready_of(folder, monkeypatch).version))
    report = told(tailrace, folder)
    assert (report["labelled"], report["sources"]) == (COUNT, {"human": 0.5, "llm": 0.5})
    angry, fine, never = report["rules"]
    assert (angry["coverage"], angry["overlap"], fine["coverage"]) == (0.25, 0, 0.5)
    assert (never["coverage"], never["accuracy"], never["overlap"]) == (0, None, None)
    # of `angry`'s 20 votes people say `angry` of 5 and `none` of 5, and the model of the other 10 `angry`
    assert (angry["judged"], angry["accuracy"]) == (20, 0.75)
    (pair, *others) = [one for one in report["agreement"] if {one["one"], one["other"]} == {"human", "llm"}]
    assert (pair["turns"], pair["agree"], others) == (40, 0.5, [])
    held = report["confidence"]["llm"]
    assert (held["judged"], held["accuracy"], held["auroc"]) == (40, 0.5, 1.0)
    assert held["ece"] > 0.2
    assert [point["accuracy"] for point in held["coverage"] if point["coverage"] <= 0.5] == [1.0] * 10
    (week,) = report["drift"]
    assert week["drifted"]
    assert week["low"] <= week["distance"] <= week["high"]
    wrong = {one["text"]: one["instead"] for one in report["suspects"] if one["by"] == "rules"}
    assert wrong
    assert all("fine" in text or "well" in text for text in wrong), "of the model's second week, all `angry`"
    text = tailrace("classify", "report", "mood", "--data-dir", folder).out
    assert "llm against people: 50.0% of 40" in text
    assert "drifted" in text


def test_a_near_duplicate_and_a_student_that_never_saw_it_make_a_label_suspect(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, dice = ready_of(folder, monkeypatch), random.Random(1)
    words = {
        "angry": ["broken", "late", "rude", "refund", "complaint"],
        "fine": ["thanks", "great", "lovely", "perfect", "happy"],
    }

    def stored(n: int, text: str, label: str) -> Stored:
        of = UUID(int=n + 1)
        return Stored(of, of.bytes, Subject(text), Label(of, of, n, "mood", ready.version, "llm", label))

    items = []
    for n in range(120):
        label = ("angry", "fine")[n % 2]
        items.append(stored(n, " ".join(dice.choices(words[label], k=6)) + f" {n}", label))
    wrong = stored(500, "great lovely perfect happy thanks thanks 500", "angry")
    found = suspects(ready, [*items, wrong], 5)
    assert (found[0].completion, found[0].by, found[0].instead) == (wrong.completion, "student", "fine")
    twice = [stored(1, "please send it to my address", "fine"), stored(2, "please send it to my address", "angry")]
    found = suspects(ready, twice, 5)
    assert {(one.completion.int, one.by, one.instead) for one in found} == {
        (2, "neighbour", "angry"),
        (3, "neighbour", "fine"),
    }
