"""What is learned and kept: a file that a crash cannot break; no calibration until there is enough gold."""

import random
from pathlib import Path

import pytest

from tailrace.classify.calibration import Isotonic, Temperature, Unchanged
from tailrace.classify.kept import KeptFile
from tailrace.classify.learned import NOTHING, Learned, learned, learned_file
from tailrace.classify.ready import load
from tailrace.settings_classifiers import Classifier


def judged(count: int) -> list[tuple[float | None, bool]]:
    """A model that says .95 and is right in seven of ten."""
    dice = random.Random(count)
    return [(dice.choice((0.93, 0.95, 0.97)), dice.random() < 0.7) for _ in range(count)]


def test_a_confidence_stays_what_it_is_until_there_is_enough_gold() -> None:
    few = learned({}, judged(99)).calibration
    assert isinstance(few, Unchanged)
    assert few(0.95) == 0.95
    some = learned({}, judged(150)).calibration
    assert isinstance(some, Temperature)
    after = some(0.95)
    assert after is not None
    assert 0.6 < after < 0.8
    assert some(None) is None
    assert isinstance(learned({}, judged(1200)).calibration, Isotonic)


@pytest.mark.parametrize("count", [0, 150, 1200])
def test_it_comes_back_from_its_file(tmp_path: Path, count: int) -> None:
    ready = load("c", Classifier(labels={"a": ""}))
    file = learned_file(tmp_path, ready)
    assert file.read() == NOTHING
    now = learned({3: "rule 4 was wrong"}, judged(count))
    file.put(now)
    assert learned_file(tmp_path, ready).read() == now
    assert now.calibration(0.9) == file.read().calibration(0.9)


def test_a_file_of_another_kind_is_no_value_and_is_replaced(tmp_path: Path) -> None:
    file = KeptFile(tmp_path, "x", Learned, NOTHING)
    file.put(NOTHING)
    for content in (b"", b"{", b"[1]", b'{"disabled": 3}', b"\xff"):
        file.path.write_bytes(content)
        assert file.read() == NOTHING
    file.put(Learned({0: "why"}))
    assert file.read().disabled == {0: "why"}
    assert [path.name for path in file.path.parent.iterdir()] == ["x.json"]
