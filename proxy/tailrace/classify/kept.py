"""A value in a small file of the data folder: replaced whole, so that a crash leaves the one before or the one after.

For what the labeller decides by and what it tells the relay. The log has what happened; here is only where it stands.
"""

import os
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

FOLDER: Final = "labeller"


class KeptFile(Generic[T]):
    """A value of `kind`, a dataclass or a plain type."""

    def __init__(self, data_dir: Path, name: str, kind: type[T], default: T) -> None:
        self.path = data_dir / FOLDER / f"{name}.json"
        self._adapter = TypeAdapter(kind)
        self._default = default

    def read(self) -> T:
        """What was put last; the default where there is nothing, or nothing of ours."""
        try:
            return self._adapter.validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return self._default

    def put(self, value: T) -> None:
        """Replaces it. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        made = self.path.with_suffix(f".{os.getpid()}.new")
        made.write_bytes(self._adapter.dump_json(value))
        made.replace(self.path)
