"""Recipes that ask models, through a real proxy: estimate, kill in the middle, budget, rebuild that asks nobody."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests import typed
from tests.exporters.filing import file_log
from tests.exporters.logged import opened
from tests.running import Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("export_calls_e2e")

ROWS: Final = 24
CONFIG: Final = """
[log]
durability = "process"
[prices."sim/json"]
input_usd_per_mtok = 1000
output_usd_per_mtok = 1000
[prices."sim/slow-20"]
input_usd_per_mtok = 10
output_usd_per_mtok = 10
"""
RECIPE: Final = """
name = "asked"
[filter]
judge = {model = "sim/json", rubric = "rubric.md", keep_at_least = 1}
[relabel]
model = "sim/slow-20"
[augment]
paraphrase = {model = "sim/json", per_row = 2}
[split]
train = 0.6
valid = 0.4
[calls]
concurrency = 2
"""
ASKED: Final = "origin = 'export' AND external_id IS NOT NULL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rubric.md").write_text("5: the question is answered.")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Proxy]:
    with served(folder / "one") as started:
        yield started


def served(folder: Path) -> Any:
    folder.mkdir()
    return proxy(folder, CONFIG, data_dir=file_log(folder / "data", {n: (opened(n), None) for n in range(1, ROWS + 1)}))


def words(running: Proxy, *more: str | Path) -> list[str]:
    config = running.stderr.parent / "tailrace.toml"
    return [
        *(sys.executable, "-m", "tailrace", "export", *map(str, more)),
        *("--config", str(config), "--data-dir", str(running.data_dir), "--json"),
    ]


def run(running: Proxy, *more: str | Path) -> tuple[int, Any, str]:
    said = typed.run(*words(running, *more)[3:])
    return said.code, orjson.loads(said.out) if said.out else None, said.err


def export(running: Proxy, recipe: Path, out: Path) -> tuple[int, Any, str]:
    return run(running, recipe, "--out", out, "--yes", "--url", running.url)


def lines(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("openai-chat/*"))}


def calls(running: Proxy, where: str = "1") -> int:
    return len(running.select(f"SELECT seq FROM completion WHERE {ASKED} AND {where}"))


def test_a_killed_export_goes_on_pays_once_and_is_rebuilt_without_anybody(running: Proxy, folder: Path) -> None:
    code, told, err = run(running, folder / "recipe.toml", "--dry-run")
    assert code == 0, err
    assert {stage: need["calls"] for stage, need in told["calls"].items()} == dict.fromkeys(
        ("judge", "relabel", "paraphrase"), ROWS
    )
    assert "judge: 24 calls at most (0 are answered in the log)" in err
    assert not calls(running)

    command = words(running, folder / "recipe.toml", "--out", folder / "out", "--yes", "--url", running.url)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: calls(running) >= ROWS + 4 or None, "some answers")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (folder / "out").exists()
    assert calls(running, "status = 'ok'") < 3 * ROWS

    code, told, err = export(running, folder / "recipe.toml", folder / "out")
    assert code == 0, err
    assert calls(running, "status = 'ok'") == told["answers"]["count"] == 3 * ROWS
    assert calls(running) - 3 * ROWS <= 2  # what was under way when it was killed, and was cut
    assert told["made"] == {"relabel": told["rows"]["count"], "paraphrase": told["rows"]["count"] - ROWS}

    with served(folder / "two") as other:
        assert export(other, folder / "recipe.toml", folder / "undisturbed")[0] == 0
    assert lines(folder / "undisturbed") == lines(folder / "out")

    running.stop()
    code, told, err = run(running, "verify", folder / "out", "--beside", folder)
    assert (code, told["findings"]) == (0, []), err
    code, _, err = export(running, folder / "recipe.toml", folder / "again")
    assert code == 0, err  # all answers are there: no proxy is needed
    assert lines(folder / "again") == lines(folder / "out")

    (folder / "rubric.md").write_text("5: the question is answered well.")
    code, _, err = export(running, folder / "recipe.toml", folder / "other")
    assert code == 2
    assert "no proxy answers" in err
    assert "start `tailrace serve`" in err


def test_a_budget_is_kept_and_can_be_raised(running: Proxy, folder: Path) -> None:
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.replace("concurrency = 2", "concurrency = 2\nbudget_usd = 2.0"))
    code, _, err = export(running, recipe, folder / "out")
    assert code == 1
    assert "[calls] budget_usd = 2 is used up" in err
    assert not (folder / "out").exists()
    running.rows(2, f"{ASKED}")
    spent = sum(row["cost_usd"] for row in running.select(f"SELECT cost_usd FROM completion WHERE {ASKED}"))
    assert 1 < spent <= 2
    made = calls(running)

    code, _, err = export(running, recipe, folder / "out")
    assert (code, calls(running)) == (1, made), err

    recipe.write_text(RECIPE)
    code, told, err = export(running, recipe, folder / "out")
    assert code == 0, err
    assert calls(running) == told["answers"]["count"] == 3 * ROWS
