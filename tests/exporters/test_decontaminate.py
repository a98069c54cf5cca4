"""`[decontaminate]`: rows that hold what models are tested with, by words in a row or whole."""

import random
import string
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters.decontaminate import Decontaminate
from tailrace_exporters.evals import Item, item_of
from tailrace_exporters.ngrams import COMMON, Hasher, Ngrams, words
from tailrace_exporters.pipeline import DROPPED
from tailrace_exporters.recipe import parse_recipe
from tailrace_exporters.rows import Dropped, Judgement, Kind, Row, Stage
from tailrace_exporters.surroundings import Surroundings
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, opened, said, user
from tests.typed import Run

QUESTION = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon comes round"
SYSTEM = {
    "role": "system",
    "content": "You are the assistant of a shop that sells things for the house and the garden, be kind",
}


def row(*messages: Json, **fields: Json) -> Row:
    call = opened(1)
    made = Row(call, [SYSTEM, *messages], None, None, None, (False,) * len(messages) + (True,), (call,))
    return replace(made, **fields)


def stage(tmp_path: Path, *values: Json, n: int = 13) -> Decontaminate:
    (tmp_path / "eval.jsonl").write_bytes(b"\n".join(map(orjson.dumps, values)))
    return Decontaminate(("eval.jsonl",), n, Surroundings(tmp_path, {}))


def hit(by: Decontaminate, *messages: Json, **fields: Json) -> tuple[str, str] | None:
    before = row(*messages, **fields)
    (found,) = by.take(before, {})
    if isinstance(found, Dropped):
        assert (found.stage, found.completions) == (Stage.DECONTAMINATE, before.learned)
        assert found.by is not None
        return found.reason, found.by
    assert found is before
    return None


def test_words_in_a_row_are_told_whatever_their_spelling(tmp_path: Path) -> None:
    by = stage(tmp_path, "something else", QUESTION)
    assert hit(by, user(QUESTION)) == ("eval_words", "eval.jsonl:2")
    loud = QUESTION.upper().replace(" ", " -- ").replace("FOX", "ＦＯＸ")
    assert hit(by, user(f"Please answer: {loud}!")) == ("eval_words", "eval.jsonl:2")
    thirteen, twelve = (" ".join(QUESTION.split()[2 : 2 + count]) for count in (13, 12))
    assert hit(by, user(f"so {thirteen} so")) == ("eval_words", "eval.jsonl:2")
    assert hit(by, user(f"so {twelve} so")) is None
    assert hit(by, user(thirteen[:30]), said(thirteen[30:])) is None  # not across messages
    assert hit(by, user("a"), said(thirteen)) == ("eval_words", "eval.jsonl:2")


def test_every_part_of_a_row_but_the_system_prompt_counts(tmp_path: Path) -> None:
    by = stage(tmp_path, QUESTION, {"messages": [SYSTEM, user("hello there friend")]})
    arguments = orjson.dumps({"text": QUESTION}).decode()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    parts = [{"type": "text", "text": QUESTION}]
    assert hit(by, user("a"), said("b") | {"tool_calls": [call]}) is not None
    assert hit(by, {"role": "user", "content": parts}) is not None
    assert hit(by, {"role": "tool", "tool_call_id": "c", "content": QUESTION}) is not None
    rejected = Judgement("edited", None, rejected=said(QUESTION))
    assert hit(by, user("a"), said("b"), kind=Kind.PREFERENCE, judgement=rejected) is not None
    assert hit(by, user("a"), {"role": "developer", "content": QUESTION}) is None
    assert hit(by, user("a")) is None  # the system prompt is the same in the eval set, and tells nothing


def test_short_items_are_whole_messages_one_after_the_other(tmp_path: Path) -> None:
    two = {"messages": [user("Hi!"), said("Hello."), user("How much is it?"), said("Ten.")]}
    by = stage(tmp_path, "What is 2 + 2?", two, {"prompt": "Name a river", "completion": "Rhine"})
    assert hit(by, user("what is 2+2")) == ("eval_text", "eval.jsonl:1")
    assert hit(by, user("so what is 2 + 2?")) is None
    assert hit(by, user("a"), said("HI"), said("hello"), user("how much is it")) == ("eval_text", "eval.jsonl:2")
    assert hit(by, user("hi"), user("how much is it")) is None
    assert hit(by, user("name a RIVER")) == ("eval_text", "eval.jsonl:3")
    assert hit(by, user("rhine")) is None


def test_what_many_items_share_tells_none_of_them(tmp_path: Path) -> None:
    template = "Answer with one word only, and do not explain how you came to think so, please: {} {}"
    rng = random.Random(1)
    asked = [template.format(n, " ".join(rng.choices(string.ascii_lowercase, k=14))) for n in range(COMMON + 1)]
    by = stage(tmp_path, *asked)
    assert hit(by, user(template.format("", "is this a new question?"))) is None
    assert hit(by, user(asked[3])) == ("eval_words", "eval.jsonl:4")
    facts = by.facts()["decontamination"]
    assert facts["common_ngrams"] > 0
    few = stage(tmp_path, *asked[:COMMON])
    assert hit(few, user(template.format("", "is this a new question?"))) == ("eval_words", "eval.jsonl:1")
    same = stage(tmp_path, *[QUESTION] * 50)
    assert hit(same, user(f"well, {QUESTION}")) == ("eval_words", "eval.jsonl:1")


@pytest.mark.parametrize(
    ("value", "asked", "answered"),
    [
        ("a b", ("a b",), ()),
        ({"text": "a", "label": "x"}, ("a",), ()),
        ({"prompt": "a", "completion": "b"}, ("a",), ("b",)),
        ({"prompt": [SYSTEM, user("a")], "chosen": [said("b")], "rejected": [said("c")]}, ("a",), ("b",)),
        ({"question": "a", "answer": "b"}, ("a",), ("b",)),
        ({"instruction": "a", "input": "b", "output": "c"}, ("a", "b"), ("c",)),
        ({"messages": [SYSTEM, user("a"), said("b"), user("c")]}, ("a", "b", "c"), ()),
        ({"messages": [user("a"), said("b")]}, ("a",), ("b",)),
        ({"messages": [user("a")], "reference_answer": "b"}, ("a",), ("b",)),
        ({"input": {"messages": [user("a")]}, "preferred_output": [said("b")]}, ("a",), ("b",)),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ("a",), ("b",)),
        ({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]},
         ("a",), ("b",)),
        ({"text": "b", "context": [{"role": "user", "text": "a"}]}, ("a", "b"), ()),
    ],
)  # fmt: skip
def test_the_shapes_that_eval_sets_have(value: Json, asked: tuple[str, ...], answered: tuple[str, ...]) -> None:
    assert item_of(value, "f", 1) == Item("f", 1, asked, answered)


@pytest.mark.parametrize("value", [None, 3, [], {}, {"id": 4}, {"messages": []}, {"text": "  "}])
def test_what_is_no_item(tmp_path: Path, value: Json) -> None:
    with pytest.raises(RecipeError, match=r"eval\.jsonl:1: no item of an eval set; give a text"):
        stage(tmp_path, value)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    around = Surroundings(tmp_path, {})
    (tmp_path / "bad.jsonl").write_text('"a"\n{')
    (tmp_path / "bad.csv").write_bytes(b"text\n\xff\n")
    (tmp_path / "folder").mkdir()
    for name, told in (
        ("none.jsonl", "cannot be read"),
        ("bad.jsonl", "bad.jsonl:2: is no JSON"),
        ("bad.csv", "bad.csv: byte 5 is no UTF-8"),
        ("folder", "manifest.json: cannot be read"),
    ):
        with pytest.raises(RecipeError, match=told):
            Decontaminate((name,), 13, around)
    (tmp_path / "folder" / "manifest.json").write_text('{"files": {"openai-chat/train.jsonl": {}}}')
    with pytest.raises(RecipeError, match="folder: this export has no split named test"):
        Decontaminate(("folder",), 13, around)
    (tmp_path / "folder" / "manifest.json").write_text("[]")
    with pytest.raises(RecipeError, match="none of an export"):
        Decontaminate(("folder",), 13, around)


word = st.text("abcé１ſß吗だ ", min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(word, max_size=9), max_size=4), st.lists(word, max_size=12), st.integers(3, 5))
def test_an_index_of_ngrams_is_a_dict(items: list[list[str]], asked: list[str], n: int) -> None:
    def grams(text: list[str]) -> list[tuple[str, ...]]:
        return [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]

    index, hasher = Ngrams(), Hasher(n)
    known: dict[tuple[str, ...], int] = {}
    for number, item in enumerate(items):
        some = words(" ".join(item))
        index.add(hasher.hashes([some]), number)
        for gram in grams(some):
            known.setdefault(gram, number)
    index.settle()
    assert len(index) == len(known)
    some = words(" ".join(asked))
    expected = next((known[gram] for gram in grams(some) if gram in known), None)
    assert index.find(hasher.hashes([some])) == expected
    assert len(hasher.hashes([some, some])) == 2 * max(0, len(some) - n + 1)


def test_a_text_longer_than_a_slice_has_all_its_ngrams() -> None:
    rng = random.Random(2)
    some = rng.choices(["a", "bb", "ccc", "吗"], k=20_000)
    found = Hasher(5).hashes([some])
    assert len(found) == 20_000 - 4
    by_gram: dict[tuple[str, ...], int] = {}
    for at, value in enumerate(found.tolist()):
        assert by_gram.setdefault(tuple(some[at : at + 5]), value) == value
    assert len(set(by_gram.values())) == len(by_gram)


@given(st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = words(text)
    assert words(" ".join(once)) == once
    assert words(unicodedata.normalize("NFD", text)) == words(text)
    assert words(text.upper()) == words(text) or not text.isascii()


def test_an_export_tells_which_row_met_which_item(tmp_path: Path, tailrace: Run) -> None:
    log = {1: (Call(1, [user(QUESTION)], said("It sleeps.")), None), 2: (opened(2), None), 3: (opened(3, "yes"), None)}
    data = file_log(tmp_path / "data", log)
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "eval.jsonl").write_bytes(orjson.dumps({"text": QUESTION}) + b"\n")
    (tmp_path / "gold" / "more.csv").write_text('text,label\n"no, never",a\nYes!,b\n')
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[decontaminate]\nagainst = ["gold/eval.jsonl", "gold/more.csv"]\n')
    out = tmp_path / "out"
    said_ = tailrace("export", recipe, "--out", out, "--data-dir", data)
    assert said_.code == 0, said_.err
    dropped = [orjson.loads(line) for line in (out / DROPPED).read_bytes().splitlines()]
    met = [(line["stage"], line["reason"], line["by"]) for line in dropped]
    assert met == [
        ("decontaminate", "eval_words", "gold/eval.jsonl:1"),
        ("decontaminate", "eval_text", "gold/more.csv:3"),
    ]
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert manifest["decontamination"] == {
        "ngram": 13,
        "ngrams": 5,
        "common_ngrams": 0,
        "against": {
            "gold/eval.jsonl": {"items": 1, "items_met": 1, "rows_dropped": 1},
            "gold/more.csv": {"items": 2, "items_met": 1, "rows_dropped": 1},
        },
    }
    assert set(manifest["inputs"]) == {"gold/eval.jsonl", "gold/more.csv"}
    assert tailrace("export", "verify", out, "--data-dir", data).code == 0
    (tmp_path / "gold" / "eval.jsonl").write_bytes(orjson.dumps({"text": QUESTION}) + b"\n\n")
    again = tailrace("export", "verify", out, "--data-dir", data)
    assert again.code == 1
    assert "manifest.json: inputs: " in again.out


def test_an_earlier_exports_test_split_is_an_eval_set(tmp_path: Path, tailrace: Run, data_dir: Path) -> None:
    first = tmp_path / "first.toml"
    first.write_text("[split]\ntrain = 0.5\ntest = 0.5\n")
    assert tailrace("export", first, "--out", tmp_path / "one", "--data-dir", data_dir).code == 0
    tested = len((tmp_path / "one" / "openai-chat" / "test.jsonl").read_bytes().splitlines())
    second = tmp_path / "second.toml"
    second.write_text('[decontaminate]\nagainst = ["one"]\n')
    assert tailrace("export", second, "--out", tmp_path / "two", "--data-dir", data_dir).code == 0
    manifest = orjson.loads((tmp_path / "two" / "manifest.json").read_bytes())
    against = manifest["decontamination"]["against"]["one"]
    assert against == {"items": tested, "items_met": tested, "rows_dropped": tested}
    assert set(manifest["inputs"]) == {"one/manifest.json", "one/openai-chat/test.jsonl"}


def test_what_a_recipe_must_say() -> None:
    for text in (
        "[decontaminate]\n",
        "[decontaminate]\nagainst = []\n",
        '[decontaminate]\nagainst = ["a"]\nngram = 2\n',
    ):
        with pytest.raises(RecipeError):
            parse_recipe(text, "r.toml")
    assert np.uint64(0) == Hasher(3).hashes([]).sum()
