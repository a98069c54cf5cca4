"""The settings as they are written down cannot differ from the settings."""

import re
import tomllib
from pathlib import Path

from tailrace.settings import Provider, Server, Settings, Table, Target, Timeouts
from tailrace.settings_doc import as_toml, example, markdown, settings
from tailrace.settings_load import load, public

EXAMPLE = Path(__file__).parent.parent / "deploy" / "tailrace.example.toml"


def test_the_example_in_deploy_is_the_generated_one() -> None:
    assert EXAMPLE.read_text() == example(), f"run: tailrace check-config --example > {EXAMPLE}"


def test_the_example_loads_and_changes_nothing() -> None:
    assert load(EXAMPLE, {}) == Settings()


def test_what_the_example_comments_out_loads_too(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text(re.sub(r"^#(?=[\[a-z])", "", example(), flags=re.MULTILINE))
    alias = load(path, {}).models["support-bot"]
    assert [target.provider for target in alias.targets] == ["openai", "sim"]


def test_every_setting_has_a_meaning_and_a_place_in_example_and_markdown() -> None:
    shown = {(table, entry.key): entry.meaning for table, _, entries in settings() for entry in entries}
    assert all(shown.values()), [place for place, meaning in shown.items() if not meaning]
    tables: dict[str, type[Table]] = {
        "server": Server,
        "providers.openai": Provider,
        "providers.openai.timeout": Timeouts,
        "models.support-bot.targets[]": Target,
    }
    for table, kind in tables.items():
        assert {key for at, key in shown if at == table} == kind.model_fields.keys() - {"timeout"}
    for _, key in shown:
        assert f"| `{key}` |" in markdown()
        assert re.search(rf"\b{key}\b", example())


def test_effective_settings_as_toml_are_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[models."a.b"]\ntargets = [{provider = "sim", model = "e\\"cho"}]\n[models."a.b".timeout]\ntotal_s = 1.5\n'
    )
    before = load(path, {})
    path.write_text(as_toml(public(before)))
    tomllib.loads(path.read_text())
    assert load(path, {}) == before
