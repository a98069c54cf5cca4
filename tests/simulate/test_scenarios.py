"""The contract of every `sim/…` model, over the socket and in process: it ends as it says, with the same bytes."""

import asyncio

import httpx
import pytest

from tailrace.simulate.call import Ends
from tailrace.simulate.ledger import ClosedBy
from tailrace.simulate.scenarios import SCENARIOS, close_to, find, scenario_list
from tailrace.simulate.server import Server
from tailrace.simulate.simulator import Simulator
from tailrace.upstream.simulated import SimulatedTransport
from tests.simulate.conftest import make_simulator
from tests.simulate.rawclient import GUARD_S, RawClient, Seen, chat, head

NAMES = {key: "sim/" + key.replace("-N", f"-{scenario.example}") for key, scenario in SCENARIOS.items()}
ENOUGH = 2_000
"""Bytes after which the client leaves an answer that goes on for ever."""

both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
every = pytest.mark.parametrize("key", SCENARIOS)


async def over_socket(server: Server, simulator: Simulator, key: str, stream: bool) -> Seen:
    """One call. An answer without an end is left once the provider has it in hand and what it gives is here."""
    body = chat(NAMES[key], stream=stream)
    async with RawClient(server.port) as client:
        if SCENARIOS[key].ends is not Ends.NEVER:
            return await client.ask(body)
        client.writer.write(head(body) + body)
        if key == "stall":
            async with asyncio.timeout(GUARD_S):
                await simulator.ledger.reached(lambda: simulator.ledger.in_flight() == 1)
            return Seen()
        return await client.read(Seen(), until_bytes=1)


async def in_process(simulator: Simulator, key: str, stream: bool) -> Seen:
    """The same call through the transport; silence is found out by httpx's read timeout."""
    seen = Seen()
    request = httpx.Request("POST", "http://sim/v1/chat/completions", content=chat(NAMES[key], stream=stream))
    request.extensions = {"timeout": {"read": 0.0}}
    try:
        response = await SimulatedTransport(simulator).handle_async_request(request)
        seen.status, seen.headers = response.status_code, response.headers.raw
        await read(response, seen)
    except httpx.ReadError:
        seen.end = "reset"
    except httpx.RemoteProtocolError as error:
        seen.end = "illegal" if "illegal" in str(error) else "cut"
    except httpx.ReadTimeout:
        seen.end = None
    return seen


async def read(response: httpx.Response, seen: Seen) -> None:
    """Reads the raw pieces to their end, or until there are enough."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async for piece in response.stream:
            assert piece
            seen.body += piece
            if b": ping" in piece and len(seen.body) > ENOUGH:
                return
        seen.end = "well"
    finally:
        await response.aclose()


def closer(key: str) -> ClosedBy:
    """Who must have closed, by what the scenario says."""
    ends = SCENARIOS[key].ends
    if ends is Ends.NEVER:
        return ClosedBy.CLIENT
    return ClosedBy.NONE if ends is Ends.WELL else ClosedBy.PROVIDER


@every
@both
async def test_it_ends_as_it_says_on_a_socket(server: Server, simulator: Simulator, key: str, stream: bool) -> None:
    seen = await over_socket(server, simulator, key, stream)
    assert (seen.end or "never") == SCENARIOS[key].ends.value
    async with asyncio.timeout(GUARD_S):
        (entry,) = await simulator.ledger.settled()
    assert entry.scenario == key
    assert entry.finished is (SCENARIOS[key].ends is Ends.WELL)
    closes_after_its_end = key in {"connection-close", "until-close", "close-idle", "close-idle-N"}
    assert entry.closed_by == (ClosedBy.PROVIDER if closes_after_its_end else closer(key))


@every
@both
async def test_it_ends_as_it_says_in_process(simulator: Simulator, key: str, stream: bool) -> None:
    seen = await in_process(simulator, key, stream)
    assert (seen.end or "never") == SCENARIOS[key].ends.value
    assert simulator.ledger.in_flight() == 0
    (entry,) = simulator.ledger.entries()
    assert entry.finished is (SCENARIOS[key].ends is Ends.WELL)
    assert entry.closed_by == (ClosedBy.PROVIDER if key == "until-close" else closer(key))


@pytest.mark.parametrize("key", [key for key, scenario in SCENARIOS.items() if scenario.ends is not Ends.NEVER])
@both
async def test_socket_and_process_give_the_same(server: Server, simulator: Simulator, key: str, stream: bool) -> None:
    there = await over_socket(server, simulator, key, stream)
    here = await in_process(make_simulator(), key, stream)
    assert here.body == there.body
    if SCENARIOS[key].ends is not Ends.ILLEGAL:
        assert here.status == there.status
        hop_by_hop = {b"transfer-encoding", b"connection"}
        assert here.headers == [header for header in there.headers if header[0] not in hop_by_hop]


@every
def test_its_name_finds_it(key: str) -> None:
    found = find(NAMES[key])
    assert found is not None
    assert (found.key, found.n) == (key, SCENARIOS[key].example if key.endswith("-N") else 0)
    assert find(NAMES[key].removeprefix("sim/")) == found


@pytest.mark.parametrize(
    "name",
    ["sim/", "sim/nothing", "sim/echo-3", "sim/stall-after-N", "sim/stall-after-", "sim/stall-after--1",
     "sim/status-200", "sim/big-99999999", "sim/stall-after-3x", "gpt-5"],
)  # fmt: skip
def test_other_names_find_nothing(name: str) -> None:
    assert find(name) is None


def test_a_slip_of_the_pen_is_told_what_is_close() -> None:
    assert close_to("sim/stal-after-3")[0] == "sim/stall-after-N"
    assert close_to("zzzzzz") == []


def test_the_list_says_what_each_does() -> None:
    listed = scenario_list()
    assert [name for name, _ in listed] == ["sim/" + key for key in SCENARIOS]
    assert all(says and "\n" not in says for _, says in listed)
    assert len({says for _, says in listed}) == len(listed)
