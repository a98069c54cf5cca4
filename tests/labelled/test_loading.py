"""The labelled data: the subsets are what the script cuts, and every loader reads subsets and the whole alike."""

from pathlib import Path

import pytest

from tailrace.simulate.dialogues import parse
from tests.labelled.gold import dialogue_file
from tests.labelled.loading import LOADERS, SUBSETS, Split, banking77, multidogo_airline, star, whole
from tests.labelled.prepare import CUTS, prepare

every = pytest.mark.parametrize("name", LOADERS)
DATA = whole()
with_data = pytest.mark.skipif(DATA is None, reason="the whole data is not on this machine")

COUNTS: dict[str, dict[Split, int]] = {
    "banking77": {"train": 273, "dev": 35},
    "multidogo_airline": {"train": 352, "dev": 114},
    "nlupp": {"train": 70, "dev": 35},
    "star": {"train": 164, "dev": 62},
    "vader_sentiment": {"train": 158, "dev": 42},
    "wnut17": {"train": 71, "dev": 30},
}
WHOLE: dict[str, tuple[int, int, int]] = {
    "banking77": (10_003 - 1_014, 1_014, 3_080),
    "multidogo_airline": (13_516, 1_964, 3_929),
    "nlupp": (1_039, 512, 520),
    "star": (9_483, 1_306, 4_444),
    "vader_sentiment": (4_628, 1_232, 2_048),
    "wnut17": (3_394, 1_009, 1_287),
}
SPANS = {"wnut17": (1_975, 836, 1_079)}


@every
@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_subset_is_read_in_full(name: str, split: Split) -> None:
    items = LOADERS[name](SUBSETS, split)
    assert len(items) == COUNTS[name][split]
    assert len({item.id for item in items}) == len(items)
    assert sum(not item.text.strip() for item in items) <= 1  # the source's cleaning left nothing of it
    assert all(0 <= span.start < span.end <= len(item.text) for item in items for span in item.spans)
    assert {item.text for item in items}.isdisjoint(
        item.text for item in LOADERS[name](SUBSETS, "train" if split == "dev" else "dev")
    ) or name in {"multidogo_airline", "star", "nlupp"}  # people say "yes" in many conversations


@every
def test_a_subset_says_whence_it_is_and_under_which_licence(name: str) -> None:
    said = (SUBSETS / name / "SOURCE.md").read_text("utf-8")
    assert "- licence:" in said
    assert "- commit:" in said
    assert "# Of which this is a subset" in said
    assert any(path.name.startswith("LICENSE") and path.stat().st_size > 900 for path in (SUBSETS / name).iterdir())


def test_no_test_split_is_committed() -> None:
    for loader in LOADERS.values():
        try:
            assert not loader(SUBSETS, "test")
        except FileNotFoundError:
            continue


def test_turns_of_a_conversation_hear_those_before() -> None:
    items = multidogo_airline(SUBSETS, "dev")
    first = [item for item in items if item.chain == items[0].chain]
    assert [len(item.before) for item in first] == list(range(len(first)))
    assert [(turn.text, turn.label) for turn in first[-1].before] == [(item.text, item.label) for item in first[:-1]]


def test_a_reply_of_star_hears_the_assistant_and_is_not_told_the_action() -> None:
    items = star(SUBSETS, "dev")
    assert all(item.before[-1].role == "assistant" for item in items if item.before)
    assert sum(bool(item.before) for item in items) > 50
    assert any(turn.label for item in items for turn in item.before)


def test_the_desk_answers_each_turn_of_the_user() -> None:
    items = multidogo_airline(SUBSETS, "train")
    dialogues = parse(dialogue_file(items), "airline")
    assert len(dialogues) == 45
    assert [text for dialogue in dialogues for text in dialogue.user_turns] == [
        item.text for item in items if item.text
    ]


@with_data
@every
def test_the_whole_is_as_its_source_says(name: str) -> None:
    assert DATA is not None
    read = [LOADERS[name](DATA, split) for split in ("train", "dev", "test")]
    assert tuple(len(items) for items in read) == WHOLE[name]
    if name in SPANS:
        assert tuple(sum(len(item.spans) for item in items) for items in read) == SPANS[name]
    ids = [item.id for items in read for item in items]
    assert len(set(ids)) == len(ids)


@with_data
def test_banking77_gives_no_text_to_two_splits() -> None:
    assert DATA is not None
    train, dev, test = ({item.text for item in banking77(DATA, split)} for split in ("train", "dev", "test"))
    assert not train & dev
    assert not (train | dev) & test


@with_data
def test_the_script_gives_the_committed_bytes(tmp_path: Path) -> None:
    assert DATA is not None
    prepare(DATA, tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(SUBSETS): path.read_bytes() for path in SUBSETS.rglob("*") if path.is_file()}
    assert made.keys() == kept.keys()
    assert made == kept
    assert set(CUTS) == set(LOADERS)
