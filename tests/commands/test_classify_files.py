"""Files of texts and of labels: what is read of each line, and what a torn or foreign file leads to."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tailrace.classify.cascade import Said
from tailrace.classify.ready import Ready, load
from tailrace.classify.turn import Subject, Turn
from tailrace.commands.classify_files import label_file, read_pieces
from tailrace.errors import UserError
from tailrace.labeller.bulk import Piece
from tailrace.records import LabelMode, LabelSource
from tailrace.settings_classifiers import Classifier
from tests.typed import Run


@pytest.fixture
def ready() -> Ready:
    labels = {"a": "is a", "b": "is b"}
    return load("x", Classifier(labels=labels, context={"turns": 2, "chars": 12}))


def lines(path: Path, *rows: Any) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_texts_ids_and_contexts_of_both_kinds_of_file(tmp_path: Path, ready: Ready) -> None:
    turns = [{"role": "user", "text": "one"}, {"role": "assistant", "text": "x" * 20}, {"role": "user", "text": "two"}]
    jsonl = lines(
        tmp_path / "a.jsonl", {"text": "yes", "context": turns}, {"text": "no", "id": "n1"}, {"id": 7, "text": "t"}
    )
    cells = tmp_path / "a.csv"
    cells.write_text('id,text,context\n,yes,"' + orjson.dumps(turns).decode().replace('"', '""') + "\"\nn1,'=no,\n")
    first, second, third = read_pieces(jsonl, ready)
    assert [first.key, second.key, third.key] == ["1", "n1", "7"]
    assert first.subject == Subject("yes", (Turn("assistant", "…" + "x" * 8), Turn("user", "two")), None, "user")
    assert second.subject == Subject("no")
    first, second = read_pieces(cells, ready)
    assert first.subject.turns[-1] == Turn("user", "two")
    assert (second.key, second.subject.text) == ("n1", "=no")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": "a"}, {"txt": "b"}], "line 2: has no text"),
        ([{"text": " "}], "line 1: has no text"),
        ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], "line 2: the id 'x' stands there twice"),
        ([{"text": "a", "id": "x" * 600}], "line 1: an id"),
        (["no object"], "line 1: has no text"),
    ],
)
def test_a_wrong_line_is_told(tmp_path: Path, ready: Ready, rows: list[Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_pieces(lines(tmp_path / "a.jsonl", *rows), ready)


def test_a_file_that_is_none_is_told(tmp_path: Path, ready: Ready) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"te\n')
    (tmp_path / "a.csv").write_bytes(b"text\n\xff\n")
    wrong = {"a.jsonl": "line 2: is no JSON", "a.csv": "no UTF-8", "b.jsonl": "cannot be read", "a.txt": "expected"}
    for name, told in wrong.items():
        with pytest.raises(UserError, match=told):
            read_pieces(tmp_path / name, ready)


def piece(key: str) -> Piece:
    return Piece(key, Subject(key), key)


async def test_labels_are_appended_and_a_torn_line_is_taken_off(tmp_path: Path, ready: Ready) -> None:
    path = tmp_path / "out.jsonl"
    shadow = Said(LabelSource.RULE, "b", mode=LabelMode.SHADOW)
    with label_file(path, ready) as file:
        await file.put(piece("one"), [shadow, Said(LabelSource.LLM, "a", 0.5)], 1500)
        with pytest.raises(UserError, match="another command"), label_file(path, ready):
            pass
    whole = path.read_bytes()
    row = orjson.loads(whole)
    assert (row["id"], row["label"], row["confidence"], row["source"]) == ("one", "a", 0.5, "llm")
    for cut in range(len(whole) - 1):
        path.write_bytes(whole + whole[: cut + 1])
        with label_file(path, ready) as file:
            assert file.done == {"one"}
        assert path.read_bytes() == whole


def test_a_file_of_something_else_stays_as_it_is(tmp_path: Path, ready: Ready) -> None:
    for content, told in (
        (b"hello\nworld\n", "no label of ours"),
        (b'{"id":"a","version":"other"}\n', "of version other"),
        (b"[1]\n", "no label of ours"),
    ):
        path = tmp_path / "out.jsonl"
        path.write_bytes(content)
        with pytest.raises(UserError, match=told), label_file(path, ready):
            pass
        assert path.read_bytes() == content


def test_labels_are_json_lines_and_go_into_no_csv(tmp_path: Path, ready: Ready) -> None:
    with pytest.raises(UserError, match=r"name it \.jsonl"), label_file(tmp_path / "out.csv", ready):
        raise AssertionError
    assert not (tmp_path / "out.csv").exists()


def test_a_file_is_labelled_by_rules_without_a_proxy_or_a_log(tailrace: Run, tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text(
        '[classifiers.x]\nlabels = {a = "is a"}\nrules = [{label = "a", any = ["a"]}]\n'
    )
    texts, out = lines(tmp_path / "t.jsonl", {"text": "a"}, {"text": "b"}), tmp_path / "out.jsonl"
    words = ("classify", "run", "x", "--input", texts, "--out", out, "--json", "--yes")
    done = tailrace(*words)
    assert done.code == 0, done.err
    told = orjson.loads(done.out)
    assert (told["by_source"], told["open"]) == ({"rule": 1}, 1)
    assert [orjson.loads(line)["id"] for line in out.read_bytes().splitlines()] == ["1"]
    assert orjson.loads(tailrace(*words).out)["labelled"] == 0
    assert not (tmp_path / "data").exists()
