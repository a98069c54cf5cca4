"""Where students lie in a data folder. Pure."""

from pathlib import Path
from typing import Final

FOLDER: Final = "students"


def current_file(data_dir: Path, classifier: str) -> Path:
    """The student that answers; not there while none does."""
    return data_dir / FOLDER / classifier / "current.student"


def numbered_file(data_dir: Path, classifier: str, version: str, serial: int) -> Path:
    """A student of a version, kept to compare."""
    return data_dir / FOLDER / classifier / f"{version}-{serial:06d}.student"
