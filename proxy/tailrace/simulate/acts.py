"""What a simulated provider does on the wire, as values: a script of acts, played by a socket or in process.

Owns the vocabulary. A scenario yields acts and never does anything itself: no clock, no socket, no await.

    Early* ─▶ Head ─▶ (Data | Wait | Raw)* ─▶ Fin                 an answer that ends as HTTP asks
                                           └─▶ Close | Reset      an answer that is cut
                                           └─▶ WaitForever        an answer that never comes

After `Fin` only `Raw`, `Wait`, `Close` and `Reset` may follow: what a provider does to an idle connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case, in the order of the wire."""


class Framing(Enum):
    """How the end of a body is told."""

    LENGTH = "length"  # by its content-length
    CHUNKED = "chunked"  # by the last chunk
    UNTIL_CLOSE = "until_close"  # by the end of the connection


@dataclass(frozen=True, slots=True)
class Early:
    """An informational answer (1xx) before the real one."""

    status: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers. `headers` already hold the framing that `framing` names; `length` is that of the header."""

    status: int
    headers: Headers
    framing: Framing
    length: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """One piece of the body: one write on a socket, one item of a stream in process. Never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes beside HTTP's framing, as they are. In process: a protocol error before `Fin`, nothing after it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause of so many seconds, scaled by the simulator's pace."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitForever:
    """Silence until the client leaves."""


@dataclass(frozen=True, slots=True)
class Until:
    """A pause until `ready()` holds, asked again whenever the ledger changes; at most `limit_s` seconds, unscaled."""

    ready: Callable[[], bool]
    limit_s: float


@dataclass(frozen=True, slots=True)
class Fin:
    """The body ends as its framing asks."""


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed (FIN) here, whatever was promised."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST) here."""


Act = Early | Head | Data | Raw | Wait | WaitForever | Until | Fin | Close | Reset


def sized(status: int, headers: Headers, length: int) -> Head:
    """A head whose body has a content-length."""
    return Head(status, (*headers, (b"content-length", b"%d" % length)), Framing.LENGTH, length)


def chunked(status: int, headers: Headers) -> Head:
    """A head whose body comes in chunks."""
    return Head(status, (*headers, (b"transfer-encoding", b"chunked")), Framing.CHUNKED)


def until_close(status: int, headers: Headers) -> Head:
    """A head whose body ends with the connection."""
    return Head(status, (*headers, (b"connection", b"close")), Framing.UNTIL_CLOSE)
