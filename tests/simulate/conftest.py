"""A simulator without waits, a server of it on a free port, and a client that sees bytes as they are."""

from collections.abc import AsyncIterator

import pytest

from tailrace.simulate.dialogues import Dialogue
from tailrace.simulate.server import Server, serve
from tailrace.simulate.simulator import Simulator

DIALOGUES = (Dialogue("1", ("Hi", "Hello, how can I help?", "A taxi", "Where to?")),)


def make_simulator() -> Simulator:
    """One whose answers depend on the request alone, and which waits for nothing."""
    return Simulator(dialogues=DIALOGUES, pace=0.0, clock=lambda: 1_700_000_000.0, monotonic=lambda: 0.0)


@pytest.fixture
def simulator() -> Simulator:
    return make_simulator()


@pytest.fixture
async def server(simulator: Simulator) -> AsyncIterator[Server]:
    async with await serve("127.0.0.1", 0, simulator) as running:
        yield running
