"""The data folder: who may write it, and what is said where nobody may."""

import os
import re
import stat
from pathlib import Path

import pytest

from tailrace import datadir
from tailrace.errors import UserError
from tests.ordinary import closed_folder, ordinary_user


@pytest.mark.parametrize("below", ["", "new", "new/er"])
def test_a_folder_that_an_ordinary_user_may_not_write(below: str) -> None:
    with closed_folder(0o755) as folder:
        (folder / "of others").touch()  # an empty one of the user's own would be made writable
        folder.chmod(0o555)
        path = folder / below
        says = (
            rf"^data folder {re.escape(str(path))}: cannot be written \(Permission denied\); make it writable for this"
        )
        with ordinary_user(), pytest.raises(UserError, match=says), datadir.hold(path):
            pass
        assert [path.name for path in folder.iterdir()] == ["of others"]


def test_a_folder_that_another_user_left(tmp_path: Path) -> None:
    """As root's first start leaves it, before the service got a user of its own."""
    with closed_folder(0o777) as folder:
        (folder / datadir.LOCK).touch(0o400)
        says = r"cannot be written \(Permission denied\)"
        with ordinary_user(), pytest.raises(UserError, match=says), datadir.hold(folder):
            pass


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / datadir.LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="cannot be written"), datadir.hold(tmp_path):
        pass
    assert not (tmp_path / "precious").exists()


def test_who_holds_a_folder_is_told_to_the_next_and_forgotten_after(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with datadir.hold(folder):
        assert datadir.holder(folder) == os.getpid()
        says = f"held by process {os.getpid()}; stop it, or choose another with --data-dir"
        with pytest.raises(UserError, match=says), datadir.hold(folder):
            pass
    assert datadir.holder(folder) is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_cannot_be_put_into_a_held_folder_is_told_as_the_folders_fault(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    for put in (datadir.prepare_run, lambda folder: datadir.put_settings(folder, "")):
        with pytest.raises(UserError, match=r"cannot be written \((Not a directory|File exists)\)"):
            put(tmp_path)
