"""The file: what was written is read, and nothing else is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.student.features import Features
from tailrace.classify.student.matrix import Damaged, Header, read, write

HEADER = Header(
    "v1", 7, ("ja", "nein"), Features(bits=6), temperature=1.5, threshold=0.8, withheld=("nein",), trained=90, seed=3
)


def rows(seed: int = 0) -> tuple[Any, Any]:
    dice = np.random.default_rng(seed)
    return dice.normal(size=(64, 2)).astype(np.float32), dice.normal(size=2).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "reply.student", HEADER, *rows())
    return tmp_path / "reply.student"


def test_what_was_written_is_read_back(path: Path) -> None:
    header, matrix = read(path)
    assert header == HEADER
    assert (matrix[:-1] == rows()[0]).all()
    assert (matrix[-1] == rows()[1]).all()
    assert isinstance(matrix, np.memmap)
    assert not matrix.flags.writeable
    assert [each.name for each in path.parent.iterdir()] == ["reply.student"]  # no temporary file stays


def test_the_same_student_is_the_same_file(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", HEADER, *rows())
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(tmp_path_factory: pytest.TempPathFactory, where: float, flip: int) -> None:
    path = tmp_path_factory.mktemp("student") / "one"
    write(path, HEADER, *rows())
    held = bytearray(path.read_bytes())
    length = int.from_bytes(held[12:16], "little")
    parts = [*range(20 + length), *range(4096, len(held))]  # all but the zeros before the first page
    held[parts[int(where * len(parts))]] ^= flip
    path.write_bytes(held)
    with pytest.raises(Damaged):
        read(path)


@pytest.mark.parametrize("size", [0, 7, 19, 100, 4095, 4096, 4600])
def test_a_part_of_a_file_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Damaged):
        read(path)


def test_a_foreign_or_newer_file_is_refused_with_its_reason(path: Path) -> None:
    held = path.read_bytes()
    path.write_bytes(held[:8] + b"\x02\0\0\0" + held[12:])
    with pytest.raises(Damaged, match="format 2; this Tailrace reads 1"):
        read(path)
    path.write_bytes(b"PK\x03\x04" + held)
    with pytest.raises(Damaged, match="not a student"):
        read(path)


def test_a_failed_write_leaves_the_file_before(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="shape"):
        write(path, HEADER, rows()[0][:-1], rows()[1])
    path.chmod(0o400)
    with pytest.raises(TypeError):
        write(path, Header("v2", 8, ("a", object()), Features(bits=6)), *rows())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1
