"""A client that sees what an answer is on the wire: status, headers, body, and how the connection ended."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

import httptools
import orjson

GUARD_S = 20.0


def chat(model: str, *, stream: bool = False, text: str = "Hello dear world", **more: Any) -> bytes:
    """A request body."""
    return orjson.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more})


def head(body: bytes, *headers: str, method: str = "POST", path: str = "/v1/chat/completions") -> bytes:
    """A request's head, for `body`."""
    lines = [f"{method} {path} HTTP/1.1", "host: sim", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@dataclass
class Seen:
    """One answer. `end` is None while it goes on, else `well`, `cut`, `reset` or `illegal`."""

    status: int = 0
    informational: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    end: str | None = None

    # httptools' calls; what comes after the end belongs to no answer

    def on_message_begin(self) -> None:
        if self.end is None:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.end is None:
            self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        if self.end is None:
            self.body += body


class RawClient:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return  # the scenario's own doing

    async def ask(self, body: bytes, **named: str) -> Seen:
        """Sends a request and reads its answer to the end."""
        self.writer.write(head(body, **named) + body)
        return await self.read(Seen())

    async def read(self, seen: Seen, until_bytes: int | None = None) -> Seen:
        """Reads until the answer ends, or `until_bytes` of its body are here."""
        parser = _Parser(seen)
        async with asyncio.timeout(GUARD_S):
            while seen.end is None and (until_bytes is None or len(seen.body) < until_bytes):
                try:
                    data = await self.reader.read(65_536)
                except ConnectionResetError:
                    seen.end = "reset"
                    break
                parser.feed(data)
        return seen


class _Parser:
    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._until_close = False
        self.on_header = seen.on_header
        self.on_body = seen.on_body
        self.on_message_begin = seen.on_message_begin
        self._parser = httptools.HttpResponseParser(self)  # takes the callbacks that are here now

    def feed(self, data: bytes) -> None:
        if not data:
            self._seen.end = "well" if self._until_close and self._seen.status else "cut"
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._seen.end = self._seen.end or "illegal"

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._seen.informational += 1
            return
        self._seen.status = status
        names = {name for name, _ in self._seen.headers}
        self._until_close = not names & {b"content-length", b"transfer-encoding"}

    def on_message_complete(self) -> None:
        if self._seen.status:
            self._seen.end = self._seen.end or "well"
