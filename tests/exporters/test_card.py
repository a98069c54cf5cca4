"""The dataset card: every number of the manifest it shows, no markup from labels, plots that are well-formed XML."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace_exporters.card import card
from tailrace_exporters.plot import bars
from tests.exporters.filing import file_log
from tests.exporters.logged import opened
from tests.exporters.test_export_labels import label, say
from tests.typed import Run

HOSTILE: Final = "a|b\\|<script>alert(1)</script> [x](javascript:1)\n## Splits\x00\u2028"


@pytest.fixture
def exported(tailrace: Run, tmp_path: Path) -> Path:
    data = file_log(tmp_path / "data", {n: (opened(n, cost_usd=0.5), None) for n in range(1, 21)})
    say(data, *(label(n, n, "confirm" if n % 3 else "reject") for n in range(1, 19)))
    (tmp_path / "recipe.toml").write_text('name = "cards"\n[split]\ntrain = 0.5\ntest = 0.5\n')
    said = tailrace("export", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--data-dir", data)
    assert said.code == 0, said.err
    return tmp_path / "out"


def test_the_card_says_what_the_manifest_counts(exported: Path) -> None:
    words = (exported / "card.md").read_text()
    manifest = orjson.loads((exported / "manifest.json").read_bytes())
    assert words.startswith("# cards\n\n20 rows, exported by Tailrace from a log up to its completion 20.")
    for name, split in manifest["splits"].items():
        assert f"| {name} | {split['rows']} | {split['tokens']['conversation']} |" in words
    for split, counts in manifest["labels"]["intent"].items():
        assert split in words
        assert set(counts) <= {"confirm", "reject"}
    assert sum(sum(counts.values()) for counts in manifest["labels"]["intent"].values()) == 18
    assert "The learned answers cost 10.00 USD when they were made." in words
    assert "| `openai/gpt-5-2026` | 20 | conditional |" in words


def test_every_plot_is_there_and_in_the_card(exported: Path) -> None:
    words = (exported / "card.md").read_text()
    plots = re.findall(r"!\[[^]]*\]\(([^)]*)\)", words)
    assert plots == [
        "plots/length.svg",
        "plots/answers.svg",
        "plots/time.svg",
        "plots/teacher.svg",
        "plots/label-0.svg",
    ]
    listed = orjson.loads((exported / "manifest.json").read_bytes())["files"]
    for plot in plots:
        root = ET.parse(exported / plot).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert plot in listed


REPORT: Final = {
    "rows": {"count": 3},
    "splits": {"train": {"rows": 3, "tokens": {"conversation": 9, "learned": 3}}},
    "formats": {"mlx": {"out": 3, "dropped": {}, "converted": {}, "tokens": {"conversation": 9, "learned": 3}}},
    "teachers": {"a/b": 3},
    "terms": {"a/b": {"verdict": "unknown", "says": "", "source": "", "checked": None}},
    "answers_cost": {"usd": 0.0, "without_cost": 3},
    "made": {"relabel": 2},
    "stages": [{"stage": "select", "unit": "completions", "in": 3, "out": 3}],
    "warnings": [],
}


def made_of(labels: Mapping[str, int], days: Mapping[str, int]) -> dict[str, str]:
    shape = {"tokens_below": {"4": 3}, "learned_answers": {"1": 3}, "started": days}
    return card("x", {"seq": 3}, REPORT | {"labels": {"intent": {"train": labels}}, "shape": shape})


def test_a_label_is_no_markup() -> None:
    words = made_of({HOSTILE: 3}, {})["card.md"]
    assert "<script" not in words
    assert words.count("## Splits") == words.count("\n## Splits") + 1
    assert "\\[x](javascript:1)" in words
    assert all(char == "\n" or char.isprintable() for char in words)


@given(st.dictionaries(st.text(), st.integers(0, 10**6), max_size=40))
def test_plots_are_xml_whatever_the_names_are(labels: dict[str, int]) -> None:
    ET.fromstring(bars("title <&'>", labels))
    for path, text in made_of(labels, {}).items():
        if path.endswith(".svg"):
            assert len(ET.fromstring(text).findall("{http://www.w3.org/2000/svg}rect")) <= 25


def test_many_days_become_months_and_years() -> None:
    days = {f"2026-{month:02}-{day:02}": 2 for month in (1, 2) for day in range(1, 29)}
    plot = made_of({"a": 1}, days)["plots/time.svg"]
    assert re.findall(r">(\d{4}(?:-\d\d)*)<", plot) == ["2026-01", "2026-02"]
    years = {f"{year}-{month:02}-01": 1 for year in range(2000, 2010) for month in range(1, 13)}
    assert re.findall(r">(\d{4}(?:-\d\d)*)<", made_of({"a": 1}, years)["plots/time.svg"])[0] == "2000"
