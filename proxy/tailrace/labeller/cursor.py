"""How far a loop over the log has come: put after what it stands for is durable, so that a crash skips nothing."""

from pathlib import Path

from tailrace.classify.kept import KeptFile


def cursor(data_dir: Path, name: str) -> KeptFile[int | None]:
    """The file of one loop; None: it has not begun."""
    return KeptFile(data_dir, name, int, None)
