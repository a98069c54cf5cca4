"""What the simulated provider remembers, within its bounds and without secrets; read in process and over HTTP."""

import asyncio
from typing import Any
from urllib.parse import quote

import orjson

from tailrace.simulate.ledger import ClosedBy, Ledger, SimRequest
from tailrace.simulate.server import Server
from tailrace.simulate.simulator import Simulator
from tests.simulate.rawclient import GUARD_S, RawClient, Seen, chat, head

SECRET = "sk-very-secret-0123456789"


def request(body: bytes = b"{}") -> SimRequest:
    return SimRequest("POST", "/v1/chat/completions", "", (), body)


def ledger(**bounds: int) -> Ledger:
    return Ledger(lambda: 0.0, **bounds)


async def control(server: Server, path: str, method: str = "GET") -> Any:
    """An answer of `/_sim/…`."""
    async with RawClient(server.port) as client:
        return orjson.loads((await client.ask(b"", method=method, path=f"/_sim/{path}")).body)


def test_the_newest_entries_are_kept() -> None:
    kept = ledger(most_entries=3)
    for _ in range(5):
        kept.open(request(), "m", "s").finish()
    assert [entry.n for entry in kept.entries()] == [3, 4, 5]
    assert [entry.n for entry in kept.entries(since=4)] == [5]
    assert (kept.forgotten, kept.in_flight()) == (2, 0)


def test_bodies_are_bounded_together() -> None:
    kept = ledger(most_bytes=100)
    for _ in range(5):
        kept.open(request(b"x" * 40), "m", "s")
    assert [entry.n for entry in kept.entries()] == [4, 5]
    assert kept.in_flight() == 5, "what is forgotten still runs"


def test_a_large_body_is_a_hash() -> None:
    shape = ledger().open(request(b"x" * 100_000), "m", "s").shape()
    assert shape["body"]["size_bytes"] == 100_000
    assert len(shape["body"]["sha256"]) == 64


def test_a_body_is_shown_as_json_or_text() -> None:
    kept = ledger()
    assert kept.open(request(b'{"a": 1}'), "m", "s").shape()["body"] == {"a": 1}
    assert kept.open(request(b"\xff{"), "m", "s").shape()["body"] == "�{"


def test_the_first_to_close_is_kept() -> None:
    entry = ledger().open(request(), "m", "s")
    entry.close(ClosedBy.PROVIDER)
    entry.close(ClosedBy.CLIENT)
    assert entry.closed_by is ClosedBy.PROVIDER


def test_in_flight_is_counted_once_per_exchange() -> None:
    kept = ledger()
    one, other = kept.open(request(), "m", "s"), kept.open(request(), None, None)
    assert (kept.in_flight(), kept.in_flight("m"), kept.in_flight("other")) == (2, 1, 0)
    one.finish()
    one.close(ClosedBy.PROVIDER)
    other.close(ClosedBy.CLIENT)
    assert (kept.in_flight(), kept.in_flight("m")) == (0, 0)


async def test_no_secret_is_kept(server: Server, simulator: Simulator) -> None:
    body = chat("sim/echo")
    names = ("Authorization: Bearer ", "x-api-key: ", "API-Key: ", "Cookie: a=", "x-goog-api-key: ")
    async with RawClient(server.port) as client:
        client.writer.write(
            head(body, *(name + SECRET for name in names), path=f"/v1/chat/completions?key={SECRET}&a=b") + body
        )
        await client.read(Seen())
    shown = orjson.dumps((await control(server, "ledger"))["entries"]).decode()
    assert SECRET not in shown
    assert SECRET not in repr(simulator.ledger.entries())
    assert shown.count("sha256:") == len(names)
    assert "key=reduced&a=b" in shown


async def test_the_ledger_over_http(server: Server) -> None:
    async with RawClient(server.port) as client:
        await client.ask(chat("sim/echo", text="a"))
        await client.ask(chat("sim/big-1"))
    shown = await control(server, "ledger")
    assert [entry["model"] for entry in shown["entries"]] == ["sim/echo", "sim/big-1"]
    first = shown["entries"][0]
    assert first["body"]["messages"][0]["content"] == "a"
    assert (first["status"], first["finished"], first["closed_by"], first["pieces"]) == (200, True, "none", 1)
    assert [entry["n"] for entry in (await control(server, "ledger?since=1"))["entries"]] == [2]
    named = await control(server, f"ledger?model={quote('sim/big-1', safe='')}")
    assert [entry["n"] for entry in named["entries"]] == [2]
    assert (await control(server, "ledger", "DELETE"))["entries"] == []
    assert (await control(server, "stats"))["in_flight"] == 0


async def test_waiting_for_an_end_over_http(server: Server, simulator: Simulator) -> None:
    async with RawClient(server.port) as client, asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(control(server, "wait?model=sim/stall&at_least=1&limit_s=60"))
        await simulator.ledger.reached(lambda: simulator.ledger.connections == 2)
        body = chat("sim/stall")
        client.writer.write(head(body) + body)
        await simulator.ledger.reached(lambda: simulator.ledger.in_flight("sim/stall") == 1)
        assert not waiting.done()
        client.writer.close()
        shown = await waiting
    assert (shown["settled"], shown["entries"][0]["closed_by"]) == (True, "client")


async def test_waiting_has_a_limit(server: Server) -> None:
    shown = await control(server, "wait?model=sim/never&limit_s=0.001")
    assert (shown["settled"], shown["entries"]) == (False, [])


async def test_each_caller_has_attempts_of_its_own(server: Server) -> None:
    async def status(key: str = "", session: str = "", **body: Any) -> int:
        sent = chat("sim/429-then-ok", **body)
        async with RawClient(server.port) as client:
            client.writer.write(head(sent, f"authorization: Bearer {key}", f"x-session-id: {session}") + sent)
            return (await client.read(Seen())).status

    assert [await status("a"), await status("a"), await status("a")] == [429, 200, 200]
    assert [await status("b"), await status("a", session="1"), await status("a", user="u")] == [429, 429, 429]
    assert [await status("b"), await status("a", session="1"), await status("a", user="u")] == [200, 200, 200]
    await control(server, "ledger", "DELETE")
    assert await status("a") == 429


async def test_flaky_fails_as_often_as_it_says(server: Server) -> None:
    async with RawClient(server.port) as client:
        statuses = [(await client.ask(chat("sim/flaky-30"))).status for _ in range(100)]
    assert sum(status != 200 for status in statuses) == 30
    assert set(statuses) == {200, 500, 502, 503, 529}


async def statuses(server: Server, model: str, calls: int) -> list[int]:
    async with RawClient(server.port) as client:
        return [(await client.ask(chat(model))).status for _ in range(calls)]


async def test_a_fault_lasts_as_often_as_it_says(server: Server) -> None:
    assert await statuses(server, "sim/503-times-3", 5) == [503, 503, 503, 200, 200]
    assert await statuses(server, "sim/429-absurd-then-ok", 2) == [429, 200]
    await control(server, "ledger", "DELETE")
    assert await statuses(server, "sim/503-times-1", 2) == [503, 200]


async def test_one_in_n_is_well(server: Server) -> None:
    assert [status == 200 for status in await statuses(server, "sim/one-in-3", 6)] == [False, False, True] * 2


async def test_a_callers_key_is_known_by_any_of_its_headers(server: Server) -> None:
    body = chat("sim/500-then-ok")
    seen = []
    for name in ("authorization", "x-api-key", "x-goog-api-key", "api-key"):
        for _ in range(2):
            async with RawClient(server.port) as client:
                client.writer.write(head(body, f"{name}: {name}-1") + body)
                seen.append((await client.read(Seen())).status)
    assert seen == [500, 200] * 4
