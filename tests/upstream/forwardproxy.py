"""An HTTP proxy of a company's network: tunnels what is CONNECTed, forwards what is asked for in plain."""

import asyncio
import base64
import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_CREDENTIALS: Final = b"proxy-authorization: Basic "


class ForwardProxy:
    """A proxy on a free loopback port. `lines` are the request lines that reached it.

    `login` ("user:password") makes it ask for one. Every host is taken to be `127.0.0.1`, so that names need no DNS.
    """

    def __init__(self, login: str | None = None, context: ssl.SSLContext | None = None) -> None:
        self.lines: list[bytes] = []
        self._login = None if login is None else _CREDENTIALS + base64.b64encode(login.encode())
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, headers = head.partition(b"\r\n")
        self.lines.append(line)
        if self._login is not None and self._login.lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return await writer.drain()
        method, target, version = line.split(b" ")
        if method == b"CONNECT":
            port = int(target.rpartition(b":")[2])
            greeting, onward = b"HTTP/1.1 200 Connection established\r\n\r\n", b""
        else:
            url = urlsplit(target.decode())
            port = url.port or 80
            greeting, onward = b"", b" ".join([method, url.path.encode(), version]) + b"\r\n" + headers
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(greeting)
        back.write(onward)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, back))
                tasks.create_task(_pump(there, writer))
        finally:
            back.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()
