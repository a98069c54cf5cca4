"""A call leaves nothing for the garbage collector: what is part of a cycle costs each call a share of its runs."""

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from tailrace.relay.app import build_app, open_relay
from tailrace.relay.joined import JoinedProtocol
from tailrace.settings import Log, Settings
from tests.bench.load import request_bytes, saturate


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    """A relay in this process; gives its port."""
    settings = Settings(log=Log(durability="process"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        async with open_relay(settings, owner="0" * 16, worker=0, anchor_ns=0, data_dir=folder) as relay:
            config = uvicorn.Config(
                build_app(relay), loop="none", http=JoinedProtocol, ws="none", lifespan="off", log_config=None,
                proxy_headers=False,
            )  # fmt: skip
            server = uvicorn.Server(config)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[listening]))
                yield listening.getsockname()[1]
                server.should_exit = True


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_call_is_gone_when_it_is_over(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path) as port:
        request = request_bytes("sim/chunks-3", stream=stream)
        await saturate(port, request, clients=2, seconds=0.1)  # what is made once is made now
        gc.collect()
        gc.disable()
        try:
            calls = 0
            while calls < 20:  # however busy the machine is
                calls += (await saturate(port, request, clients=2, seconds=0.1)).answers
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    ours = {name: count for name, count in left.items() if name.startswith("tailrace.") and count >= calls // 2}
    assert ours == {}
