"""Targets that are no JSONL: Parquet with its metadata, and the table of labels. Made, sealed, made again, read."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace_exporters.formats import FORMATS, csv_labels
from tailrace_exporters.rows import Labelled
from tailrace_exporters.sheets import Sheet, SheetLines, lines
from tests.exporters.conftest import small_log
from tests.exporters.filing import file_log
from tests.exporters.logged import said, user
from tests.exporters.test_export_labels import label, say
from tests.exporters.test_formats import CALLING, RESULT, WEATHER, row
from tests.typed import Run

RECIPE: Final = """
name = "tables"
[split]
train = 0.6
test-a = 0.4
[write]
formats = ["parquet", "csv", "openai-chat"]
shard_rows = 4
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = file_log(tmp_path / "data", small_log())
    say(folder, *(label(n, n, ("=cmd()|' /C calc'!A0", 'fine, "so"\nto say')[n % 2]) for n in range(1, 13)))
    return folder


@pytest.fixture
def out(tailrace: Run, data: Path, tmp_path: Path) -> Path:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    ended = tailrace("export", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--data-dir", data)
    assert ended.code == 0, ended.err
    return tmp_path / "out"


def count(out: Path, name: str) -> int:
    found: int = orjson.loads((out / "manifest.json").read_bytes())["formats"][name]["out"]
    return found


def test_parquet_says_what_the_rows_say(out: Path) -> None:
    rows = [one for path in sorted((out / "parquet").glob("*.parquet")) for one in pq.read_table(path).to_pylist()]
    assert len(rows) == count(out, "parquet") > 10
    (calling,) = (one for one in rows if one["tools"])
    assert orjson.loads(calling["tools"])[0]["function"]["name"] == "weather"
    called = next(message for message in calling["messages"] if message["tool_calls"])
    assert orjson.loads(called["tool_calls"][0]["function"]["arguments"]) == {"city": "Bonn"}
    assert all(len(one["train"]) == len(one["messages"]) for one in rows)
    plain = next(one for one in rows if not one["tools"])
    assert {name for message in plain["messages"] for name, value in message.items() if value is not None} == {
        "role",
        "content",
    }


def test_it_verifies_and_a_changed_row_is_found(tailrace: Run, out: Path, data: Path) -> None:
    assert tailrace("export", "verify", out, "--data-dir", data).code == 0
    path = min((out / "parquet").glob("*.parquet"))
    changed = list(lines(path))
    changed[0] = changed[0].replace(b"Be brief.", b"Be long.")
    with path.open("wb") as file:
        sheet = Sheet(file)
        for line in changed:
            sheet.write(line)
        sheet.finish()
    ended = tailrace("export", "verify", out, "--data-dir", data)
    assert ended.code == 1
    assert f"parquet/{path.name}:1: this line is changed" in ended.out


def test_a_file_that_is_no_parquet_is_told(tailrace: Run, out: Path, data: Path) -> None:
    path = min((out / "parquet").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    ended = tailrace("export", "verify", out, "--data-dir", data)
    assert (ended.code, f"parquet/{path.name}: no Parquet file of an export" in ended.out) == (1, True)


def test_metadata_names_every_file_with_its_hash(out: Path) -> None:
    croissant = orjson.loads((out / "parquet" / "metadata.json").read_bytes())
    files = {path.name: path for path in (out / "parquet").glob("*.parquet")}
    assert {each["name"] for each in croissant["distribution"]} == set(files)
    for each in croissant["distribution"]:
        assert each["sha256"] == hashlib.sha256(files[each["name"]].read_bytes()).hexdigest()


def test_the_hubs_card_names_splits_and_shards(out: Path) -> None:
    card = (out / "parquet" / "README.md").read_text()
    assert card.startswith("---\nsize_categories:\n- n<1K\n")
    for path in (out / "parquet").glob("*.parquet"):
        split = path.name[: -len("-00000.parquet")].replace("-", "_")
        assert f"- {path.name}" in card.split(f"- split: {split}\n")[1]


def test_the_table_of_labels_is_read_by_any_reader_and_calculated_by_none(out: Path) -> None:
    cells = []
    for path in sorted((out / "csv").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
        assert head == ["completion", "classifier", "text", "label", "confidence", "source"]
        cells += rows
    assert len(cells) == count(out, "csv") > 5
    assert {one[3] for one in cells} == {"'=cmd()|' /C calc'!A0", 'fine, "so" to say'}
    assert {(one[1], one[4], one[5]) for one in cells} == {("intent", "0.9", "llm")}
    manifest = orjson.loads((out / "manifest.json").read_bytes())["formats"]["csv"]
    assert manifest["dropped"]["no_label"] > 0
    assert set(manifest["converted"]) == {"formula_quoted", "line_breaks_as_spaces"}


TEXT: Final = st.text(max_size=12)


@given(st.lists(TEXT, min_size=6, max_size=6), st.sampled_from(["=", "+", "-", "@", "\t", "", "\r\n="]))
def test_no_cell_begins_a_formula_and_no_cell_breaks_a_line(cells: list[str], begin: str) -> None:
    labels = tuple(Labelled(cells[n], begin + cells[n + 1], None, "llm") for n in range(0, 6, 2))
    line = csv_labels.project(row([user(begin + cells[0]), said("A")], labels=labels))
    for value in (line.value, *line.more):
        data = FORMATS["csv"].encode(value)
        assert data.count(b"\n") == 1
        (read,) = csv.reader(io.StringIO(data.decode(), newline=""))
        assert read == FORMATS["csv"].decode(data) == value
        assert not list(csv_labels.check(value))


MESSAGES: Final = st.lists(TEXT, min_size=1, max_size=4)


@given(st.lists(st.tuples(MESSAGES, st.booleans()), max_size=12))
def test_a_sheet_gives_back_the_lines_it_was_given(rows: list[tuple[list[str], bool]]) -> None:
    given_lines = []
    for texts, has_tools in rows:
        turns: list[Any] = [turn for text in texts for turn in (user(text), said(text + "!"))]
        if has_tools:
            turns += [user("rain?"), CALLING, RESULT, said("wet")]
        made = row(turns, tools=[WEATHER] if has_tools else None)
        given_lines.append(FORMATS["parquet"].encode(FORMATS["parquet"].project(made).value))
    file = io.BytesIO()
    sheet = Sheet(file)
    for line in given_lines:
        sheet.write(line)
    sheet.finish()
    assert [orjson.loads(line) for line in lines(io.BytesIO(file.getvalue()))] == [  # type: ignore[arg-type]
        orjson.loads(line) for line in given_lines
    ]


def test_lines_of_a_sheet_come_in_pieces_or_one_by_one(out: Path) -> None:
    path = min((out / "parquet").glob("*.parquet"))
    whole = list(lines(path))
    pieces = SheetLines(path)
    found = []
    while some := pieces.readlines(1):
        assert len(some) == 1
        found += some
    assert found == whole
    assert SheetLines(path).readlines(1 << 30) == whole
