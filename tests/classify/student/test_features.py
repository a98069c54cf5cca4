"""Features: the same on every machine and in every process, within bounds for any text."""

import os
import subprocess
import sys
from hashlib import blake2b
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.student.features import Features
from tailrace.classify.turn import Subject, Turn

TALK: Final = Subject(
    "Yes, please: naïve 你好!", (Turn("user", "hi"), Turn("assistant", "Shall I book it?")), "question"
)
PRINTED: Final = """
from tests.classify.student.test_features import TALK, digest
from tailrace.classify.student.features import Features
print(digest(Features()))
"""
DIGEST: Final = "a5c529feb9a7b969"


def digest(features: Features) -> str:
    rows, weights = features.of(TALK)
    return blake2b(rows.astype("<i8").tobytes() + weights.astype("<f4").tobytes(), digest_size=8).hexdigest()


def test_the_features_are_those_that_students_on_disk_were_trained_with() -> None:
    """A change here makes every trained student worthless: then `matrix.FORMAT` must go up."""
    assert digest(Features()) == DIGEST


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_they_are_the_same_under_every_hash_seed(hash_seed: str) -> None:
    environ = os.environ | {"PYTHONHASHSEED": hash_seed}
    out = subprocess.run([sys.executable, "-c", PRINTED], env=environ, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == DIGEST


@given(st.text(max_size=300), st.text(max_size=100), st.none() | st.text(max_size=20), st.integers(4, 20))
def test_any_text_has_rows_within_bounds_and_groups_of_their_weight(
    text: str, said: str, previous: str | None, bits: int
) -> None:
    features = Features(bits=bits)
    rows, weights = features.of(Subject(text, (Turn("assistant", said),), previous))
    assert len(rows) == len(weights) > 0
    assert rows.min() >= 0
    assert rows.max() < features.rows
    # Groups: text of length 1, the assistant's words of theirs, two constants. Float32.
    expected = 1 + (features.assistant**2 if said else 0) + features.previous**2 + features.step**2
    assert float((weights.astype(np.float64) ** 2).sum()) == pytest.approx(expected, rel=1e-4)


def test_surrogates_and_very_long_texts_are_taken() -> None:
    features = Features()
    assert len(features.text("\ud800 broken")) > 0
    assert len(features.text("word " * 200_000)) < 2 * features.chars * 5


def test_each_part_of_the_context_changes_the_features_and_can_be_left_out() -> None:
    bare = Features(previous=0, assistant=0, step=0)
    with_context, without = bare.of(TALK), bare.of(Subject(TALK.text))
    assert np.array_equal(with_context[0], without[0])
    assert np.array_equal(with_context[1], without[1])
    seen = {
        digest(features) for features in (Features(), Features(previous=0), Features(assistant=0), Features(step=0))
    }
    assert len(seen) == 4


def test_case_and_spaces_do_not_matter_and_words_do() -> None:
    features = Features()
    assert (features.text("Yes  PLEASE") == features.text("yes please")).all()
    assert len(set(features.text("yes please")) & set(features.text("no thanks"))) < 5
