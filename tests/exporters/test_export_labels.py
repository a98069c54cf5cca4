"""Labels, actions and feedback in a recipe's `where`: as of the export's watermark, whatever is said later."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import pytest

from tailrace.records import Action, Feedback, Label, Labelled
from tailrace.store.engine import open_writer
from tailrace.writer.ingest import Ingest
from tailrace_exporters.manifest import MANIFEST, digest_line
from tests.exporters.conftest import small_log
from tests.exporters.filing import file_log
from tests.exporters.logged import BORN_MS, after, closed, completion_id, opened
from tests.typed import Run


def label(n: int, of: int, value: str, **more: Any) -> Label:
    said = {"source": "llm", "confidence": 0.9, **more}
    return Label(UUID(int=n), completion_id(of), n, "intent", "v1", label=value, **said)


def action(n: int, of: int, outcome: str) -> Action:
    return Action(UUID(int=n), completion_id(of), n, "intent", "v1", "confirm", "route", "k", outcome)


def feedback(n: int, of: int, score: float) -> Feedback:
    return Feedback(f"f{n}", BORN_MS * 1000, "default", None, str(completion_id(of)), "user", score=score)


def say(data_dir: Path, *labelled: Labelled, opinions: tuple[Feedback, ...] = ()) -> None:
    async def work() -> None:
        async with open_writer(data_dir) as connection:
            ingest = await Ingest.open(connection, idle_s=1e6)
            await ingest.file([], labelled=labelled, feedback=opinions)

    asyncio.run(work())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = file_log(tmp_path / "data", small_log())
    say(
        folder,
        *(label(n, n, ("confirm", "reject")[n % 2]) for n in range(1, 13)),
        label(20, 14, "confirm", mode="shadow"),
        action(30, 6, "planned"),
        opinions=(feedback(1, 8, 0.25), feedback(2, 9, 0.75)),
    )
    return folder


def learned(out: Path) -> set[int]:
    """The completions of an export, by number."""
    numbers = {str(completion_id(n)): n for n in range(1, 40)}
    lines = (out / "lineage.jsonl").read_bytes().splitlines()
    return {numbers[name] for line in lines for name in orjson.loads(line)["learned"]}


QUERIES: Final = {
    "label.intent = confirm": {2, 4, 6, 10, 12},
    "label.intent != confirm": {1, 3, 5, 7, 11, *range(13, 21)},
    "label.intent IS NULL": set(range(13, 21)),
    "next.label.intent = confirm": {1, 3},
    "action.do = route AND action.outcome = planned": {6},
    "label.intent IN (confirm) AND label.intent.confidence >= 0.9 AND NOT feedback.score < 0.5": {2, 4, 6, 10, 12},
}
LATER: Final = (
    label(41, 2, "reject", source="human"),
    label(42, 1, "confirm", source="human"),
    label(43, 13, "confirm"),
    label(44, 16, "confirm"),
    label(45, 4, "reject"),
    action(46, 6, "done"),
    action(47, 2, "planned"),
)


@pytest.mark.parametrize("query", QUERIES)
def test_an_export_by_labels_is_the_same_after_more_was_said(
    tailrace: Run, data: Path, tmp_path: Path, query: str
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"[select]\nwhere = '''{query}'''\n[assemble]\nunit = 'step'\n[dedupe]\nexact = false\n")
    said = tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data)
    assert said.code == 0, said.err
    assert learned(tmp_path / "out") == QUERIES[query]
    mark = orjson.loads((tmp_path / "out" / MANIFEST).read_bytes())["watermark"]
    assert mark == {"seq": 20, "labels": 13, "actions": 1, "feedback": 2}
    say(data, *LATER, opinions=(feedback(3, 12, 0.0),))
    said = tailrace("export", "verify", tmp_path / "out", "--data-dir", data)
    assert said.code == 0, said.out
    tailrace("export", recipe, "--out", tmp_path / "new", "--data-dir", data)
    assert learned(tmp_path / "new") != QUERIES[query], "what was said later counts from now on"


def test_feedback_that_waited_for_its_completion_was_not_there_before(tailrace: Run, tmp_path: Path) -> None:
    """It is filed before its completion, and is about it only from the moment on that it is found to be."""
    data = file_log(tmp_path / "data", {1: (opened(1), None)})
    say(data, opinions=(feedback(1, 2, 0.25), feedback(2, 1, 0.25)))

    async def filed() -> None:
        async with open_writer(data) as connection:
            ingest = await Ingest.open(connection, idle_s=1e6)
            await ingest.file([closed(after(opened(1), "x", seq=2, answer="y"))])

    asyncio.run(filed())
    with closing(sqlite3.connect(data / "tailrace.db")) as store:
        rows = store.execute("SELECT id, seq, completion FROM feedback ORDER BY seq").fetchall()
    assert rows == [("f2", 2, 1), ("f1", 3, 2)]


def test_a_manifest_from_before_there_were_labels_verifies(tailrace: Run, tmp_path: Path) -> None:
    data = file_log(tmp_path / "data", small_log())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("")
    out = tmp_path / "out"
    tailrace("export", recipe, "--out", out, "--data-dir", data)
    manifest = orjson.loads((out / MANIFEST).read_bytes())
    manifest["watermark"] = {"seq": 20}
    raw = orjson.dumps(manifest)
    (out / MANIFEST).write_bytes(raw)
    (out / "manifest.sha256").write_bytes(digest_line(raw))
    said = tailrace("export", "verify", out, "--data-dir", data)
    assert said.code == 0, said.out


def test_a_log_without_the_labels_is_not_the_exports_log(tailrace: Run, data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("")
    tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data)
    other = file_log(tmp_path / "other", small_log())
    said = tailrace("export", "verify", tmp_path / "out", "--data-dir", other)
    assert (said.code, "the log of labels ends at 0, before the export's watermark 13" in said.out) == (1, True)
