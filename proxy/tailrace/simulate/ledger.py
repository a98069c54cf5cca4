"""What the simulated provider received, what it sent, and who closed first.

Owns the entries and their bounds. Credentials are reduced before an entry is made: the ledger holds no secret. Whoever
waits for an entry's end is called back on each change; nothing here sleeps or polls.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate.acts import Headers
from tailrace.simulate.uploads import Upload

CREDENTIALS: Final = frozenset(
    (b"authorization", b"proxy-authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie"),
)
"""The headers by which callers say who they are. None is verified; that one came, and which, is in the ledger."""
_QUERY_KEY: Final = re.compile(r"((?:^|&)(?:key|api_key)=)[^&]*")
_LARGE_BODY: Final = 64 * 2**10


class ClosedBy(StrEnum):
    """Who ended the connection, or the exchange in process, before or with the answer's end."""

    NONE = "none"  # nobody: the connection stays open
    CLIENT = "client"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One request as it came. `connection` and `on_connection` count from 1; in process both are 0.

    `upload` is what is known of a body that is not in `body`, because it was too large to be held or made of parts.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    connection: int = 0
    on_connection: int = 0
    upload: Upload | None = None

    @property
    def size_bytes(self) -> int:
        """The length of its body, held or not."""
        return len(self.body) if self.upload is None else self.upload.size_bytes

    @property
    def sha256(self) -> str:
        """The hash of its body, held or not."""
        return sha256(self.body).hexdigest() if self.upload is None else self.upload.sha256

    @property
    def content_type(self) -> str:
        """Its header of that name, or nothing."""
        return next((value.decode("latin-1") for name, value in self.headers if name == b"content-type"), "")


@dataclass(slots=True)
class Entry:
    """One exchange; filled as it goes on."""

    n: int
    at_s: float  # since the ledger was made
    request: SimRequest  # its credentials already reduced
    model: str | None
    scenario: str | None
    status: int | None = None
    pieces: int = 0
    sent_bytes: int = 0
    finished: bool = False
    closed_by: ClosedBy = ClosedBy.NONE
    on_end: Callable[["Entry"], None] | None = field(default=None, repr=False)

    def sent(self, size: int) -> None:
        """One piece of the body has been handed to the connection."""
        self.pieces += 1
        self.sent_bytes += size

    def finish(self) -> None:
        """The answer has been sent to its proper end."""
        if not self.finished:
            self.finished = True
            self._end()

    def close(self, by: ClosedBy) -> None:
        """`by` closed; the first to do so is kept."""
        if self.closed_by is ClosedBy.NONE:
            self.closed_by = by
            self._end()

    def _end(self) -> None:
        if self.on_end is not None:
            told, self.on_end = self.on_end, None
            told(self)

    def shape(self) -> dict[str, Json]:
        """The entry as JSON. A body is JSON where it is, else text; a large one is its size and hash."""
        request = self.request
        return {
            "n": self.n,
            "at_s": self.at_s,
            "connection": request.connection,
            "on_connection": request.on_connection,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
            "body": _body(request.body) if request.upload is None else request.upload.shape(),
            "model": self.model,
            "scenario": self.scenario,
            "status": self.status,
            "pieces": self.pieces,
            "sent_bytes": self.sent_bytes,
            "finished": self.finished,
            "closed_by": self.closed_by.value,
        }


class Ledger:
    """The newest entries, at most `most_entries` of them with bodies of at most `most_bytes` together."""

    def __init__(self, clock: Callable[[], float], most_entries: int = 10_000, most_bytes: int = 32 * 2**20) -> None:
        self._clock = clock
        self._began = clock()
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self._last = 0
        self._entries: deque[Entry] = deque()
        self._running: Counter[str | None] = Counter()
        self._watchers: list[Callable[[], None]] = []
        self.forgotten = 0
        """Entries that the bounds have pushed out."""
        self.connections = 0
        """Open connections of the server; none in process."""

    def open(self, request: SimRequest, model: str | None, scenario: str | None) -> Entry:
        """A new entry; it runs until its `finish` or `close`."""
        if len(request.body) > _LARGE_BODY:
            request = replace(request, body=_digest(request.body))
        self._last += 1
        entry = Entry(self._last, self._clock() - self._began, request, model, scenario, on_end=self._ended)
        self._running[model] += 1
        self._entries.append(entry)
        self._bytes += len(request.body)
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self._bytes -= len(self._entries.popleft().request.body)
            self.forgotten += 1
        self._tell()
        return entry

    def entries(self, model: str | None = None, since: int = 0) -> list[Entry]:
        """The kept entries after number `since`, of `model` where one is named, oldest first."""
        return [entry for entry in self._entries if entry.n > since and model in (None, entry.model)]

    def in_flight(self, model: str | None = None) -> int:
        """How many exchanges run, of `model` where one is named."""
        return self._running.total() if model is None else self._running[model]

    def count_connection(self, change: int) -> None:
        """One connection more (+1) or less (-1)."""
        self.connections += change
        self._tell()

    def clear(self) -> None:
        """Forgets the entries; numbers go on, and what runs still counts as in flight."""
        self._entries.clear()
        self._bytes = 0

    def is_settled(self, model: str | None = None, at_least: int = 0) -> bool:
        """Whether `at_least` so many kept entries (of `model`) exist and none runs."""
        return self.in_flight(model) == 0 and len(self.entries(model)) >= at_least

    async def settled(self, model: str | None = None, at_least: int = 1) -> list[Entry]:
        """Waits until `is_settled`, then gives the entries. Waits for ever; guard it with `asyncio.timeout`."""
        await self.reached(lambda: self.is_settled(model, at_least))
        return self.entries(model)

    async def reached(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition()` holds, asked again after each change. Waits for ever."""
        changed = asyncio.Event()
        unwatch = self.watch(changed.set)
        try:
            while not condition():
                changed.clear()
                await changed.wait()
        finally:
            unwatch()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` after each change, until the returned function is called."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _ended(self, entry: Entry) -> None:
        self._running[entry.model] -= 1
        if not self._running[entry.model]:
            del self._running[entry.model]
        self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()


def without_credentials(request: SimRequest) -> SimRequest:
    """`request`, each credential in it reduced to eight hex digits of its SHA-256 and its length."""
    headers = tuple([_reduced(header) if header[0] in CREDENTIALS else header for header in request.headers])
    query = _QUERY_KEY.sub(r"\1reduced", request.query) if request.query else ""
    return replace(request, query=query, headers=headers)


def _reduced(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    return name, b"sha256:%s length:%d" % (sha256(value).hexdigest()[:8].encode(), len(value))


def _digest(body: bytes) -> bytes:
    return orjson.dumps({"sha256": sha256(body).hexdigest(), "size_bytes": len(body)})


def _body(body: bytes) -> Json:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
