"""A classifier with its files: what it asks, by which version, and which file is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tailrace.classify.embeddings import EmbeddingCache
from tailrace.classify.ready import Ready, load
from tailrace.classify.turn import Subject
from tailrace.commands.config import app
from tailrace.errors import SettingsError
from tailrace.settings_classifiers import Classifier, Examples, Llm, Rule


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "i.md").write_text("Mind the house rules.")
    (tmp_path / "g.csv").write_text("text,label\nyes please,yes\nno thanks,no\nyes indeed,yes\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "p.md").write_text("# Refunds\nFive days.\n# Bags\nOne bag.\n")
    return tmp_path


def made(files: Path, **llm: Any) -> Ready:
    values: dict[str, Any] = {
        "model": "m",
        "instructions": files / "i.md",
        "examples": Examples(from_=files / "g.csv", select="similar", count=1),
        "documents": files / "docs",
        "passages": 1,
    }
    rules = (Rule(label="yes", exact=("yes",)),)
    return load("c", Classifier(labels={"yes": "", "no": ""}, rules=rules, llm=Llm(**values | llm)))


def test_what_the_files_hold_is_asked_with(files: Path) -> None:
    ready = made(files)
    system, shot, answer, last = ready.body(Subject("a bag, please"))["messages"]
    assert "Mind the house rules." in system["content"]
    assert "[p.md › Bags]\nOne bag." in system["content"]
    assert "Five days" not in system["content"]
    assert "yes please" in shot["content"]
    assert answer["content"] == '{"label":"yes"}'
    assert "a bag, please" in last["content"]
    assert ready.rules.vote("Yes!").label == "yes"
    assert ready.key(Subject("OK")) == ready.key(Subject("ok"))


async def test_embeddings_put_examples_and_passages_in_another_order(files: Path) -> None:
    async def embed(model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [
            [1.0, 0.0] if "indeed" in text or "Five" in text or text.startswith("days") else [0.0, 1.0]
            for text in texts
        ]

    subject = Subject("days of yes please, bag")
    body = await made(files).body_by_meaning(subject, EmbeddingCache(embed, "m"))
    assert "yes indeed" in body["messages"][1]["content"]
    assert "Five days." in body["messages"][0]["content"]
    assert "yes please" in made(files).body(subject)["messages"][1]["content"]


@pytest.mark.parametrize("name", ["i.md", "g.csv", "docs/p.md"])
def test_what_stands_in_a_file_is_part_of_the_version(files: Path, name: str) -> None:
    before = made(files).version
    assert made(files).version == before
    with (files / name).open("a") as file:
        file.write("\nno way,no\n")
    assert made(files).version != before


def test_rules_alone_need_no_files() -> None:
    ready = load("c", Classifier(labels={"yes": ""}, rules=(Rule(label="yes", exact=("yes",)),)))
    assert (ready.brief, ready.shots, ready.passages) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "g.csv",
            "text,label\na,maybe so\n",
            r"classifiers\.c\.llm\.examples\.from: .*g\.csv: line 2: its label holds",
        ),
        ("i.md", None, r"classifiers\.c\.llm\.instructions: .*i\.md cannot be read \(No such file"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(files: Path, name: str, text: str | None, says: str) -> None:
    (files / name).unlink() if text is None else (files / name).write_text(text)
    with pytest.raises(SettingsError, match=says):
        made(files)


def test_check_config_reads_the_files_too(files: Path) -> None:
    config = files / "t.toml"
    config.write_text(
        f'[classifiers.c]\nlabels = {{yes = ""}}\n'
        f'llm = {{model = "sim/echo", examples = {{from = "{files}/g.csv", select = "fixed"}}}}\n'
    )
    found = CliRunner().invoke(app, ["--config", str(config)])
    assert isinstance(found.exception, SettingsError)
    assert "line 3: its label holds what is no label here" in str(found.exception)
