"""The README of the exporters: its recipes run, and every key, format, rule and reason stands in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tailrace_exporters import assemble, balance, check, decontaminate, judge, mine, near, paraphrase, pipeline, split
from tailrace_exporters.calls import models
from tailrace_exporters.engines import local_answers
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.recipe import Recipe, parse_recipe
from tailrace_exporters.recipe_prefer import Reason
from tailrace_exporters.recipe_tables import Table
from tailrace_exporters.scrub.kinds import Value
from tailrace_exporters.scrub.stage import SECRET, TANGLED
from tests.typed import Run

README = (Path(pipeline.__file__).parent.parent / "README.md").read_text()
RECIPES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)

BESIDE = {
    "templates.json": '{"tailrace_templates": 1, "templates": []}',
    "own-terms.toml": """
        [[terms]]
        teacher = "openai/gpt-5*"
        verdict = "allowed"
        says = "our agreement of 2026 permits it"
        source = "agreement 4711"
    """,
    "gold/eval.jsonl": '{"text": "no row says this"}',
    "gold/more.csv": "text,label\nnor this,a\n",
    "tokenizer.json": """{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}""",
    "judge.md": "5: the answer solves what was asked. 1: it does not.",
}
"""The files that the recipes name."""


def keys(model: type[Table]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Table):
                yield from keys(kind)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_each_recipe_runs(
    number: int, tailrace: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_SCRUB_KEY", "0123456789abcdef")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPES[number])
    for name, content in BESIDE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    if models(parse_recipe(RECIPES[number], "README")):  # without a proxy there is nobody to ask
        said = tailrace("export", recipe, "--dry-run", "--data-dir", data_dir)
        assert said.code == 0, said.err
        assert "calls at most" in said.err
        return
    said = tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    assert said.code == 0, said.err
    assert tailrace("export", "verify", tmp_path / "out", "--beside", tmp_path, "--data-dir", data_dir).code == 0


def test_every_key_stands_in_a_recipe_and_the_first_names_defaults() -> None:
    for key in keys(Recipe):
        assert any(re.search(rf"(^\[?|[{{,] *){key}\b", recipe, re.MULTILINE) for recipe in RECIPES), key
    full = parse_recipe(RECIPES[0], "README")
    assert (full.assemble, full.filter, full.dedupe) == (Recipe().assemble, Recipe().filter, Recipe().dedupe)


def test_every_word_stands_in_it() -> None:
    words = {pipeline.UNENCODABLE, pipeline.DUPLICATE, near.NEAR, f"{balance.BALANCED_AWAY}:…", split.SPLIT_CONFLICT}
    words |= {judge.OFF_SCALE, paraphrase.SAME_AS_ORIGINAL, paraphrase.REPEATED_VARIANT, paraphrase.NO_VARIANT}
    words |= {mine.SAME_ANSWER, mine.UNSURE, mine.CONTRADICTED, mine.NOT_GOOD_ENOUGH, mine.UNREADABLE, *Reason}
    words |= {paraphrase.HELD_OUT, local_answers.NO_ANSWER, local_answers.MISSING}
    words |= {assemble.NO_ANSWER, assemble.NO_REQUEST, assemble.REPEATED}
    words |= {check.ANSWER_NO_JSON, check.ANSWER_DISOBEYS, check.ARGUMENTS_NO_JSON, check.ARGUMENTS_DISOBEY}
    words |= {decontaminate.SHARED, decontaminate.SAME}
    words |= {*Value, TANGLED, f"{SECRET}:…"}
    words |= {check.UNDECLARED, check.BROKEN, f"{check.TOO_LONG}:…"}
    for name, each in FORMATS.items():
        words |= {name, *each.rules, *each.reasons}
    assert not [word for word in words if f"`{word}`" not in README and f"**`{word}`**" not in README]
