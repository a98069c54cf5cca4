"""A receiver of webhooks: a real HTTP server on a free loopback port that verifies signatures, and fails on demand.

It verifies as Standard Webhooks writes it (`webhook-signature: v1,BASE64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY"))`),
without any code of ours. What is done about a call is said in advance, call by call; after the last one it goes on.
"""

import base64
import binascii
import hashlib
import hmac
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import orjson

PATIENCE_S: Final = 30.0
_FRESH_S: Final = 300  # how old a signed timestamp may be; what the standard's own libraries use
_MOST_BYTES: Final = 2**20


class Deed(Enum):
    """What is done instead of an answer."""

    HANG = "hang"  # nothing, until the receiver is closed or released
    DROP = "drop"  # the connection is closed without an answer
    RESET = "reset"  # it is reset
    HALF = "half"  # half of the announced body, then the end


@dataclass(frozen=True, slots=True)
class Redirect:
    """307 to another place, which a sender must not follow."""

    url: str


Reply = int | Deed | Redirect
"""A status, or what is done instead."""


@dataclass(frozen=True, slots=True)
class Received:
    """One call, as it came. `flaw` says why its signature does not hold; None: it does."""

    path: str
    id: str
    timestamp: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    flaw: str | None
    reply: Reply

    @property
    def values(self) -> Any:
        """The body's JSON."""
        return orjson.loads(self.body)


def flaw_of(secret: str, headers: dict[str, str], body: bytes, now_s: float) -> str | None:
    """What is wrong with a signed call; None: nothing."""
    told = {name: headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")}
    if missing := [name for name, value in told.items() if not value]:
        return f"no webhook-{missing[0]}"
    if not told["timestamp"].isdecimal() or abs(now_s - int(told["timestamp"])) > _FRESH_S:
        return "the timestamp is not of now"
    signed = b".".join((told["id"].encode(), told["timestamp"].encode(), body))
    due = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    given = [one.partition(",") for one in told["signature"].split(" ")]
    held = any(version == "v1" and hmac.compare_digest(_decoded(value), due) for version, _, value in given)
    return None if held else "the signature does not fit"


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return b""


@dataclass(slots=True)
class Receiver:
    """What came, in order of coming. `replies` are played one a call; the last one is played on and on."""

    secret: str
    replies: list[Reply]
    url: str = ""
    now: Callable[[], float] = time.time
    calls: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _free: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int) -> list[Received]:
        """All that came, once it is at least `count`. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.calls) >= count, PATIENCE_S):
                raise TimeoutError(f"{len(self.calls)} of {count} webhooks came")
            return list(self.calls)

    def then(self, *replies: Reply) -> Self:
        """From now on, the next calls are answered so."""
        with self._changed:
            self.replies[:] = replies
        return self

    def release(self) -> None:
        """Lets go what hangs; each such connection is closed without an answer."""
        self._free.set()

    @property
    def ids(self) -> list[str]:
        """The idempotency keys that were seen, each once, in order of coming."""
        with self._changed:
            return list(dict.fromkeys(call.id for call in self.calls))

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Notes a call and says how it is answered. A call that is not signed well gets 401, whatever is planned."""
        with self._changed:
            flaw = flaw_of(self.secret, headers, body, self.now())
            planned = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            reply = planned if flaw is None else 401
            told = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
            self.calls.append(Received(path, *told, headers, body, flaw, reply))
            self._changed.notify_all()
        if reply is Deed.HANG:
            self._free.wait(PATIENCE_S)
        return reply


@contextmanager
def receiver(secret: str, *replies: Reply) -> Iterator[Receiver]:
    """A receiver that listens; without `replies` it answers 204. Nothing of it is left afterwards."""
    here = Receiver(secret, list(replies) or [204])
    server = _Server(("127.0.0.1", 0), _handler(here))
    here.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield here
    finally:
        here.release()
        server.shutdown()
        thread.join()
        server.server_close()  # waits for the calls in hand


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that left is no news here: a test looks at what it did."""


def _handler(here: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            size = min(int(headers.get("content-length", "0")), _MOST_BYTES)
            reply = here.take(self.path, headers, self.rfile.read(size))
            self.close_connection = True
            if isinstance(reply, Deed):
                self._misbehave(reply)
                return
            self.send_response(307 if isinstance(reply, Redirect) else reply)
            if isinstance(reply, Redirect):
                self.send_header("location", reply.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def _misbehave(self, deed: Deed) -> None:
            if deed is Deed.HALF:
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
                self.wfile.flush()
            elif deed is Deed.RESET:
                linger = struct.pack("ii", 1, 0)  # a close without the wait for what is unsent: RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.rfile.close()
                self.wfile.close()
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the interface of http.server
            """Tests read `calls`."""

    return Handler
