"""An answer without its messages (its envelope) in two parts: a shape that most answers share, and values. Pure.

Numbers, ids and long strings are pulled out of the envelope; what is left, with holes where they were, is the same for
most answers of an application and is stored once. The values are written back to back, in the order of the holes; the
hole says what is in it: "i" integer (zigzag varint, of any size), "f" float (IEEE 754, little-endian), "s" string (its
length as a varint, then UTF-8), "a" the answer's id, which is a column of its own.
"""

import struct
from collections.abc import Iterator
from typing import Final

from tailrace.records import Json

_HOLE: Final = "\x00"
_MAX_HOLES: Final = 64
_MAX_DEPTH: Final = 64
_LONG_CHARS: Final = 64
_DOUBLE: Final = struct.Struct("<d")
_INTEGER: Final = {_HOLE: "i"}
_FLOAT: Final = {_HOLE: "f"}
_STRING: Final = {_HOLE: "s"}
_IN_COLUMN: Final = {_HOLE: "a"}
_BRANCHES: Final = frozenset((dict, list))


class _KeepWholeError(Exception):
    """This envelope is better kept whole: too many values, nested too deep, or a key that reads like a hole."""


def split(envelope: Json, answer_id: str | None) -> tuple[Json, bytes] | None:
    """`(shape, values)`, or None where the envelope is best stored as it is.

    `answer_id` is what the column will hold; the envelope's `id` is left out of the values where it is the same.
    """
    splitter = _Splitter()
    try:
        if type(envelope) is not dict or envelope.get("id") != answer_id or answer_id is None:
            shape = splitter.node(envelope, "", _MAX_DEPTH)
        else:
            shape = splitter.members({**envelope, "id": None}, _MAX_DEPTH)
            shape["id"] = _IN_COLUMN
    except _KeepWholeError:
        return None
    return shape, b"".join(splitter.values)


def join(shape: Json, values: bytes, answer_id: str | None) -> Json:
    """The envelope that `split` took apart.

    Raises:
        ValueError: the values do not fit the shape.
    """
    reader = _Reader(values)
    envelope = _fill(shape, reader, answer_id)
    if reader.offset != len(values):
        raise ValueError("values left over")
    return envelope


def member(shape: Json, values: bytes, answer_id: str | None, name: str) -> Json:
    """One member of the envelope that `split` took apart, where that is an object; None where it has no such member.

    Members come in order, and so do the values: those after it are not looked at.

    Raises:
        ValueError: the values do not fit the shape.
    """
    reader = _Reader(values)
    for key, inner in shape.items() if type(shape) is dict else ():
        found = _fill(inner, reader, answer_id)
        if key == name:
            return found
    return None


class _Splitter:
    """Walks an envelope and gathers its values, in the order of canonical JSON: a shape is stored and read back so."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def node(self, value: Json, key: str, depth: int) -> Json:
        kind = type(value)
        if kind is dict:
            return self.members(value, depth)
        if kind is list:
            if not depth:
                raise _KeepWholeError
            return [self.node(inner, key, depth - 1) for inner in value]
        if kind is int:
            return self._hole(_INTEGER, _varint(value << 1 if value >= 0 else ~value << 1 | 1))
        if kind is float:
            return self._hole(_FLOAT, _DOUBLE.pack(value))
        if kind is str and (len(value) > _LONG_CHARS or key == "id" or key.endswith("_id")):
            text = value.encode()
            return self._hole(_STRING, _varint(len(text)) + text)
        return value

    def members(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        if _HOLE in value or not depth:
            raise _KeepWholeError
        return {
            name: inner if (inner := value[name]) is None else self.node(inner, name, depth - 1)
            for name in sorted(value)
        }

    def _hole(self, hole: dict[str, str], value: bytes) -> dict[str, str]:
        self.values.append(value)
        if len(self.values) > _MAX_HOLES:
            raise _KeepWholeError
        return hole


class _Reader:
    """Reads values in the order they were written."""

    def __init__(self, values: bytes) -> None:
        self._values = values
        self.offset = 0

    def take(self, kind: str) -> Json:
        if kind == "i":
            number = self._number()
            return ~(number >> 1) if number & 1 else number >> 1
        if kind == "f":
            return _DOUBLE.unpack(self._bytes(8))[0]
        if kind == "s":
            return self._bytes(self._number()).decode()
        raise ValueError(f"unknown hole {kind!r}")

    def _number(self) -> int:
        number = shift = 0
        for byte in self._values[self.offset :]:
            self.offset += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise ValueError("values cut short")

    def _bytes(self, size: int) -> bytes:
        taken = self._values[self.offset : self.offset + size]
        if len(taken) < size:
            raise ValueError("values cut short")
        self.offset += size
        return taken


def _fill(shape: Json, reader: _Reader, answer_id: str | None) -> Json:
    if type(shape) is list:
        return [_fill(inner, reader, answer_id) for inner in shape]
    if type(shape) is not dict:
        return shape
    kind = shape.get(_HOLE)
    if kind is None:
        return {
            name: _fill(inner, reader, answer_id) if type(inner) in _BRANCHES else inner
            for name, inner in shape.items()
        }
    return answer_id if kind == "a" else reader.take(kind)


def _varint(number: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first."""
    return bytes(_septets(number)) if number > 0x7F else bytes((number,))


def _septets(number: int) -> Iterator[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
