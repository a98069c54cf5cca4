"""The contract of every `sim/…` model over every wire, on a socket and in process: it ends as it says, with the same
bytes in both.
"""

import asyncio

import httpx
import pytest

from tailrace.simulate.call import Ends
from tailrace.simulate.ledger import ClosedBy, Entry
from tailrace.simulate.scenarios import SCENARIOS, close_to, find, scenario_list
from tailrace.simulate.server import Server
from tailrace.simulate.simulator import Simulator
from tailrace.upstream.simulated import SimulatedTransport
from tests.simulate.asking import ASKING, NAMED, TEXT
from tests.simulate.conftest import make_simulator
from tests.simulate.rawclient import GUARD_S, RawClient, Seen, head

NAMES = {key: "sim/" + key.replace("-N", f"-{scenario.example}") for key, scenario in SCENARIOS.items()}
ENOUGH = 2_000
"""Bytes after which the client leaves an answer that goes on for ever."""
PINGS = frozenset(manner.ping for manner in NAMED.values())

SILENT = frozenset(("stall", "label-stall", "label-stall-N"))
CLOSE_AFTER_THEIR_END = frozenset(("connection-close", "until-close", "close-idle", "close-idle-N"))

every = pytest.mark.parametrize("key", SCENARIOS)
each_way = pytest.mark.parametrize(
    ("wire", "stream"),
    [(name, stream) for name in NAMED for stream in (False, True) if not (name == "embeddings" and stream)],
    ids=lambda value: value if isinstance(value, str) else ("stream" if value else "plain"),
)


async def over_socket(server: Server, simulator: Simulator, key: str, path: str, body: bytes) -> Seen:
    """One call. An answer without an end is left once the provider has it in hand and what it gives is here."""
    async with RawClient(server.port) as client:
        if SCENARIOS[key].ends is not Ends.NEVER:
            return await client.ask(body, path=path)
        client.writer.write(head(body, path=path) + body)
        if key in SILENT:
            async with asyncio.timeout(GUARD_S):
                await simulator.ledger.reached(lambda: simulator.ledger.in_flight() == 1)
            return Seen()
        return await client.read(Seen(), until_bytes=1)


async def in_process(simulator: Simulator, path: str, body: bytes) -> Seen:
    """The same call through the transport; silence is found out by httpx's read timeout."""
    seen = Seen()
    request = httpx.Request("POST", f"http://sim{path}", content=body)
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
            if piece in PINGS and len(seen.body) > ENOUGH:
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


def check(entry: Entry, key: str, seen: Seen, closes: frozenset[str]) -> None:
    """How it ended, as the client and the ledger say."""
    assert (seen.end or "never") == SCENARIOS[key].ends.value
    assert (entry.scenario, entry.finished) == (key, SCENARIOS[key].ends is Ends.WELL)
    assert entry.closed_by == (ClosedBy.PROVIDER if key in closes else closer(key))


@every
@each_way
async def test_it_ends_as_it_says_with_the_same_bytes(
    server: Server, simulator: Simulator, key: str, wire: str, stream: bool
) -> None:
    only = SCENARIOS[key].wires
    path, body = ASKING[wire](NAMES[key], stream, TEXT)
    there = await over_socket(server, simulator, key, path, body)
    async with asyncio.timeout(GUARD_S):
        (entry,) = await simulator.ledger.settled()
    again = make_simulator()
    here = await in_process(again, path, body)
    if only is not None and wire not in only:
        assert (there.status, there.end) == (400, "well")
        assert b"alone" in there.body
        assert here.body == there.body
        return
    check(entry, key, there, CLOSE_AFTER_THEIR_END)
    assert again.ledger.in_flight() == 0
    check(again.ledger.entries()[0], key, here, frozenset(("until-close",)))
    if SCENARIOS[key].ends is Ends.NEVER:
        return
    assert here.body == there.body
    if SCENARIOS[key].ends is not Ends.ILLEGAL:
        assert here.status == there.status
        hop_by_hop = {b"transfer-encoding", b"connection"}
        assert here.headers == [header for header in there.headers if header[0] not in hop_by_hop]


def test_every_wire_is_asked() -> None:
    assert list(ASKING) == list(NAMED)


def test_scenarios_name_wires_that_exist() -> None:
    assert all(scenario.wires <= NAMED.keys() for scenario in SCENARIOS.values() if scenario.wires is not None)


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
