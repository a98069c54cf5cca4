"""The file in which a student goes from the labeller to the relay: a header, and a float32 row for each hashed feature.

    8 bytes   TRSTUDNT
    4 bytes   version of this format, little-endian, as all that follows
    4 bytes   length of the header
    4 bytes   CRC-32 of the header
    header    JSON: labels, features, temperature, threshold, … and the CRC-32 of the rows
    zeros     up to a multiple of 4,096: rows begin on a page
    rows      (features + 1) × labels float32; the last row is the bias

Written to a temporary name, synced, renamed: a reader sees a whole file or none. Memory-mapped: what serving touches is
in memory once for all relay workers, and a file that was replaced lives as long as somebody serves from it. A file that
is not whole, not ours or of another version is `Damaged`, with the reason.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import Struct
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt
import orjson

from tailrace.classify.student.features import Features

MAGIC: Final = b"TRSTUDNT"
FORMAT: Final = 1
_HEAD: Final = Struct("<8sIII")
_PAGE: Final = 4096
_MOST_HEADER: Final = 4 << 20
_CHUNK: Final = 1 << 20

Matrix = npt.NDArray[np.float32]


class Damaged(Exception):
    """A file that is no student of ours, or not all of one."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a student is, beside its rows.

    `meaning` is the classifier's version: labels of another meaning are not this student's. `threshold` None: it may
    not answer alone. `trained` is the number of labels it learned from.
    """

    meaning: str
    serial: int
    labels: tuple[str, ...]
    features: Features
    multilabel: bool = False
    temperature: float = 1.0
    threshold: float | None = None
    withheld: tuple[str, ...] = ()
    trained: int = 0
    seed: int = 0


def write(path: Path, header: Header, weights: Matrix, bias: Matrix) -> None:
    """Puts a student at `path`, whole or not at all. Raises OSError."""
    shape = (header.features.rows, len(header.labels))
    if weights.shape != shape or bias.shape != shape[1:]:
        raise ValueError(f"weights of shape {weights.shape} and bias of {bias.shape} are not of {shape}")
    rows = [np.ascontiguousarray(each, "<f4").reshape(-1).view(np.uint8).data for each in (weights, bias)]
    crc = crc32(rows[1], crc32(rows[0]))
    told = orjson.dumps(asdict(header) | {"crc": crc})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(_HEAD.pack(MAGIC, FORMAT, len(told), crc32(told)) + told)
            file.write(b"\0" * (-file.tell() % _PAGE))
            for each in rows:
                file.write(each)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read(path: Path, *, verify: bool = True) -> tuple[Header, Matrix]:
    """The header and the mapped rows (the bias last). `verify` reads it all once. Raises Damaged, and OSError."""
    with path.open("rb") as file:
        header, crc, start = _header(path, file)
        shape = (header.features.rows + 1, len(header.labels))
        expected = start + shape[0] * shape[1] * 4
        size = os.fstat(file.fileno()).st_size
        if size != expected:
            raise Damaged(f"{path}: {size} bytes of {expected}")
        if verify:
            file.seek(start)
            found = 0
            while chunk := file.read(_CHUNK):
                found = crc32(chunk, found)
            if found != crc:
                raise Damaged(f"{path}: the rows are not those that were written")
        # From the open file, not from the name: the name may be another student by now.
        return header, np.memmap(file, "<f4", "r", start, shape)


def _header(path: Path, file: Any) -> tuple[Header, int, int]:
    """The header, the checksum of the rows, and where they begin."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or head[: len(MAGIC)] != MAGIC:
        raise Damaged(f"{path}: not a student")
    _, version, length, crc = _HEAD.unpack(head)
    if version != FORMAT:
        raise Damaged(f"{path}: a student of format {version}; this Tailrace reads {FORMAT}")
    if length > _MOST_HEADER:
        raise Damaged(f"{path}: a header of {length} bytes")
    told = file.read(length)
    if len(told) != length or crc32(told) != crc:
        raise Damaged(f"{path}: the header is not the one that was written")
    try:
        fields = orjson.loads(told)
        rows_crc = int(fields.pop("crc"))
        fields["features"] = Features(**fields["features"])
        fields["labels"], fields["withheld"] = tuple(fields["labels"]), tuple(fields["withheld"])
        header = Header(**fields)
    except (ValueError, TypeError, KeyError) as exc:
        raise Damaged(f"{path}: a header that does not say what a student is: {exc}") from exc
    end = _HEAD.size + length
    return header, rows_crc, end + -end % _PAGE


def _sync_folder(folder: Path) -> None:
    """So that the name, too, outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
