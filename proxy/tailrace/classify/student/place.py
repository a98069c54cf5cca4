"""Where students lie in a data folder, and which of them stay."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

FOLDER: Final = "students"
KEPT: Final = 10
"""Numbered students of a classifier that stay, over all its versions: enough to go back to and to compare, and with a
hundred labels, at 84 MB each, less than a gigabyte."""


def current_file(data_dir: Path, classifier: str) -> Path:
    """The student that answers; not there while none does."""
    return data_dir / FOLDER / classifier / "current.student"


def numbered_file(data_dir: Path, classifier: str, version: str, serial: int) -> Path:
    """A student of a version, kept to compare."""
    return data_dir / FOLDER / classifier / f"{version}-{serial:06d}.student"


def forget(folder: Path, *, spared: Collection[Path]) -> None:
    """Deletes the numbered students in `folder`, a classifier's, that are neither of the `KEPT` newest nor `spared`.

    The file that answers is no numbered one, and what a relay has mapped of a deleted file stays with it.
    Raises OSError.
    """
    by_age = sorted(folder.glob("*-*.student"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for path in by_age[:-KEPT]:
        if path not in spared:
            path.unlink(missing_ok=True)
