"""The exporters as a library: the rows of a notebook are those of an export."""

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tailrace.errors import RecipeError, UserError, WorkFailed
from tailrace_exporters import iter_rows, rows
from tests.exporters.conftest import RECIPE
from tests.typed import Run

README = (Path(__file__).parents[2] / "exporters" / "README.md").read_text()


def test_a_script_iterates_over_the_rows_of_the_export(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir).code == 0
    lineage = [orjson.loads(line) for line in (tmp_path / "out" / "lineage.jsonl").read_bytes().splitlines()]
    found = list(iter_rows(recipe, data_dir=data_dir))
    assert [(row["hash"], row["split"], row["chain"]) for row in found] == [
        (line["row"], line["split"], line["chain"]) for line in lineage
    ]
    assert found == list(iter_rows(RECIPE, data_dir=data_dir))
    assert {len(row["train"]) - len(row["messages"]) for row in found} == {0}


async def test_a_notebook_iterates_in_its_own_loop(recipe: Path, data_dir: Path) -> None:
    found = [row async for row in rows(recipe, data_dir=data_dir)]
    assert len(found) == 15
    with pytest.raises(UserError, match="an event loop is running here, as in a notebook; use `async for"):
        next(iter_rows(recipe, data_dir=data_dir))


def test_whoever_stops_early_leaves_nothing_open(recipe: Path, data_dir: Path) -> None:
    """Warnings are errors: an unclosed connection would fail this."""
    some = iter_rows(recipe, data_dir=data_dir)
    assert next(some)["kind"] == "conversation"
    some.close()  # type: ignore[attr-defined]


def test_what_is_wrong_is_said(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="recipe:1: selekt: unknown key"):
        next(iter_rows("selekt = 1", data_dir=data_dir))
    with pytest.raises(UserError, match="no store there yet"):
        next(iter_rows("", data_dir=tmp_path))
    (tmp_path / "own.toml").write_text(
        '[[terms]]\nteacher = "*"\nverdict = "forbidden"\nsays = "no"\nsource = "none"\n'
    )
    (tmp_path / "strict.toml").write_text('[policy]\nteacher_terms = "strict"\ntable = "own.toml"\n')
    with pytest.raises(WorkFailed, match="must not be learned from"):
        list(iter_rows(tmp_path / "strict.toml", data_dir=data_dir))


def test_the_readmes_example_runs(data_dir: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "data").symlink_to(data_dir)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 15
