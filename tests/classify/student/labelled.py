"""Labelled conversations: a small share that stands here, and the whole data sets of the heavy runs.

The whole ones are found as `tests.labelled.loading` finds them.
"""

import csv
from pathlib import Path
from typing import Final

import pytest

from tests.labelled import loading

Chains = list[list[tuple[str, str]]]
"""Conversations of (user's turn, label)."""

HERE: Final = Path(__file__).parent / "airline" / "turns.tsv"


def airline_sample() -> Chains:
    """400 conversations of the train split."""
    return _chains(HERE, "chain")


def airline(*splits: str) -> Chains:
    """Whole splits; skips where they are not at hand."""
    return [
        chain for split in splits for chain in _chains(whole("multidogo_airline") / f"{split}.tsv", "conversationId")
    ]


def whole(name: str) -> Path:
    """The folder of a data set."""
    folder = loading.whole()
    if folder is None:
        pytest.skip("the whole data is not there: set TAILRACE_DATA")
    return folder / name


def _chains(path: Path, chain: str) -> Chains:
    found: dict[str, list[tuple[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["intent"]:  # of a few joined intents the first
                found.setdefault(row[chain], []).append((row["utterance"] or "", row["intent"].split("<div>")[0]))
    return list(found.values())
