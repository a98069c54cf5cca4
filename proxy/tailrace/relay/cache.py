"""Answers that are given again: to the same caller, for the very same request, by the same route. Off unless set.

Owns the keys and the bound. What is the same: project, caller, endpoint, alias, its target for this conversation,
query, the headers that change a provider's answer, and the body as JSON, streamed or not. State of one process, with no
clock of its own: times are seconds on any clock that never goes back.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tailrace.chains.canonical import canonical
from tailrace.records import Endpoint, Json
from tailrace.relay.outbound import Header
from tailrace.relay.routing import Plan
from tailrace.settings import Cache
from tailrace.wire.exact import is_exact

_KEY_BYTES: Final = 16
_ENTRY_BYTES: Final = 512
"""What an entry takes beside its own bytes: objects, and its share of the table."""
_HEADER_BYTES: Final = 128
_VARYING: Final = (b"anthropic-", b"openai-")
"""Headers of a request that a provider's answer depends on begin so: versions, betas, organisations."""
_OF_THE_CALL: Final = frozenset(
    {
        b"content-length",
        b"openai-processing-ms",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"server-timing",
        b"x-request-id",
        b"x-should-retry",
        b"x-tailrace-id",
    }
)
_OF_THE_CALL_PREFIXES: Final = (b"x-ratelimit-", b"anthropic-ratelimit-")


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole answer as the client was given it, without the headers that were of that call alone."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    is_stream: bool

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, by estimate."""
        headers = sum(len(name) + len(value) + _HEADER_BYTES for name, value in self.headers)
        return _ENTRY_BYTES + headers + len(self.body)


class ResponseCache:
    """The answers of one alias. Never more than `max_bytes`; at the limit the longest unused one goes."""

    def __init__(self, settings: Cache) -> None:
        self._ttl_s = settings.ttl_s
        self._most = settings.max_bytes
        self._most_entry = min(settings.max_entry_bytes, settings.max_bytes)
        self._entries: OrderedDict[bytes, tuple[float, Kept]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Kept | None:
        """The answer kept under `key`, unless it is too old."""
        found = self._entries.get(key)
        if found is None:
            return None
        begun, kept = found
        if now - begun >= self._ttl_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return kept

    def put(self, key: bytes, kept: Kept, now: float) -> bool:
        """Keeps an answer that was sent whole and ended well; False where it is too large, or an error."""
        if key in self._entries:
            self._drop(key)
        size = kept.size_bytes
        if size > self._most_entry or not 200 <= kept.status < 300:
            return False
        while self.size_bytes + size > self._most:
            self._drop(next(iter(self._entries)))
        self._entries[key] = (now, kept)
        self.size_bytes += size
        return True

    def _drop(self, key: bytes) -> None:
        self.size_bytes -= self._entries.pop(key)[1].size_bytes

    def record(self, status: int, headers: Iterable[Header], *, is_stream: bool) -> "Recording":
        """Begins to copy an answer as it goes to the client."""
        kept = tuple(h for h in headers if h[0] not in _OF_THE_CALL and not h[0].startswith(_OF_THE_CALL_PREFIXES))
        return Recording(Kept(status, kept, b"", is_stream), self._most_entry)


class Recording:
    """An answer's bytes on their way to the client, for as long as they are few enough to be kept."""

    __slots__ = ("_head", "_pieces", "_room")

    def __init__(self, head: Kept, limit: int) -> None:
        self._head = head
        self._pieces: list[bytes] = []
        self._room = limit - head.size_bytes

    def add(self, data: bytes) -> None:
        """Some more of the body."""
        if self._room >= 0:
            self._room -= len(data)
            self._pieces.append(data)
            if self._room < 0:
                self._pieces.clear()

    def kept(self) -> Kept | None:
        """The answer, all of it added; None where it is too large."""
        head = self._head
        return Kept(head.status, head.headers, b"".join(self._pieces), head.is_stream) if self._room >= 0 else None


def cache_key(
    plan: Plan,
    *,
    project: str,
    caller: str | None,
    endpoint: Endpoint,
    query: bytes,
    headers: Iterable[Header],
    body: bytes,
    parsed: Json,
) -> bytes:
    """Under what an answer to this request is kept. `parsed` is what orjson made of `body`.

    Bodies that are the same JSON are the same request, spaces and the order of keys aside; where parsing lost something
    (a duplicate key, a number beyond 64 bits), only the same bytes are.
    """
    exact = is_exact(body, parsed)
    first = plan.targets[0]  # the arms of an A/B test do not answer for each other
    varying = sorted(h for h in headers if h[0].startswith(_VARYING))
    parts = (
        project.encode(),
        b"\1" + caller.encode() if caller is not None else b"\0",
        endpoint.encode(),
        (plan.alias or "").encode("utf-8", "surrogatepass"),
        first.provider.encode(),
        first.model.encode("utf-8", "surrogatepass"),
        query,
        *(piece for h in varying for piece in h),
        canonical(parsed) if exact else body,
    )
    digest = blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part))  # so that no two lists of parts are the same bytes
        digest.update(part)
    return digest.digest()
