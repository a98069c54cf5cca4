"""When a version's student is trained, what the log says of it, and which students stay on the disk."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tailrace.classify.ready import Ready, load
from tailrace.classify.student.fit import Item
from tailrace.classify.student.guarantee import Promise
from tailrace.classify.student.place import KEPT, current_file, numbered_file
from tailrace.classify.student.terms import FEWEST, judges_needed, labels_needed
from tailrace.classify.turn import Subject
from tailrace.clock import Clock
from tailrace.labeller import tutor
from tailrace.labeller.lessons import Judge, Lessons
from tailrace.labeller.tutor import Tutor
from tailrace.records import StudentChange
from tailrace.settings_classifiers import Classifier

ENOUGH: Final = judges_needed(Promise(0.8), 0)


def word(n: int) -> str:
    return "ab"[n % 2]


def lessons(labels: int, judges: int) -> Lessons:
    """Turns that say their label."""
    return Lessons(
        items=[Item(Subject(f"this is {word(n)} {n}"), (word(n),), b"%d" % n) for n in range(labels)],
        judges=[Judge(n + 1, Subject(f"that is {word(n)} {n}"), word(n)) for n in range(judges)],
        spread=[Subject(f"that is {word(n)} {n}") for n in range(judges)],
        again=(0, 0),
        newest_seq=labels + judges,
    )


@dataclass
class Log:
    """A log that has what it is told to have, and keeps what it gets."""

    has: Lessons = field(default_factory=lambda: lessons(0, 0))
    got: list[StudentChange] = field(default_factory=list)

    async def read(self, _: Any) -> bool:
        return True

    def lessons(self, **_: Any) -> Lessons:
        return self.has

    async def labels(self, made: list[StudentChange]) -> None:
        self.got += made

    def states(self) -> list[str]:
        return [change.state for change in self.got]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(tutor, "EVERY_S", 0.0)
    monkeypatch.setattr(tutor, "LessonBook", lambda _: made)
    return made


@pytest.fixture(scope="module")
def ready() -> Ready:
    told = {"labels": {"a": "", "b": ""}, "llm": {"model": "m"}, "target_agreement": 0.8}
    return load("c", Classifier.model_validate(told))


async def step(one: Tutor, log: Log, has: Lessons) -> None:
    log.has = has
    nothing: Any = None
    journal: Any = log
    await one.step(nothing, nothing, journal)


def students(folder: Path) -> list[Path]:
    """The files of students in it."""
    return sorted(folder.rglob("*.student"))


async def test_a_look_waits_for_labels_and_for_turns_to_judge_by(tmp_path: Path, ready: Ready, log: Log) -> None:
    one = Tutor(ready, Clock(0), tmp_path)
    await step(one, log, lessons(FEWEST - 1, ENOUGH))
    await step(one, log, lessons(FEWEST, ENOUGH - 1))
    assert log.states() == ["training"]
    assert not students(tmp_path)
    await step(one, log, lessons(FEWEST, ENOUGH))
    assert log.states() == ["training", "shadow", "live"]
    await step(one, log, lessons(labels_needed(FEWEST) - 1, 2 * ENOUGH))
    assert len(log.got) == 3
    await step(one, log, lessons(labels_needed(FEWEST), 2 * ENOUGH))
    assert log.states()[3:] == ["live"]


async def test_the_log_tells_each_look_so_that_students_can_be_compared(tmp_path: Path, ready: Ready, log: Log) -> None:
    one = Tutor(ready, Clock(0), tmp_path)
    for labels in (FEWEST, labels_needed(FEWEST)):
        await step(one, log, lessons(labels, ENOUGH))
    looks = [change.counts for change in log.got if change.counts and "judged" in change.counts]
    assert [(look["fitted"], look["labels"], look["judged"]) for look in looks] == [
        (1, FEWEST, ENOUGH),
        (2, labels_needed(FEWEST), ENOUGH),
    ]
    for look in looks:
        assert look["agreed"] == ENOUGH
        assert look["proven_percent"] == 100


async def test_old_students_go_but_not_the_one_that_answers(tmp_path: Path, ready: Ready, log: Log) -> None:
    one = Tutor(ready, Clock(0), tmp_path)
    await step(one, log, lessons(FEWEST, ENOUGH))
    answers = numbered_file(tmp_path, "c", ready.version, 1)
    others = [numbered_file(tmp_path, "c", "0" * 12, serial) for serial in range(KEPT + 2)]
    for age, path in enumerate([answers, *others]):
        path.touch()
        os.utime(path, ns=(age, age))
    await step(one, log, lessons(labels_needed(FEWEST), ENOUGH))
    newest = numbered_file(tmp_path, "c", ready.version, 2)
    assert students(tmp_path) == sorted([current_file(tmp_path, "c"), answers, newest, *others[-KEPT + 1 :]])
