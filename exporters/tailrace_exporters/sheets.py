"""Parquet files, written and read as the lines they hold: each row is the JSON that it was given as.

An export counts, hashes, compares and searches lines. A Parquet file's own bytes are those of the library's version
that wrote it; what it says is not. So its lines are what the manifest seals.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import orjson

SUFFIX: Final = ".parquet"
_GROUP_ROWS: Final = 2_000
_GROUP_BYTES: Final = 32 << 20
_COLUMNS: Final = ("messages", "tools", "train")


def _schema() -> Any:
    """One shape for all rows: nothing that one row has can add a null to another but for what a message may lack."""
    import pyarrow as pa  # noqa: PLC0415 - 100 MB that only who writes or reads Parquet needs

    text = pa.string()
    function = pa.struct([pa.field("name", text, nullable=False), pa.field("arguments", text, nullable=False)])
    call = pa.struct(
        [
            pa.field("id", text, nullable=False),
            pa.field("type", text, nullable=False),
            pa.field("function", function, nullable=False),
        ]
    )
    message = pa.struct(
        [
            pa.field("role", text, nullable=False),
            pa.field("content", text, nullable=False),
            pa.field("name", text),
            pa.field("tool_call_id", text),
            pa.field("tool_calls", pa.list_(call)),
        ]
    )
    return pa.schema(
        [
            pa.field("messages", pa.list_(message), nullable=False),
            pa.field("tools", text),
            pa.field("train", pa.list_(pa.bool_()), nullable=False),
        ]
    )


class Sheet:
    """A Parquet file under way, in row groups of bounded size."""

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        self._schema = _schema()
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Any] = []
        self._size_bytes = 0

    def write(self, line: bytes) -> None:
        """One more row, as JSON."""
        self._rows.append(orjson.loads(line))
        self._size_bytes += len(line)
        if len(self._rows) >= _GROUP_ROWS or self._size_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Writes what waits, and the footer. The file stays open."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa  # noqa: PLC0415 - as above

        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._size_bytes = [], 0


def lines(path: Path) -> Iterator[bytes]:
    """The rows of a file as they were given.

    Raises:
        ValueError: it is no such file.
    """
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_GROUP_ROWS):
                for row in batch.to_pylist():
                    yield orjson.dumps({name: row[name] for name in _COLUMNS}) + b"\n"
    except (pa.ArrowException, KeyError) as exc:
        raise ValueError(f"no Parquet file of an export ({exc})") from exc


class SheetLines:
    """A Parquet file for who reads lines: `readline` and `readlines` of a binary file."""

    def __init__(self, path: Path) -> None:
        self._lines = lines(path)

    def readline(self) -> bytes:
        """The next line; nothing at the end."""
        return next(self._lines, b"")

    def readlines(self, hint: int) -> list[bytes]:
        """The next lines, of about `hint` bytes."""
        found: list[bytes] = []
        size_bytes = 0
        while size_bytes < hint and (line := self.readline()):
            found.append(line)
            size_bytes += len(line)
        return found
