"""A version changes with the meaning of a label, and with nothing else."""

from pathlib import Path
from typing import Any

import pytest

from tailrace.classify.version import version_of
from tailrace.settings_classifiers import Action, AppliesTo, Classifier, Context, Examples, Llm, Modes, Rule

BASE: dict[str, Any] = {"labels": {"a": "x", "b": "y"}, "llm": Llm(model="m"), "rules": (Rule(label="a", any=("x",)),)}


def version(**changes: Any) -> str:
    return version_of(Classifier(**{**BASE, **changes}), {"gold": b"g"}, prompt="p")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"a": "x", "b": "z"}},
        {"labels": {"b": "y", "a": "x"}},  # models lean to what stands first
        {"labels": {"a": "x", "b": "y", "none": "else"}},
        {"task": "multilabel"},
        {"glossary": {"a": "b"}},
        {"context": Context(turns=0)},
        {"llm": Llm(model="n")},
        {"llm": Llm(model="m", reasoning=True)},
        {"llm": Llm(model="m", examples=Examples(from_=Path("g"), count=3))},
        {"llm": None},
        {"rules": ()},
        {"applies_to": AppliesTo(role="tool")},
    ],
    ids=str,
)
def test_what_changes_a_labels_meaning_changes_the_version(changes: dict[str, Any]) -> None:
    assert version(**changes) != version()


@pytest.mark.parametrize(
    "changes",
    [
        {"when": "before"},
        {"mode": "shadow"},
        {"modes": Modes(llm="off")},
        {"deadline_ms": 9},
        {"audit_share": 1},
        {"target_agreement": 0.5},
        {"cascade": ("llm",)},
        {"actions": (Action(on="a", do="tag", tag="t"),)},
        {"applies_to": AppliesTo(models=("m",))},
    ],
    ids=str,
)
def test_what_only_changes_its_use_does_not(changes: dict[str, Any]) -> None:
    assert version(**changes) == version()


def test_files_count_by_what_stands_in_them() -> None:
    one = Classifier(**{**BASE, "llm": Llm(model="m", instructions=Path("one.md"))})
    other = Classifier(**{**BASE, "llm": Llm(model="m", instructions=Path("other.md"))})
    assert version_of(one, {"instructions": b"a"}) == version_of(other, {"instructions": b"a"})
    assert version_of(one, {"instructions": b"a"}) != version_of(one, {"instructions": b"b"})
    assert version_of(one, {"instructions": b"a"}) != version_of(one, {"examples": b"a"})
    assert version_of(one, prompt="a") != version_of(one, prompt="b")
    assert len(version_of(one)) == 12
