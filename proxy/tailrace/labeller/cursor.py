"""How far a loop over the log has come, in a small file: replaced whole, after what it stands for is durable."""

import os
from pathlib import Path
from typing import Final

import orjson

FOLDER: Final = "labeller"


class Cursor:
    """One number, under a name. Where the file is not there, or is none of ours, it is `None`."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self._path = data_dir / FOLDER / f"{name}.json"

    def read(self) -> int | None:
        """The number that was put last."""
        try:
            value = orjson.loads(self._path.read_bytes())["cursor"]
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return value if isinstance(value, int) and value >= 0 else None

    def put(self, value: int) -> None:
        """Replaces it. A crash may lose this, never the one before. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        made = self._path.with_suffix(f".{os.getpid()}.new")
        made.write_bytes(orjson.dumps({"cursor": value}))
        made.replace(self._path)
