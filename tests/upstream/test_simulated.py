"""The simulated provider in process: httpx's interface, its errors, and who left first."""

import asyncio

import httpx
import pytest

from tailrace.simulate.dialogues import Dialogue
from tailrace.simulate.ledger import ClosedBy
from tailrace.simulate.simulator import Simulator
from tailrace.upstream.simulated import SimulatedTransport

GUARD_S = 20.0


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(pace=0.0, dialogues=(Dialogue("1", ("Hi", "Hello, how can I help?")),))


def client(simulator: Simulator, read_s: float | None = None) -> httpx.AsyncClient:
    timeout = httpx.Timeout(None, read=read_s)
    return httpx.AsyncClient(transport=SimulatedTransport(simulator), base_url="http://sim/v1", timeout=timeout)


def asked(model: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}


async def test_answers_a_client(simulator: Simulator) -> None:
    async with client(simulator) as http:
        answer = await http.post(
            "/chat/completions", json=asked("sim/replay"), headers={"authorization": "Bearer secret"}
        )
    assert answer.json()["choices"][0]["message"]["content"] == "Hello, how can I help?"
    (entry,) = simulator.ledger.entries()
    assert (entry.finished, entry.closed_by, entry.request.connection) == (True, ClosedBy.NONE, 0)
    assert b"secret" not in repr(entry).encode()


async def test_each_piece_is_an_item(simulator: Simulator) -> None:
    async with (
        client(simulator) as http,
        http.stream("POST", "/chat/completions", json=asked("sim/chunks-3", stream=True)) as answer,
    ):
        pieces = [piece async for piece in answer.aiter_raw()]
    assert len(pieces) == 1 + 3 + 1 + 1
    assert all(piece.startswith(b"data: ") and piece.endswith(b"\n\n") for piece in pieces)


async def test_a_compressed_answer_is_decoded_by_whoever_wants_it(simulator: Simulator) -> None:
    async with client(simulator) as http:
        answer = await http.post("/chat/completions", json=asked("sim/gzip"))
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("sim/close", httpx.RemoteProtocolError),
        ("sim/reset", httpx.ReadError),
        ("sim/garbage-head", httpx.RemoteProtocolError),
        ("sim/cut-after-2", httpx.RemoteProtocolError),
        ("sim/reset-after-2", httpx.ReadError),
        ("sim/stall", httpx.ReadTimeout),
        ("sim/stall-after-2", httpx.ReadTimeout),
    ],
)
async def test_faults_are_httpx_errors(simulator: Simulator, model: str, error: type[httpx.TransportError]) -> None:
    async with client(simulator, read_s=0.001) as http:
        with pytest.raises(error):
            await http.post("/chat/completions", json=asked(model, stream=True))
    (entry,) = simulator.ledger.entries()
    assert not entry.finished
    assert entry.closed_by is (ClosedBy.CLIENT if error is httpx.ReadTimeout else ClosedBy.PROVIDER)


async def test_leaving_a_stream_is_the_clients_doing(simulator: Simulator) -> None:
    async with (
        client(simulator) as http,
        http.stream("POST", "/chat/completions", json=asked("sim/pings-only", stream=True)) as answer,
    ):
        await anext(answer.aiter_raw())
    (entry,) = simulator.ledger.entries()
    assert (entry.closed_by, entry.finished) == (ClosedBy.CLIENT, False)


async def test_leaving_after_the_last_piece_is_no_leaving(simulator: Simulator) -> None:
    async with (
        client(simulator) as http,
        http.stream("POST", "/chat/completions", json=asked("sim/echo", stream=True)) as answer,
    ):
        async for piece in answer.aiter_raw():
            if b"[DONE]" in piece:
                break
    (entry,) = simulator.ledger.entries()
    assert (entry.closed_by, entry.finished) == (ClosedBy.NONE, True)


@pytest.mark.parametrize("model", ["sim/stall", "sim/stall-after-2"])
async def test_a_cancelled_call_is_the_clients_doing(simulator: Simulator, model: str) -> None:
    async with client(simulator) as http, asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(http.post("/chat/completions", json=asked(model, stream=True)))
        await simulator.ledger.reached(lambda: simulator.ledger.in_flight() == 1)
        call.cancel()
        (entry,) = await simulator.ledger.settled()
    assert call.cancelled()
    assert (entry.closed_by, entry.finished) == (ClosedBy.CLIENT, False)


async def test_the_ledger_can_be_read_and_waited_for_here_too(simulator: Simulator) -> None:
    async with client(simulator) as http:
        await http.post("/chat/completions", json=asked("sim/echo"))
        shown = (await http.get("http://sim/_sim/wait", params={"model": "sim/echo"})).json()
        late = (await http.get("http://sim/_sim/wait", params={"model": "sim/other", "limit_s": "0.001"})).json()
    assert (shown["settled"], len(shown["entries"]), late["settled"]) == (True, 1, False)
