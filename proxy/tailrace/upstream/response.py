"""An HTTP/1.1 answer, parsed from bytes in any chunking. Pure: no socket, no clock.

Owns the parser (llhttp, through httptools), the bounds on a head, and the body's pieces until somebody takes them. One
answer at a time:

    IDLE ── begin() ─▶ HEAD ── head read ─▶ BODY ── message complete ─▶ DONE ── recycle() ─▶ IDLE

llhttp refuses what must not pass (bare CR or LF, NUL, folded lines, two lengths, length and chunks together). What it
leaves to us: bounds, 1xx answers, upgrades, answers to HEAD, codings we cannot undo, and bytes behind the answer's end.
"""

from enum import Enum, auto
from typing import Final

import httptools
import httpx

from tailrace.upstream.encode import Header

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 256
MAX_INFORMATIONAL: Final = 20
"""1xx answers before the real one."""
MAX_FRAMING_BYTES: Final = 64 * 1024
"""Chunk extensions and trailers with no piece of the body among them."""


class Disconnected(httpx.RemoteProtocolError):
    """The peer ended the connection in good order, but before the answer's end."""


class Stage(Enum):
    """How far an answer has come."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    DONE = auto()


class _EnoughError(Exception):
    """Raised in a callback to stop llhttp: what comes now is not part of this answer."""


class Response:
    """Reads the answers of one connection, one after the other.

    `headers` has names in lower case and values as they came. `unread` counts the bytes that wait to be taken, framing
    included. After an error the connection is of no further use.
    """

    __slots__ = (
        "_expects_body", "_fed", "_informational", "_parser", "_parts", "_reusable", "headers", "on_body", "stage",
        "status", "unread",
    )  # fmt: skip

    def __init__(self) -> None:
        self.stage = Stage.IDLE
        self.status = 0
        self.headers: list[Header] = []
        self.unread = 0
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # llhttp hands each piece straight to the list, which is never replaced
        self._expects_body = True
        self._fed = 0
        self._informational = 0
        self._reusable = False
        self._parser = httptools.HttpResponseParser(self)

    def begin(self, *, expects_body: bool) -> None:
        """A request is being sent; `expects_body` is False for HEAD, whose answers end with the head."""
        self.stage = Stage.HEAD
        self.status = 0
        self.headers = []
        self._expects_body = expects_body
        self._fed = 0
        self._informational = 0

    def feed(self, data: bytes) -> None:
        """Parses what has come, in stage HEAD or BODY. Raises RemoteProtocolError for broken HTTP or a broken bound.

        Bytes behind the answer's end are no error of this answer, but its connection is not used again.
        """
        if self.stage is Stage.HEAD:
            self._fed += len(data)
        self.unread += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            if self.stage is not Stage.DONE:
                raise _violation(exc) from exc
            self._reusable = False
        if self.stage is Stage.HEAD:
            if self._fed > MAX_HEAD_BYTES:
                raise httpx.RemoteProtocolError("the answer's head is too large")
        elif self.unread > MAX_FRAMING_BYTES and not self._parts and self.stage is Stage.BODY:
            raise httpx.RemoteProtocolError("the answer has more framing than body")

    def end(self) -> None:
        """The peer ended the connection. Completes an answer of no stated length, raises Disconnected for any other."""
        if self.stage is Stage.HEAD:
            raise Disconnected("the connection was closed before an answer began")
        if self.stage is Stage.BODY:
            if self._states_its_length():
                raise Disconnected("the connection was closed before the answer's end")
            self._reusable = False
            self.stage = Stage.DONE

    def take(self) -> bytes:
        """What has come of the body since last time; perhaps nothing."""
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.unread = 0
        return data

    def recycle(self) -> bool:
        """Whether the connection may carry another exchange; if so, the stage is IDLE and nothing of this is left."""
        if self.stage is not Stage.DONE or not self._reusable:
            return False
        self._parts.clear()
        self.unread = 0
        self.stage = Stage.IDLE
        return True

    def _states_its_length(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # ---- what llhttp calls

    def on_message_begin(self) -> None:
        """A message begins; behind the end of the one we wait for, that is a stray."""
        if self.stage is not Stage.HEAD:
            raise _EnoughError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete; in a body it is a trailer, which nobody reads."""
        if self.stage is Stage.HEAD:
            name = name.lower()
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise httpx.RemoteProtocolError("the answer has a transfer-encoding other than chunked")
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        status = self._parser.get_status_code()
        if self._fed > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._check_head()
        if status < 200:
            self._skip_informational(status)
            return
        self.status = status
        self.stage = Stage.BODY
        if not self._expects_body:
            # llhttp cannot be told that this was HEAD: it would wait for a body. So it ends, and the connection, here.
            self._reusable = False
            self.stage = Stage.DONE
            raise _EnoughError

    def on_message_complete(self) -> None:
        """The message is complete, if it is not a 1xx."""
        if self.stage is Stage.BODY:
            self._reusable = self._parser.should_keep_alive()
            self.stage = Stage.DONE

    def _check_head(self) -> None:
        size = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            raise httpx.RemoteProtocolError("the answer's head is too large")

    def _skip_informational(self, status: int) -> None:
        self._informational += 1
        self.headers = []
        if status == 101:
            raise httpx.RemoteProtocolError("the answer switches to a protocol that was not asked for")
        if status < 100 or self._informational > MAX_INFORMATIONAL:
            raise httpx.RemoteProtocolError("the answer has too many informational heads before it")


def _violation(exc: httptools.HttpParserError) -> httpx.RemoteProtocolError:
    """What a callback of ours raised, or what llhttp did not like."""
    ours = exc.__context__
    if isinstance(ours, httpx.RemoteProtocolError):
        return ours
    return httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {exc}")
