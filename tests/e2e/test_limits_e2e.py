"""Limits of keys hold exactly for many clients over four workers, and every way a call can end gives its place back."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import httpx
import orjson
import pytest

from tests.running import Proxy, proxy, simulator, until
from tests.typed import run

pytestmark = pytest.mark.xdist_group("limits_e2e")

CLIENTS: Final = 50
CONFIG: Final = """
default_provider = "up"
[server]
workers = 4
[log]
durability = "process"
[providers.up]
base_url = "{url}/v1"
timeout = {{connect_s = 2, first_byte_s = 1, idle_s = 1, ping_idle_s = 2, total_s = 20}}
[providers.nowhere]
base_url = "http://127.0.0.1:9/v1"
[prices."sim/echo"]
input_usd_per_mtok = 0.0
output_usd_per_mtok = 1000.0
"""
HELLO: Final[dict[str, Any]] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with (
        simulator(tmp_path_factory.mktemp("provider")) as url,
        proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=url)) as started,
    ):
        yield started


def make(running: Proxy, *words: str) -> tuple[str, dict[str, str]]:
    said = run("keys", "create", "n", *words, "--json", "--data-dir", running.data_dir)
    assert said.code == 0, said.err
    made = orjson.loads(said.out)
    headers = {"authorization": f"Bearer {made['token']}"}
    path = f"{running.url}/v1/models"
    for _ in range(12):  # each worker looks at the keys by itself, and connections go to any of them
        until(lambda: httpx.get(path, headers=headers).status_code == 200 or None, "the key")
    return made["id"], headers


def storm(running: Proxy, headers: dict[str, str], body: dict[str, Any]) -> list[httpx.Response]:
    """As many clients at once, each with a connection of its own."""

    async def one() -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as client:
            return await client.post(f"{running.url}/v1/chat/completions", json=body, headers=headers)

    async def all_of_them() -> list[httpx.Response]:
        return await asyncio.gather(*(one() for _ in range(CLIENTS)))

    return asyncio.run(all_of_them())


def codes(answers: list[httpx.Response]) -> Counter[str]:
    return Counter("ok" if one.status_code == 200 else one.json()["error"]["code"] for one in answers)


def test_requests_a_minute(running: Proxy) -> None:
    _, headers = make(running, "--rpm", "20")
    answers = storm(running, headers, HELLO | {"model": "sim/echo"})
    assert codes(answers) == {"ok": 20, "policy_rate_limited": 30}
    refused = next(one for one in answers if one.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    left = sorted(int(one.headers["x-ratelimit-remaining-requests"]) for one in answers if one.status_code == 200)
    assert left == list(range(20)), "each was told what was left after it"
    assert {one.headers["x-ratelimit-limit-requests"] for one in answers if one.status_code == 200} == {"20"}


def test_tokens_a_minute_are_reserved_then_settled(running: Proxy) -> None:
    key, headers = make(running, "--tpm", "10000")
    body = HELLO | {"model": "sim/echo", "max_tokens": 900}
    answers = storm(running, headers, body)
    each = 10_000 - max(int(one.headers["x-ratelimit-remaining-tokens"]) for one in answers if one.status_code == 200)
    assert codes(answers) == {"ok": 10_000 // each, "policy_rate_limited": CLIENTS - 10_000 // each}
    running.rows(10_000 // each, f"key = '{key}'")

    def again() -> int | None:
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, headers=headers)
        return answer.status_code if answer.status_code == 200 else None

    assert until(again, "the settlement: these answers used few of their tokens") == 200


def test_calls_at_once(running: Proxy) -> None:
    _, headers = make(running, "--concurrency", "5")
    answers = storm(running, headers, HELLO | {"model": "sim/chunk-every-500", "stream": True})
    assert codes(answers) == {"ok": 5, "policy_rate_limited": 45}


def test_a_budget_is_never_passed(running: Proxy) -> None:
    key, headers = make(running, "--usd-per-day", "1")
    body = HELLO | {"model": "sim/echo", "max_tokens": 100}  # 0.10 USD reserved
    (writer,) = running.children("writer")
    os.kill(writer, signal.SIGSTOP)  # nothing is settled meanwhile, and no limit waits for it
    try:
        answers = storm(running, headers, body)
    finally:
        os.kill(writer, signal.SIGCONT)
    assert codes(answers) == {"ok": 10, "policy_budget": 40}
    assert int(next(one for one in answers if one.status_code == 429).headers["retry-after"]) <= 86_400
    rows = running.rows(10, f"key = '{key}'")
    spent = sum(row["cost_usd"] for row in rows)
    assert 0 < spent < 1

    def passes() -> bool | None:
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, headers=headers)
        return True if answer.status_code == 200 else None

    assert until(passes, "the settlement")
    unpriced = httpx.post(f"{running.url}/v1/chat/completions", json=HELLO | {"model": "gpt-x"}, headers=headers)
    assert (unpriced.status_code, unpriced.json()["error"]["code"]) == (403, "policy_budget")


ENDS: Final[dict[str, dict[str, Any] | None]] = {
    "whole": {"model": "sim/echo"},
    "streamed": {"model": "sim/echo", "stream": True},
    "an error of the provider": {"model": "sim/empty-error"},
    "a provider out of reach": {"model": "nowhere/x"},
    "silence inside a stream": {"model": "sim/stall-before-end", "stream": True},
    "a cut stream": {"model": "sim/short-body", "stream": True},
    "bad JSON": None,
    "no such provider": {"model": "sim/echo", "nobody": 1},
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_a_call_gives_its_place_back(running: Proxy, end: str) -> None:
    _, headers = make(running, "--concurrency", "1")
    url, body = f"{running.url}/v1/chat/completions", ENDS[end]
    for _ in range(3):
        with contextlib.suppress(httpx.HTTPError):
            content = b"{" if body is None else orjson.dumps(HELLO | body)
            answer = httpx.post(url, content=content, headers=headers, timeout=30)
            assert answer.status_code != 429, answer.text


def test_a_client_that_leaves_gives_its_place_back(running: Proxy) -> None:
    _, headers = make(running, "--concurrency", "1")
    url, body = f"{running.url}/v1/chat/completions", HELLO | {"model": "sim/chunk-every-100", "stream": True}
    for _ in range(3):
        with httpx.stream("POST", url, json=body, headers=headers) as answer:
            assert answer.status_code == 200
            next(answer.iter_bytes())

        def free() -> bool | None:
            answer = httpx.post(url, json=HELLO | {"model": "sim/echo"}, headers=headers)
            return True if answer.status_code == 200 else None

        assert until(free, "the place")


def test_a_worker_that_dies_gives_its_places_back(running: Proxy) -> None:
    _, headers = make(running, "--concurrency", "1")
    url, body = f"{running.url}/v1/chat/completions", HELLO | {"model": "sim/chunk-every-100", "stream": True}
    with contextlib.suppress(httpx.HTTPError), httpx.stream("POST", url, json=body, headers=headers) as answer:
        next(answer.iter_bytes())
        running.kill("relay")

    def free() -> bool | None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.post(url, json=HELLO | {"model": "sim/echo"}, headers=headers).status_code == 200:
                return True
        return None

    assert until(free, "the place")
