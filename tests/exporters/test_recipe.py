"""Recipes: what they mean, and what is said of each mistake: place, expectation, remedy, in one line."""

from pathlib import Path

import pytest

from tailrace.errors import RecipeError
from tailrace.records import Status
from tailrace_exporters.recipe import MAX_RECIPE_BYTES, Recipe, parse_recipe, read_recipe
from tailrace_exporters.rows import Tie, Train, Unit

FULL = """
name = "support-bot"
seed = 7

[select]
where = '''status = ok AND model = "gpt-5"'''
since = 2026-10-01
until = "2026-11-01T12:00:00+02:00"

[assemble]
unit = "step"
train = "last"

[filter]
finish = ["stop", "none"]
status = ["ok", "client_closed"]

[dedupe]
exact = false

[split]
train = 0.9
by = ["user", "session"]
valid = 0.1

[write]
formats = ["trl-messages", "openai-chat"]
shard_rows = 1000
"""


def test_every_key() -> None:
    recipe = parse_recipe(FULL, "r.toml")
    assert (recipe.name, recipe.seed) == ("support-bot", 7)
    assert recipe.select.where == 'status = ok AND model = "gpt-5"'
    assert recipe.select.since == 1_790_812_800 * 10**6
    assert recipe.select.until == 1_793_527_200 * 10**6
    assert (recipe.assemble.unit, recipe.assemble.train) == (Unit.STEP, Train.LAST)
    assert recipe.filter.finish == ("stop", "none")
    assert recipe.filter.status == (Status.OK, Status.CLIENT_CLOSED)
    assert not recipe.dedupe.exact
    assert list(recipe.split.shares) == ["train", "valid"]
    assert recipe.split.by == (Tie.USER, Tie.SESSION)
    assert recipe.write.formats == ("trl-messages", "openai-chat")
    assert recipe.write.shard_rows == 1000


def test_an_empty_recipe_is_one() -> None:
    assert parse_recipe("", "r.toml") == Recipe()
    assert Recipe().filter.finish == ("stop", "tool_calls")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[selct]\n", 'r.toml:1: selct: unknown key; did you mean "select"?'),
        ("seed = 1\n[assemble]\nunits = 'chain'\n", 'r.toml:3: assemble.units: unknown key; did you mean "unit"?'),
        ("[scrubbing]\nsecrets = 'refuse'\n", 'r.toml:1: scrubbing: unknown key; did you mean "scrub"?'),
        ("[scrub]\nsecret = 'drop'\n", 'r.toml:2: scrub.secret: unknown key; did you mean "secrets"?'),
        (
            "[filter]\nlongest = 3\n",
            "r.toml:2: filter.longest: unknown key; known here are: finish, judge, max_tokens, schema, status, token",
        ),
        ("[assemble]\nunit = 'chains'\n", "r.toml:2: assemble.unit: expected 'chain' or 'step', found \"chains\""),
        ("[filter]\nfinish = 'stop'\n", 'r.toml:2: filter.finish: expected an array, found "stop"'),
        ("[filter]\nstatus = ['fine']\n", "r.toml:2: filter.status: expected 'ok', "),
        ("seed = -1\n", "r.toml:1: seed: expected at least 0, found -1"),
        ("seed = 'x'\n", "r.toml:1: seed: expected a whole number, found"),
        ("name = 'a/../b'\n", "r.toml:1: name: expected a name that matches"),
        ("[select]\nsince = 'soon'\n", 'r.toml:2: select.since: expected a date such as "2026-10-01"'),
        ("[select]\nwhere = 'modle = 1'\n", "r.toml:2: select.where: "),
        ("[select]\nwhere = 'started > -1h'\n", "r.toml:2: select.where: -3600s counts from now"),
        ("[split]\ntrain = 0.9\n", "r.toml:1: split: the shares add up to 0.9; make them add up to 1"),
        ("[split]\ntrain = nan\n", "r.toml:2: split.train: expected at most 1.0, found NaN"),
        ("[split]\n'../x' = 1\n", "r.toml:2: split.../x: expected a name that matches"),
        ("[split]\nby = ['usr']\n", "r.toml:2: split.by: expected 'user' or 'session', found \"usr\""),
        ("[split]\nby = ['user', 'user']\n", "r.toml:1: split: by names the same twice; name each once"),
        (
            "[write]\nformats = ['openai-cat']\n",
            'write.formats: unknown format "openai-cat"; did you mean "openai-chat"?',
        ),
        ("[write]\nformats = ['openai-chat', 'openai-chat']\n", "a format is named twice; name each once"),
        ("[write]\nformats = []\n", "r.toml:2: write.formats: expected at least 1 entry, found an array"),
        ("[write]\nshard_rows = 0\n", "r.toml:2: write.shard_rows: expected at least 1, found 0"),
        ("[write\n", "r.toml:1:7: this is no TOML: "),
    ],
)
def test_a_mistake_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_mistakes_are_two_lines() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe("sed = 1\n[assemble]\nunit = 3\n", "r.toml")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["r.toml:3", "r.toml:1"]


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.toml: cannot be read \(No such file"):
        read_recipe(tmp_path / "nothing.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    with pytest.raises(RecipeError, match="byte 8 is no UTF-8"):
        read_recipe(latin)
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (MAX_RECIPE_BYTES + 1))
    with pytest.raises(RecipeError, match="larger than"):
        read_recipe(huge)
