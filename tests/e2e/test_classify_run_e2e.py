"""`tailrace classify run` beside a running proxy: estimate, model, budget, kill -9 and resume; over files too."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from tests.commands.filed import said, user
from tests.running import PATIENCE_S, Proxy, proxy, until
from tests.writer.filing import chat, store

pytestmark = pytest.mark.xdist_group("classify_run_e2e")

CALLS = 300
CONFIG = """
[log]
durability = "process"
[simulator]
gold = ["{gold}"]
[prices."sim/label"]
input_usd_per_mtok = 1000
output_usd_per_mtok = 1000
[classifiers.mood]
labels = {{angry = "is angry", fine = "is fine"}}
rules = [{{label = "fine", exact = ["fine"]}}]
context = {{turns = 0}}
audit_share = 0  # else a student would learn of 5,000 labels, and answer some of them
[classifiers.mood.llm]
model = "{model}"
"""


def label_of(n: int) -> str:
    return ("angry", "fine")[n % 2]


def text_of(n: int) -> str:
    return f"word{n * 7919 % 1000003} number {n} of the texts"


def gold(folder: Path, count: int) -> Path:
    path = folder / "gold.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"text": text_of(n), "label": label_of(n)}) + b"\n" for n in range(count)))
    return path


def file_texts(folder: Path, texts: Sequence[str]) -> None:
    """A log of turns, each a chain of its own."""

    async def work() -> None:
        async with store(folder) as (_, ingest):
            for at in range(0, len(texts), 250):
                some = enumerate(texts[at : at + 250], at + 1)
                await ingest.file([chat(n, [user(text)], said("ok")) for n, text in some])

    folder.mkdir(parents=True)
    asyncio.run(work())


@contextmanager
def served(folder: Path, texts: Sequence[str], model: str = "sim/label") -> Iterator[Proxy]:
    """A proxy whose log holds `texts`, which the labeller leaves to the command: they came before the classifier."""
    file_texts(folder / "proxy" / "data", texts)
    with proxy(folder / "proxy", CONFIG.format(gold=gold(folder, len(texts)), model=model)) as started:
        until(lambda: list((started.data_dir / "labeller").glob("mood-*.json")) or None, "the labeller's place")
        yield started


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Proxy]:
    with served(tmp_path, [text_of(n) for n in range(CALLS)]) as started:
        yield started


def words(running: Proxy, *more: str) -> list[str]:
    config = running.stderr.parent / "tailrace.toml"
    return [
        sys.executable, "-m", "tailrace", "classify", "run", "mood", "--config", str(config),
        "--data-dir", str(running.data_dir), "--url", running.url, "--json", "--yes", *more,
    ]  # fmt: skip


def run(running: Proxy, *more: str, patience_s: float = PATIENCE_S * 2) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        words(running, *more),
        check=False,
        capture_output=True,
        text=True,
        timeout=patience_s,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, orjson.loads(done.stdout) if done.stdout else {}, done.stderr


def labels(running: Proxy) -> list[dict[str, Any]]:
    return running.select(
        "SELECT label.*, completion.seq AS of FROM label JOIN completion ON completion.id = label.completion "
        "ORDER BY completion.seq"
    )


def killed(running: Proxy, after: int, *more: str) -> None:
    """A run that dies by kill -9 when at least `after` labels are filed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    child = subprocess.Popen(words(running, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    until(lambda: True if len(labels(running)) >= after or child.poll() is not None else None, "the first labels")
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL


def check_once(running: Proxy, count: int, kills: int) -> None:
    """Each turn has one label, the right one, and no more was asked than what was under way at a kill."""
    found = labels(running)  # the command ends when they are filed
    assert Counter(row["completion"] for row in found) == dict.fromkeys({row["completion"] for row in found}, 1)
    assert [row["text"] for row in found] == [label_of(n) for n in range(count)]
    assert {(row["source"], row["mode"]) for row in found} == {("llm", "live")}
    assert all(row["confidence"] is not None for row in found)
    calls = running.rows(count, "origin = 'classifier'")
    assert len({row["source"] for row in calls}) == count
    assert len(calls) <= count + kills, "only what was under way when a run died is asked again"


def test_each_turn_is_labelled_once_although_runs_are_killed(running: Proxy) -> None:
    for after in (20, 90):
        killed(running, after, "--concurrency", "2")
    code, told, err = run(running)
    assert code == 0, err
    assert 0 < told["labelled"] < CALLS - 90
    check_once(running, CALLS, kills=4)
    code, told, _ = run(running)
    assert (code, told["labelled"], told["calls"]) == (0, 0, 0)


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_each_of_5000_turns_is_labelled_once_although_runs_are_killed(tmp_path: Path) -> None:
    count, kills, dice = 5000, 10, random.Random(4)
    with served(tmp_path, [text_of(n) for n in range(count)]) as running:
        for _ in range(kills):
            killed(running, len(labels(running)) + dice.randrange(1, count // kills - 50), "--concurrency", "8")
        code, told, err = run(running, "--concurrency", "8", patience_s=300)
        assert code == 0, err
        assert told["labelled"] > 0
        check_once(running, count, kills=8 * kills)


def test_the_budget_and_the_limit_end_a_run_and_the_next_one_goes_on(running: Proxy) -> None:
    code, told, _ = run(running, "--dry-run")
    estimate = told["estimate"]
    assert (code, told["labelled"], estimate["items"], estimate["calls"]) == (0, 0, CALLS, CALLS)
    each = estimate["cost_usd"] / CALLS
    code, told, _ = run(running, "--budget", str(each * 50), "--limit", "100")
    assert code == 0
    assert told["labelled"] + told["left"] == 100
    assert 20 <= told["labelled"] < 100
    assert told["cost_usd"] <= each * 50 * 1.05
    code, more, _ = run(running, "number")  # a query that is none
    assert code == 2
    code, more, _ = run(running, "--limit", "10")
    assert (code, more["labelled"]) == (0, 10)
    assert len(labels(running)) == told["labelled"] + 10


def test_near_duplicates_take_a_label_without_a_call(tmp_path: Path) -> None:
    long = "I would like to change the seat on my flight to Berlin tomorrow morning, please help me with that"
    texts = [long, long + "!", long.replace("please", "pleas"), long.replace("like to", "not like to")]
    with served(tmp_path, texts) as running:
        code, told, err = run(running, "--propagate", "--concurrency", "1")
        assert code == 0, err
        assert told["by_source"] == {"llm": 2, "propagated": 2}
        found = labels(running)
        first = UUID(bytes=found[0]["completion"])
        assert [row["source"] for row in found] == ["llm", "propagated", "propagated", "llm"]
        assert {orjson.loads(row["note"])["from"] for row in found[1:3]} == {str(first)}
        assert [row["confidence"] for row in found[1:3]] == [None, None]


def test_without_a_proxy_a_model_cannot_be_asked_and_rules_can(tmp_path: Path) -> None:
    with served(tmp_path, ["Fine!", "hm"]) as running:
        running.stop()
        code, _, err = run(running)
        assert (code, err.count("\n")) == (2, 1)
        assert "tailrace serve" in err
        assert "--sources rules" in err
        code, told, err = run(running, "--sources", "rules")
        assert code == 0, err
        assert (told["by_source"], told["open"]) == ({"rule": 1}, 1)
        (label,) = labels(running)
        assert (label["text"], label["source"]) == ("fine", "rule")
        assert not list((running.data_dir / "journal").glob("*.seg"))


def test_what_fails_for_good_stays_open_and_passing_failures_are_tried_again(tmp_path: Path) -> None:
    texts = [text_of(n) for n in range(30)]
    with served(tmp_path, texts, model="sim/label-500-30") as running:
        code, told, err = run(running, "--concurrency", "4")
        assert (code, told["labelled"], told["failed"]) == (0, 30, 0), err
        assert told["calls"] == 30 + told["tried_again"]
    with served(tmp_path / "dead", texts, model="nobody/knows-it") as running:
        code, told, err = run(running)
        assert (code, told.get("labelled", 0)) in ((1, 0), (2, 0)), err
        assert labels(running) == []


def test_labels_are_imported_while_the_proxy_runs(tmp_path: Path) -> None:
    with served(tmp_path, ["one", "two"]) as running:
        (first, _) = [str(UUID(bytes=row["id"])) for row in running.rows(2)]
        given = tmp_path / "given.csv"
        given.write_text(f"id,label\n{first},angry\n")
        config = str(running.stderr.parent / "tailrace.toml")
        command = [sys.executable, "-m", "tailrace", "classify", "import", "mood", str(given), "--as-human"]
        command += ["--config", config, "--data-dir", str(running.data_dir)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        (label,) = labels(running)  # filed by the running writer before the command ends
        assert (label["text"], label["source"], label["rank"]) == ("angry", "human", 2)


def test_a_files_texts_are_labelled_once_each_although_the_run_is_killed(running: Proxy, tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    texts.write_bytes(b"".join(orjson.dumps({"id": f"t{n}", "text": text_of(n)}) + b"\n" for n in range(CALLS)))
    more = ("--input", str(texts), "--out", str(out), "--concurrency", "2")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    child = subprocess.Popen(words(running, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    until(lambda: True if out.exists() and out.read_bytes().count(b"\n") > 30 else None, "the first labels")
    child.kill()
    child.communicate()
    with out.open("ab") as file:
        file.write(b'{"id":"t299","label":"ang')  # as a kill inside a write leaves it
    code, told, err = run(running, *more)
    assert code == 0, err
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert Counter(row["id"] for row in rows) == {f"t{n}": 1 for n in range(CALLS)}
    assert all(row["label"] == label_of(int(row["id"][1:])) for row in rows)
    assert 0 < told["labelled"] < CALLS - 30


def test_ctrl_c_ends_a_run_and_the_next_one_goes_on(running: Proxy) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    command = words(running, "--concurrency", "2")
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    until(lambda: True if len(labels(running)) >= 20 or child.poll() is not None else None, "the first labels")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, err
    assert "run the same command again" in err
    assert "Traceback" not in err
    code, told, err = run(running)
    assert (code, 0 < told["labelled"] < CALLS) == (0, True), err
    check_once(running, CALLS, kills=2)


def test_what_the_labeller_is_about_to_label_is_left_to_it(tmp_path: Path) -> None:
    with served(tmp_path, [text_of(n) for n in range(4)]) as running:
        (labeller,) = running.children("labeller")
        os.kill(labeller, signal.SIGSTOP)
        try:
            for text in ("fine", "Fine!"):
                assert running.post({"model": "sim/echo", "messages": [user(text)]}).status_code == 200
            running.rows(6, "origin = 'app'")
            run(running)
            assert len(labels(running)) == 4
        finally:
            os.kill(labeller, signal.SIGCONT)
        found = until(lambda: rows if len(rows := labels(running)) >= 6 else None, "the labeller's own")
        assert len({row["completion"] for row in found}) == len(found) == 6
