"""The load generator: raw HTTP/1.1 over asyncio, so that it costs little beside what it measures."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson

_CHUNKED_END: Final = b"0\r\n\r\n"


def request_bytes(model: str, *, stream: bool, body_bytes: int = 0) -> bytes:
    """A chat completion request, padded to about `body_bytes`."""
    text = "word " * max(1, (body_bytes - 120) // 5)
    return request_of({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream})


def request_of(asked: Any) -> bytes:
    """A chat completion request with `asked` as its body."""
    body = orjson.dumps(asked)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class Counted:
    """What a load has seen: answers, their latencies (seconds), SSE events, and what was no 200."""

    answers: int = 0
    events: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that sends a request, waits for its answer, and asks `after` what to do next."""

    def __init__(self, request: bytes, counted: Counted, after: Callable[["Client"], None]) -> None:
        self._request = request
        self._counted = counted
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._left = -1  # body bytes to come; -1 while the head is not read, -2 for a chunked body
        self._buffer = b""
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.began: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are none by inheritance

    def send(self, due: float | None = None) -> None:
        """Sends the request; its latency counts from `due`, the moment it should have been sent."""
        assert self._transport is not None
        self._left = -1
        self._buffer = b""
        self._sent_at = time.perf_counter() if due is None else due
        self._transport.write(self._request)

    def stop(self) -> None:
        """Closes the connection."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._left == -1:
            data = self._read_head(data)
        self._counted.events += data.count(b"data: ")
        if self._left == -2:
            self._buffer = (self._buffer + data)[-len(_CHUNKED_END) :]
            if self._buffer == _CHUNKED_END:
                self._finish()
        elif self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._finish()

    def _read_head(self, data: bytes) -> bytes:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._counted.failed += 1
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        self._left = -2 if at < 0 else int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        self._buffer = b""
        if not self.began.done():
            self.began.set_result(None)
        return body

    def _finish(self) -> None:
        self._counted.answers += 1
        self._counted.latencies.append(time.perf_counter() - self._sent_at)
        self._after(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def connect(port: int, request: bytes, counted: Counted, after: Callable[[Client], None]) -> Client:
    """A connected client that has not sent anything yet."""
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(request, counted, after), "127.0.0.1", port
    )
    return client


async def saturate(port: int, request: bytes, *, clients: int, seconds: float) -> Counted:
    """A closed loop: each client sends its next request when its answer is whole."""
    counted = Counted()
    deadline = asyncio.get_running_loop().time() + seconds

    def after(client: Client) -> None:
        if asyncio.get_running_loop().time() < deadline:
            client.send()
        else:
            client.stop()

    connected = [await connect(port, request, counted, after) for _ in range(clients)]
    for client in connected:
        client.send()
    await asyncio.gather(*(client.closed for client in connected))
    return counted


async def at_rate(port: int, request: bytes, *, per_second: int, seconds: float) -> Counted:
    """An open loop: a request each 1/rate s whatever the answers do; a late answer delays nobody but itself."""
    counted = Counted()
    calls = int(per_second * seconds)
    free: list[Client] = []
    all_back = asyncio.Event()

    def after(client: Client) -> None:
        free.append(client)
        if counted.answers == calls:
            all_back.set()

    free += [await connect(port, request, counted, after) for _ in range(64)]
    begun = time.perf_counter()  # uvloop's own clock counts whole milliseconds
    for number in range(calls):
        due = begun + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        free.pop().send(due)
    async with asyncio.timeout(30):
        await all_back.wait()
    for client in free:
        client.stop()
    return counted


async def hold_open(port: int, request: bytes, *, streams: int, while_open: Callable[[], None]) -> Counted:
    """Opens `streams` streams, waits until each has begun, calls `while_open`, and waits for their ends."""
    counted = Counted()
    clients = []
    for _ in range(streams):
        client = await connect(port, request, counted, lambda client: client.stop())
        client.send()
        clients.append(client)
    await asyncio.gather(*(client.began for client in clients))
    while_open()
    await asyncio.gather(*(client.closed for client in clients))
    return counted


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
