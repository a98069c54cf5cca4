"""A provider that says what it was sent: for calls that are passed through.

Answers `POST …` with JSON of method, path, query, headers, body size and hash; `GET …/content` with bytes in pieces.
"""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

CONTENT = bytes(range(256)) * 4096


@contextmanager
def echo() -> Iterator[str]:
    """A running echo; gives its base URL."""
    started = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, limit=2**20)
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        found["port"] = server.sockets[0].getsockname()[1]
        started.set()
        async with server:
            await found["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield f"http://127.0.0.1:{found['port']}"
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(10)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = line.split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines if each)
            }
            size, digest = await _body(reader, headers)
            if target.split("?")[0].endswith("/content"):
                kind, body = "application/octet-stream", CONTENT
            else:
                path, _, query = target.partition("?")
                kind, body = (
                    "application/json",
                    orjson.dumps(
                        {
                            "method": method,
                            "path": path,
                            "query": query,
                            "headers": headers,
                            "size": size,
                            "sha": digest,
                        }
                    ),
                )
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n".encode())
            writer.write(b"set-cookie: a=b\r\n\r\n" + (b"" if method == "HEAD" else body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    if headers.get("transfer-encoding") == "chunked":
        while length := int(await reader.readuntil(b"\r\n"), 16):
            piece = (await reader.readexactly(length + 2))[:-2]
            digest.update(piece)
            size += length
        await reader.readexactly(2)
    else:
        left = int(headers.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                raise ConnectionError("the client left before its body was whole")
            digest.update(piece)
            size += len(piece)
            left -= len(piece)
    return size, digest.hexdigest()
