"""Whose words may be learned: the table of terms, the stage, teachers that are students, and what the manifest says."""

from pathlib import Path
from typing import Final

import orjson
import pytest

from tailrace.errors import RecipeError
from tailrace_exporters.recipe import parse_recipe
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.terms import Verdict, terms_of
from tests.exporters.filing import file_log
from tests.exporters.logged import opened
from tests.typed import Run

TEACHERS: Final = {
    "sim/echo": Verdict.ALLOWED,
    "openai/gpt-5-2026": Verdict.CONDITIONAL,
    "azure/gpt-4o": Verdict.CONDITIONAL,
    "groq/openai/gpt-oss-120b": Verdict.ALLOWED,
    "bedrock/anthropic.claude-3-haiku": Verdict.CONDITIONAL,
    "Anthropic/x": Verdict.CONDITIONAL,
    "together/meta-llama/Llama-3-70b-chat-hf": Verdict.FORBIDDEN,
    "together/meta-llama/Meta-Llama-3.1-8B-Instruct": Verdict.CONDITIONAL,
    "bedrock/meta.llama3-1-70b-instruct": Verdict.CONDITIONAL,
    "bedrock/meta.llama3-70b-instruct": Verdict.FORBIDDEN,
    "groq/llama-2-7b": Verdict.FORBIDDEN,
    "google/gemma-3-27b": Verdict.CONDITIONAL,
    "google/gemma-4-31b": Verdict.ALLOWED,
    "mine/support-bot-ft-3": Verdict.UNKNOWN,
}


@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_table_knows_the_field(teacher: str) -> None:
    terms = terms_of(parse_recipe("", "recipe"), Surroundings(Path(), {}))
    assert terms.of(teacher).verdict is TEACHERS[teacher]


def test_every_entry_says_what_and_where() -> None:
    terms = terms_of(parse_recipe("", "recipe"), Surroundings(Path(), {})).terms
    assert all(term.says and term.source for term in terms)
    assert len({term.teacher for term in terms}) == len(terms), "a second entry for a pattern is never reached"


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A log with an answer of Llama 3, one of our own student, and four of OpenAI."""
    llama = opened(5, provider="together", model="meta-llama/llama-3-8b", served_model=None)
    student = opened(6, provider="local", model="bot-ft-3", served_model=None)
    log = {n: (opened(n, cost_usd=0.0125 if n < 4 else None), None) for n in range(1, 5)}
    return file_log(tmp_path / "data", log | {5: (llama, None), 6: (student, None)})


def run(tailrace: Run, data: Path, text: str, *options: object) -> tuple[int, str, Path]:
    recipe = data.parent / "recipe.toml"
    recipe.write_text(text)
    out = data.parent / "out"
    said = tailrace("export", recipe, "--out", out, "--data-dir", data, *options)
    return said.code, said.err, out


def test_a_forbidden_row_ends_a_strict_export(tailrace: Run, mixed: Path) -> None:
    code, err, _ = run(tailrace, mixed, '[policy]\nteacher_terms = "strict"')
    assert (code, err.count("\n")) == (1, 1)
    assert "together/meta-llama/llama-3-8b must not be learned from" in err
    assert "Meta Llama 3 Community License" in err
    assert not list(mixed.parent.glob("*out*")), "nothing is left"


def test_a_row_that_does_not_come_so_far_ends_nothing(tailrace: Run, mixed: Path) -> None:
    where = "[select]\nwhere = 'provider != together'\n"
    code, err, _ = run(tailrace, mixed, f'{where}[policy]\nteacher_terms = "strict"')
    assert code == 0, err


def test_the_manifest_says_what_the_terms_are_and_what_answers_cost(tailrace: Run, mixed: Path) -> None:
    prices = "[write]\ntraining_usd_per_million = {openai-chat = 25.0}"
    code, err, out = run(tailrace, mixed, prices)
    assert code == 0, err
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert manifest["terms"]["together/meta-llama/llama-3-8b"]["verdict"] == "forbidden"
    assert manifest["terms"]["local/bot-ft-3"]["verdict"] == "unknown"
    assert any("together/meta-llama/llama-3-8b: forbidden" in warning for warning in manifest["warnings"])
    assert manifest["answers_cost"] == {"usd": 0.0375, "without_cost": 3}
    assert manifest["formats"]["openai-chat"]["tokens"] == {"conversation": 90, "learned": 30}
    assert manifest["formats"]["openai-chat"]["training_usd"] == round(90 / 1e6 * 25, 4)


def test_answers_of_students_are_left_out_and_counted(tailrace: Run, mixed: Path) -> None:
    code, err, out = run(tailrace, mixed, '[select]\nstudents = ["local/*"]\nteacher_only = true')
    assert code == 0, err
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert "local/bot-ft-3" not in manifest["teachers"]
    (stage,) = (stage for stage in manifest["stages"] if stage["stage"] == "filter")
    assert stage["dropped"] == {"student": 1}


def test_own_entries_come_first_and_are_part_of_the_export(tailrace: Run, mixed: Path) -> None:
    own = mixed.parent / "own.toml"
    own.write_text('[[terms]]\nteacher = "together/*"\nverdict = "allowed"\nsays = "agreed"\nsource = "letter"\n')
    code, err, out = run(tailrace, mixed, '[policy]\nteacher_terms = "strict"\ntable = "own.toml"')
    assert code == 0, err
    assert list(orjson.loads((out / "manifest.json").read_bytes())["inputs"]) == ["own.toml"]
    args = ("export", "verify", out, "--data-dir", mixed)
    assert tailrace(*args, "--beside", mixed.parent).code == 0
    assert "own.toml: cannot be read" in tailrace(*args, "--beside", mixed).err
    own.write_text(own.read_text() + "\n")
    said = tailrace(*args, "--beside", mixed.parent)
    assert (said.code, "manifest.json: inputs: the log gives" in said.out) == (1, True)


@pytest.mark.parametrize(
    "text",
    ["teacher = 1", '[[terms]]\nteacher = "a"\nverdict = "maybe"\nsays = "x"\nsource = "y"', "[[terms]\n", "terms = 3"],
)
def test_a_bad_table_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    recipe = parse_recipe('[policy]\ntable = "own.toml"', "recipe")
    with pytest.raises(RecipeError, match=r"own\.toml: ") as found:
        terms_of(recipe, Surroundings(tmp_path, {}))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[select]\nteacher_only = true", "name them: students = "),
        ("[write]\ntraining_usd_per_million = {mlx = 1.0}", '"mlx" is not among the formats written'),
        ('[policy]\nteacher_terms = "soft"', "expected"),
    ],
)
def test_a_recipe_that_cannot_mean_that_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(RecipeError, match=wrong):
        parse_recipe(text, "recipe")
