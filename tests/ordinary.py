"""Being an ordinary user, also where the tests run as root, who may do everything."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NOBODY: Final = 65_534


@contextmanager
def ordinary_user() -> Iterator[None]:
    """What this process opens inside is opened with an ordinary user's rights.

    The interpreter's own files may be out of that user's reach: whatever is imported inside must be imported before.
    """
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def give_away(folder: Path) -> None:
    """Make `folder` and what is in it the ordinary user's own."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)


@contextmanager
def closed_folder(mode: int) -> Iterator[Path]:
    """A folder that an ordinary user can reach, and that has `mode` for everyone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name) / "closed"
        Path(name).chmod(0o755)
        folder.mkdir()
        folder.chmod(mode)
        try:
            yield folder
        finally:
            folder.chmod(0o700)
