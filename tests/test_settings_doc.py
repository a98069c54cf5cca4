"""The settings as they are written down cannot differ from the settings."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.settings import (
    Cache,
    Cooldown,
    Fallback,
    ModelAlias,
    Price,
    Provider,
    Retry,
    Routing,
    Server,
    Settings,
    Shadow,
    Target,
    Timeouts,
)
from tailrace.settings_classifiers import AppliesTo, Classifier, Context, Examples, Llm, Modes, Webhooks
from tailrace.settings_doc import as_toml, example, markdown, settings
from tailrace.settings_load import load, public
from tailrace.settings_table import Table, keys_of
from tailrace.templates.file import file_of

EXAMPLE = Path(__file__).parent.parent / "deploy" / "tailrace.example.toml"


def test_the_example_in_deploy_is_the_generated_one() -> None:
    assert EXAMPLE.read_text() == example(), f"run: tailrace check-config --example > {EXAMPLE}"


def test_the_example_loads_and_changes_nothing() -> None:
    assert load(EXAMPLE, {}) == Settings()


def test_what_the_example_comments_out_loads_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("docs/policies/one.md", "prompts/reply_intent.md", "gold/reply_intent.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "templates.json").write_bytes(file_of([], {}))
    path = tmp_path / "all.toml"
    text = re.sub(r"^#(?=[\[a-z])", "", example(), flags=re.MULTILINE)
    assert 'transport = "pool"' in text
    text = text.replace('transport = "pool"', 'transport = "httpx"')  # the pool goes through no proxy
    text = text.replace('when = "after"', 'when = "before"').replace("\nquestion", "\n#question")  # it is no qa
    path.write_text(text + '\n[models.retention-bot]\ntargets = [{provider = "sim", model = "echo"}]\n')
    settings = load(path, dict.fromkeys(re.findall(r'"env:(\w+)"', text), "key" * 11))
    alias = settings.models["support-bot"]
    assert [target.provider for target in alias.targets] == ["openai", "sim"]
    assert alias.fallback == (Fallback(provider="openai", model="gpt-5"),)
    assert [action.do for action in settings.classifiers["reply_intent"].actions] == ["route", "tag", "note", "webhook"]
    assert (alias.shadow[0].share, alias.cache, settings.prices["gpt-5-mini"].output_usd_per_mtok) == (0.05, Cache(), 2)


def test_every_setting_has_a_meaning_and_a_place_in_example_and_markdown() -> None:
    shown = {(table, entry.key): entry.meaning for table, _, entries in settings() for entry in entries}
    assert all(shown.values()), [place for place, meaning in shown.items() if not meaning]
    tables: dict[str, type[Table]] = {
        "server": Server,
        "providers.openai": Provider,
        "providers.openai.timeout": Timeouts,
        "models.support-bot": ModelAlias,
        "models.support-bot.targets[]": Target,
        "models.support-bot.fallback[]": Fallback,
        "models.support-bot.shadow[]": Shadow,
        "models.support-bot.cache": Cache,
        "routing": Routing,
        "routing.retry": Retry,
        "routing.cooldown": Cooldown,
        'prices."gpt-5-mini"': Price,
        "classifiers.reply_intent": Classifier,
        "classifiers.reply_intent.modes": Modes,
        "classifiers.reply_intent.applies_to": AppliesTo,
        "classifiers.reply_intent.context": Context,
        "classifiers.reply_intent.llm": Llm,
        "classifiers.reply_intent.llm.examples": Examples,
        "webhooks": Webhooks,
    }
    for table, kind in tables.items():
        inner = {key for key in keys_of(kind) if f"{table}.{key}" in {name for name, _, _ in settings()}}
        assert {key for at, key in shown if at == table} == keys_of(kind).keys() - inner
    for _, key in shown:
        assert f"| `{key}` |" in markdown()
        assert re.search(rf"\b{key}\b", example())


def test_effective_settings_as_toml_are_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[models."a.b"]\ntargets = [{provider = "sim", model = "e\\"cho", timeout = {idle_s = 9}}]\n'
        'fallback = ["sim/echo"]\nshadow = [{provider = "sim", model = "m", share = 1}]\n'
        '[models."a.b".timeout]\ntotal_s = 1.5\n'
        '[providers.openai]\nbase_url = "http://x/v1"\napi_key = "none"\nquery = {"a b" = "c"}\n'
    )
    before = load(path, {})
    path.write_text(as_toml(public(before)))
    tomllib.loads(path.read_text())
    assert load(path, {}) == before


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_in_the_settings_is_written_so_that_it_reads_back_and_only_shows(text: str) -> None:
    written = as_toml({"models": {text: {"on_disconnect": text}}})
    assert tomllib.loads(written) == {"models": {text: {"on_disconnect": text}}}
    assert all(char.isprintable() or char == "\n" for char in written)
