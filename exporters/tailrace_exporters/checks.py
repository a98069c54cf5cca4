"""What the targets' own documents say of an export's files: each line by its format's check, each file by its limits.

Pure: takes lines and sizes, gives words. Which file is of which format is told by its folder.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tailrace_exporters.formats import FORMATS

MOST_TOLD: Final = 20
"""Of the problems of one file; the others are counted."""


def lines(path: str, data: Iterable[bytes]) -> Iterator[str]:
    """What is wrong with the lines of the file `path` (relative to the export's folder): file, line, pointer, message.

    Nothing for a file that is no format's, or no JSONL.
    """
    found = FORMATS.get(path.partition("/")[0])
    if found is None or not path.endswith(found.suffix):
        return
    told = 0
    for number, raw in enumerate(data, 1):
        if number == 1 and raw == found.head:
            continue
        try:
            line = found.decode(raw)
        except ValueError as exc:
            problems = [f"{path}:{number}: cannot be read ({exc})"]
        else:
            problems = [
                f"{path}:{number}: {problem.pointer or '/'}: {problem.message}" for problem in found.check(line)
            ]
        yield from problems[: max(0, MOST_TOLD - told)]
        told += len(problems)
    if told > MOST_TOLD:
        yield f"{path}: {told - MOST_TOLD:,} more problems of this kind in the file"


def limits(files: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """What the targets do not take of these files, each with its lines and its bytes, by its path."""
    rows: Counter[tuple[str, str]] = Counter()
    for path, (count, size_bytes) in sorted(files.items()):
        name, _, file = path.partition("/")
        if name not in FORMATS or not file.endswith(FORMATS[name].suffix):
            continue
        rows[name, file.removesuffix(FORMATS[name].suffix).partition("-0")[0]] += count
        most_bytes = FORMATS[name].limits.most_file_bytes
        if most_bytes is not None and size_bytes > most_bytes:
            yield (
                f"{path}: {size_bytes:,} bytes; the target takes a file of {most_bytes:,}: "
                f"write shards of about {max(1, count * most_bytes // size_bytes):,} rows ([write] shard_rows)"
            )
    for (name, split), count in rows.items():
        most = FORMATS[name].limits.most_rows
        if most is not None and count > most:
            yield f"{name}/{split}: {count:,} rows; the target takes {most:,}"
