"""The simulated provider on a port of its own.

Owns the listening socket and the open connections. Whatever loop runs it (asyncio's or uvloop) is the caller's.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from tailrace.errors import UserError
from tailrace.simulate.connection import Connection
from tailrace.simulate.dialogues import load
from tailrace.simulate.labelling.gold import load as load_gold
from tailrace.simulate.simulator import Simulator


class Server:
    """A running simulated provider; an async context manager that closes it."""

    def __init__(self, listener: asyncio.Server, connections: set[Connection], host: str, port: int) -> None:
        self._listener = listener
        self._connections = connections
        self.host = host
        self.port = port
        """The port that was bound, also where 0 was asked for."""

    @property
    def url(self) -> str:
        """What a client takes as `base_url`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    async def aclose(self) -> None:
        """Stops listening and drops every connection; returns when the last one is gone."""
        self._listener.close()
        while self._connections:
            for connection in tuple(self._connections):
                connection.abort()
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def serve(host: str, port: int, simulator: Simulator) -> Server:
    """Listens on `host` and `port` (0: a free one). Raises UserError where that cannot be done."""
    connections: set[Connection] = set()
    numbers = count(1)
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(simulator, next(numbers), connections), host, port, backlog=1024
        )
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
        raise UserError(f"{host}:{port}: cannot listen ({reason}); choose another --host or --port") from exc
    return Server(listener, connections, host, listener.sockets[0].getsockname()[1])


async def run(
    host: str, port: int, dialogues: Path | None, gold: Sequence[Path], on_ready: Callable[[str], None]
) -> None:
    """`tailrace simulate`: serves until SIGINT or SIGTERM. Calls `on_ready` with the base URL once it listens.

    Raises UserError for a dialogue or gold file that cannot be read or an address that cannot be had.
    """
    simulator = Simulator(dialogues=None if dialogues is None else load(dialogues), gold=load_gold(gold))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with await serve(host, port, simulator) as server:
            on_ready(server.url)
            await stopped.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
