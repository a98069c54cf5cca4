"""Old students: the newest of all versions stay, and the one that answers whatever its age."""

import os
from pathlib import Path

import pytest

from tailrace.classify.student.place import KEPT, current_file, forget, numbered_file


@pytest.fixture
def students(tmp_path: Path) -> list[Path]:
    """Of one classifier, the oldest first: each version's are newer than those of the version before."""
    made = [numbered_file(tmp_path, "c", f"{version}" * 12, serial) for version in "ba" for serial in range(1, 10)]
    for age, path in enumerate([*made, current_file(tmp_path, "c"), numbered_file(tmp_path, "other", "b" * 12, 1)]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, ns=(age, age))
    os.utime(current_file(tmp_path, "c"), ns=(0, 0))
    return made


def test_the_newest_of_all_versions_stay(tmp_path: Path, students: list[Path]) -> None:
    forget(students[0].parent, spared=())
    assert sorted(tmp_path.rglob("*.student")) == sorted(
        [*students[-KEPT:], current_file(tmp_path, "c"), numbered_file(tmp_path, "other", "b" * 12, 1)]
    )
    assert {path.name[0] for path in students[-KEPT:]} == {"a", "b"}


def test_what_is_spared_stays_however_old(tmp_path: Path, students: list[Path]) -> None:
    forget(students[0].parent, spared={students[2], students[-1]})
    assert sorted(students[0].parent.glob("*-*.student")) == sorted([students[2], *students[-KEPT:]])


def test_fewer_than_kept_all_stay(students: list[Path]) -> None:
    for path in students[3:]:
        path.unlink()
    forget(students[0].parent, spared=())
    assert sorted(students[0].parent.glob("*-*.student")) == sorted(students[:3])
