"""Segment files: names, modes, locks, whole writes, and no file left where none could be made."""

import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.journal.segment import Name, PosixDisk, Segment, bytes_on_disk, make_directory
from tests.journal.play import FaultyDisk, files

NAME = Name("00000000000000aa", 1)


@given(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.integers(0, 10**8 - 1))
def test_a_name_is_read_as_it_was_written(owner: str, seq: int) -> None:
    assert Name.parse(Name(owner, seq).file) == Name(owner, seq)


@pytest.mark.parametrize("file", ["", "x.seg", "00000000000000aa-00000001.new", "00000000000000AA-00000001.seg"])
def test_other_files_are_none_of_ours(file: str) -> None:
    assert Name.parse(file) is None


def test_a_segment_is_reserved_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "journal"
    make_directory(folder)
    segment = Segment.create(folder, NAME, 50_000, PosixDisk())
    status = (folder / NAME.file).stat()
    segment.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == 50_000
    assert status.st_blocks * 512 >= 50_000, "the space is taken, not promised"
    assert bytes_on_disk(folder) == 50_000


def test_the_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path, NAME, 4096, PosixDisk())
    with (tmp_path / NAME.file).open("rb") as reader:
        with pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
        segment.close(100)
        fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert (tmp_path / NAME.file).stat().st_size == 100


def test_where_there_is_no_space_no_file_is_left(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.fail, disk.error = {"allocate": 0}, errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        Segment.create(tmp_path, NAME, 4096, disk)
    assert files(tmp_path) == []


def test_more_buffers_than_one_call_takes_are_written_in_order(tmp_path: Path) -> None:
    buffers = [b"%d," % number for number in range(3000)]
    segment = Segment.create(tmp_path, NAME, 2**16, PosixDisk())
    segment.write(buffers, 10)
    segment.close()
    whole = b"".join(buffers)
    assert (tmp_path / NAME.file).read_bytes()[10 : 10 + len(whole)] == whole


def test_a_write_that_the_kernel_cuts_short_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, real_one = os.pwritev, os.pwrite

    def short(fd: int, buffers: Sequence[bytes], offset: int) -> int:
        return real(fd, [b"".join(buffers)[:7]], offset)

    def short_one(fd: int, data: bytes, offset: int) -> int:
        return real_one(fd, data[:5], offset)

    monkeypatch.setattr(os, "pwritev", short)
    monkeypatch.setattr(os, "pwrite", short_one)
    segment = Segment.create(tmp_path, NAME, 4096, PosixDisk())
    segment.write([b"0123456789", b"", b"abcdefghij"], 3)
    segment.close()
    assert (tmp_path / NAME.file).read_bytes()[:24] == b"\0\0\x000123456789abcdefghij\0"
