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
_LONG_CHARS: Final = 64
_FLOAT: Final = struct.Struct("<d")


class _KeepWholeError(Exception):
    """This envelope is better kept whole: it has too many values, or a key that reads like a hole."""


def split(envelope: Json, answer_id: str | None) -> tuple[Json, bytes] | None:
    """`(shape, values)`, or None where the envelope is best stored as it is.

    `answer_id` is what the column will hold; the envelope's `id` is left out of the values where it is the same.
    """
    values: list[bytes] = []
    try:
        return _Splitter(values, answer_id).node(envelope, "", top=True), b"".join(values)
    except _KeepWholeError:
        return None


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


class _Splitter:
    """Walks an envelope and gathers its values."""

    def __init__(self, values: list[bytes], answer_id: str | None) -> None:
        self._values = values
        self._answer_id = answer_id

    def node(self, value: Json, key: str, *, top: bool = False) -> Json:
        kind = type(value)
        if kind is dict:
            if _HOLE in value:
                raise _KeepWholeError
            # In the order of canonical JSON: a shape is stored so, and its values are read back in its order.
            return {name: self._member(name, inner, top=top) for name, inner in sorted(value.items())}
        if kind is list:
            return [self.node(inner, key) for inner in value]
        if kind is int:
            return self._hole("i", _varint(value << 1 if value >= 0 else ~value << 1 | 1))
        if kind is float:
            return self._hole("f", _FLOAT.pack(value))
        if kind is str and (len(value) > _LONG_CHARS or key == "id" or key.endswith("_id")):
            text = value.encode()
            return self._hole("s", _varint(len(text)) + text)
        return value

    def _member(self, name: str, value: Json, *, top: bool) -> Json:
        if top and name == "id" and value is not None and value == self._answer_id:
            return self._hole("a", b"")
        return self.node(value, name)

    def _hole(self, kind: str, value: bytes) -> Json:
        self._values.append(value)
        if len(self._values) > _MAX_HOLES:
            raise _KeepWholeError
        return {_HOLE: kind}


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
            return _FLOAT.unpack(self._bytes(8))[0]
        if kind == "s":
            return self._bytes(self._number()).decode()
        raise ValueError(f"unknown hole {kind!r}")

    def _number(self) -> int:
        number = shift = 0
        while True:
            byte = self._bytes(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def _bytes(self, size: int) -> bytes:
        taken = self._values[self.offset : self.offset + size]
        if len(taken) < size:
            raise ValueError("values cut short")
        self.offset += size
        return taken


def _fill(shape: Json, reader: _Reader, answer_id: str | None) -> Json:
    if type(shape) is dict:
        kind = shape.get(_HOLE)
        if kind is None:
            return {name: _fill(inner, reader, answer_id) for name, inner in shape.items()}
        return answer_id if kind == "a" else reader.take(kind)
    if type(shape) is list:
        return [_fill(inner, reader, answer_id) for inner in shape]
    return shape


def _varint(number: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first."""
    return bytes(_septets(number)) if number > 0x7F else bytes((number,))


def _septets(number: int) -> Iterator[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
