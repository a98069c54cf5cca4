"""Request bodies as they come: JSON is held, up to a bound; the rest is counted and hashed, piece by piece.

Owns the bound, and what is known of a body that is not held: its size, its hash, and of each part of a multipart body
name, file name, type, size and hash. A body of any length takes no more memory than one piece and the bound.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import multipart

from tailrace.records import Json

HELD_BYTES: Final = 64 * 2**20
_MOST_PARTS: Final = 1_000
_VALUE_BYTES: Final = 4_096  # of a part that is no file: a form's field


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. `value` is the text of a short part that is no file."""

    name: str
    filename: str | None
    content_type: str
    size_bytes: int
    sha256: str
    value: str | None

    def shape(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "filename": self.filename,
            "content_type": self.content_type,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is not held. `fault` says why a multipart body could not be taken apart."""

    size_bytes: int
    sha256: str
    parts: tuple[Part, ...] = ()
    fault: str | None = None

    def field(self, name: str) -> str | None:
        """The value of a form's field."""
        return next((part.value for part in self.parts if part.name == name and part.value is not None), None)

    @property
    def file(self) -> Part | None:
        """The first part that is a file."""
        return next((part for part in self.parts if part.filename is not None), None)

    def shape(self) -> dict[str, Json]:
        """The body as JSON."""
        told: dict[str, Json] = {"sha256": self.sha256, "size_bytes": self.size_bytes}
        if self.parts:
            told["parts"] = [part.shape() for part in self.parts]
        return told | ({"fault": self.fault} if self.fault else {})


class Arriving:
    """A body on its way in. `held_bytes` bounds what of it is kept."""

    def __init__(self, content_type: bytes | None, held_bytes: int = HELD_BYTES) -> None:
        self._parts = _Parts.of(content_type)
        self._held: list[bytes] | None = [] if self._parts is None else None
        self._most = held_bytes
        self._size = 0
        self._hash = sha256()

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        if not piece:
            return  # to the parser of parts it would be the end
        self._size += len(piece)
        if self._held is not None:
            self._held.append(piece)
            if self._size <= self._most:
                return
            for held in self._held:
                self._hash.update(held)
            self._held = None
            return
        self._hash.update(piece)
        if self._parts is not None:
            self._parts.feed(piece)

    def end(self) -> tuple[bytes, Upload | None]:
        """The body, or what is known of it."""
        if self._held is not None:
            return b"".join(self._held), None
        parts = self._parts
        if parts is None:
            return b"", Upload(self._size, self._hash.hexdigest())
        parts.close()
        return b"", Upload(self._size, self._hash.hexdigest(), tuple(parts.done), parts.fault)


class _Parts:
    """The parts of a multipart body."""

    def __init__(self, boundary: str) -> None:
        self._parser = multipart.PushMultipartParser(boundary, max_segment_count=_MOST_PARTS)
        self._head: multipart.MultipartSegment | None = None
        self._value: bytes = b""
        self._size = 0
        self._hash = sha256()
        self.done: list[Part] = []
        self.fault: str | None = None

    @classmethod
    def of(cls, content_type: bytes | None) -> "_Parts | None":
        """For a body of that type; None for one without parts."""
        kind, options = multipart.parse_options_header((content_type or b"").decode("latin-1"))
        boundary = options.get("boundary")
        return cls(boundary) if kind.startswith("multipart/") and boundary else None

    def feed(self, piece: bytes) -> None:
        """The next piece; nothing more is made of the body once it has a fault."""
        if self.fault is not None:
            return
        try:
            for event in self._parser.parse(piece):
                self._take(event)
        except multipart.MultipartError as error:
            self.fault = str(error)

    def close(self) -> None:
        """The body has ended."""
        if self.fault is not None:
            return
        try:
            self._parser.close()
        except multipart.MultipartError as error:
            self.fault = str(error)

    def _take(self, event: "multipart.MultipartSegment | bytearray | bytes | None") -> None:
        if isinstance(event, multipart.MultipartSegment):
            self._head, self._value, self._size, self._hash = event, b"", 0, sha256()
        elif event is not None:
            self._size += len(event)
            self._hash.update(event)
            self._value += event[: max(0, _VALUE_BYTES + 1 - len(self._value))]
        elif self._head is not None:
            head = self._head
            is_short = head.filename is None and self._size <= _VALUE_BYTES
            value = self._value.decode("utf-8", "replace") if is_short else None
            kind = head.content_type or ""
            self.done.append(Part(head.name, head.filename, kind, self._size, self._hash.hexdigest(), value))
            self._head = None
