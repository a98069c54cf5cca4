"""Serving: scores as in training, a swap that no call sees half of, and nothing loaded where it is not wanted."""

import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Final

import numpy as np
import pytest

from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Fit, Item, Rows, train
from tailrace.classify.student.matrix import Damaged, Header, write
from tailrace.classify.student.serve import Served, Student
from tailrace.classify.turn import Subject, Turn

FEATURES: Final = Features(bits=12)
LABELS: Final = ("confirm", "reject", "none")
ITEMS: Final = [
    Item(Subject(text, previous=None), (label,), b"%d" % n)
    for n, (text, label) in enumerate(
        [("yes please", "confirm"), ("ok sure", "confirm"), ("no thanks", "reject"), ("never", "reject")] * 15
        + [("what is the weather", "none")] * 10
    )
]


def fitted() -> Rows:
    return train(ITEMS, LABELS, FEATURES)


def put(path: Path, rows: Rows, serial: int = 1, meaning: str = "v1", **more: object) -> None:
    header = Header(meaning, serial, rows.labels, FEATURES, rows.multilabel, rows.temperature, **more)  # type: ignore[arg-type]
    write(path, header, rows.weights, rows.bias)


def serial(served: Served) -> int | None:
    return served.student.header.serial if served.student else None


def test_it_says_what_it_learned_and_answers_alone_from_the_threshold(tmp_path: Path) -> None:
    put(tmp_path / "one", fitted(), threshold=0.6, withheld=("reject",))
    student = Student.load(tmp_path / "one")
    said = student.say(Subject("yes sure"))
    assert (said.labels, said.serial, said.alone) == (("confirm",), 1, True)
    assert 0.6 <= said.confidence <= 1
    refused = student.say(Subject("no never"))
    assert (refused.labels, refused.alone) == (("reject",), False)  # withheld
    put(tmp_path / "one", fitted())
    assert not Student.load(tmp_path / "one").say(Subject("yes sure")).alone  # in shadow


def test_served_scores_are_the_trained_ones(tmp_path: Path) -> None:
    rows = fitted()
    put(tmp_path / "one", rows)
    subject = Subject("yes ok no", (Turn("assistant", "Shall I?"),), "none")
    indices, values = FEATURES.of(subject)
    dense = np.zeros(FEATURES.rows, np.float32)
    np.add.at(dense, indices, values)
    assert Student.load(tmp_path / "one").scores(subject) == pytest.approx(dense @ rows.weights + rows.bias, abs=1e-4)


def test_a_newer_file_is_taken_and_one_of_another_meaning_is_not(tmp_path: Path) -> None:
    served, rows = Served(tmp_path / "one"), fitted()
    assert not served.is_stale()
    assert not served.refresh("v1")
    put(served.path, rows)
    assert served.is_stale()
    assert served.refresh("v1")
    before = served.student
    assert before
    assert serial(served) == 1
    put(served.path, rows, 2)
    assert served.refresh("v1")
    assert serial(served) == 2
    assert before.say(Subject("yes")).serial == 1  # its file is gone, its rows are not
    put(served.path, rows, 3, "v2")
    assert served.refresh("v1")
    assert serial(served) is None
    served.path.unlink()
    assert served.refresh("v1")
    assert serial(served) is None


def test_a_damaged_file_leaves_the_student_before(tmp_path: Path) -> None:
    served = Served(tmp_path / "one")
    put(served.path, fitted())
    served.refresh("v1")
    broken = tmp_path / "broken"
    broken.write_bytes(served.path.read_bytes()[:-9])
    broken.replace(served.path)
    with pytest.raises(Damaged):
        served.refresh("v1")
    assert served.student
    assert served.student.say(Subject("yes")).labels == ("confirm",)


def test_no_call_sees_half_a_swap(tmp_path: Path) -> None:
    """Two students that say opposite things, exchanged all the time: each answer is wholly one's or the other's."""
    rows, served, stop = fitted(), Served(tmp_path / "one"), Event()
    put(served.path, rows)
    served.refresh("v1")
    turned = Rows(rows.labels, np.ascontiguousarray(rows.weights[:, [1, 0, 2]]), rows.bias[[1, 0, 2]])

    def exchange() -> None:
        for serial in range(2, 40):
            put(served.path, turned if serial % 2 == 0 else rows, serial)
            served.refresh("v1")
        stop.set()

    thread = Thread(target=exchange)
    thread.start()
    seen = set()
    while not stop.is_set():
        student = served.student
        assert student
        said = student.say(Subject("yes sure"))
        assert said.labels == (("reject",) if said.serial % 2 == 0 else ("confirm",))
        seen.add(said.serial)
    thread.join()
    assert len(seen) > 1


def test_several_labels(tmp_path: Path) -> None:
    items = [
        Item(Subject(text), labels, b"%d" % n)
        for n, (text, labels) in enumerate(
            [
                ("cancel it", ("cancel",)),
                ("book a room", ("book",)),
                ("cancel and book", ("cancel", "book")),
                ("hm", ()),
            ]
            * 15
        )
    ]
    rows = train(items, ("cancel", "book"), FEATURES, Fit(), multilabel=True)
    put(tmp_path / "one", rows, threshold=0.1)
    student = Student.load(tmp_path / "one")
    assert student.say(Subject("cancel and book")).labels == ("cancel", "book")
    nothing = student.say(Subject("hm"))
    assert nothing.labels == ()
    assert 0 < nothing.confidence <= 1


LOADED: Final = """
import sys
import tailrace.relay.app, tailrace.writer.process
assert not {"numpy", "scipy", "sklearn"} & set(sys.modules), "loaded without a student"
import tailrace.classify.calibration, tailrace.classify.student.states
assert "numpy" not in sys.modules, "the states of a student need no numpy"
import tailrace.classify.student.serve
assert "numpy" in sys.modules
assert not {"scipy", "sklearn"} & set(sys.modules), "serving needs no training library"
"""


def test_the_relay_loads_numpy_only_to_serve_and_never_what_trains() -> None:
    out = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
