"""Where a provider's table sends a call, and how it carries the key: seen by the simulated provider on a socket."""

import re
import tomllib
from collections.abc import Iterator
from hashlib import sha256

import pytest

from tailrace.ids import uuid7
from tailrace.records import Endpoint
from tailrace.relay import addressing
from tailrace.relay.accept import Accepted
from tailrace.relay.asked import Arrival
from tailrace.relay.live import Connection
from tailrace.relay.outbound import Header
from tailrace.relay.outgoing import prepare
from tailrace.settings import Provider, Timeouts, split_base_url
from tailrace.settings_examples import PROVIDERS
from tailrace.simulate.ledger import SimRequest
from tailrace.simulate.server import serve
from tailrace.simulate.simulator import Simulator
from tailrace.upstream.client import open_upstream
from tailrace.wire.dialects import DIALECTS
from tailrace.wire.endpoints import ENDPOINTS
from tailrace.wire.request import read_request
from tailrace.wire.told import read_told

KEY = "sk-the-vendors"
FROM_CLIENT: list[Header] = [
    (b"content-type", b"application/json"),
    (b"authorization", b"Bearer the-callers"),
    (b"cookie", b"a=b"),
]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(pace=0.0)


def table(name: str, **changes: object) -> Provider:
    values = tomllib.loads(PROVIDERS)["providers"][name]
    if values["api_key"].startswith("env:"):
        values["api_key"] = KEY
    return Provider.model_validate({**values, **changes})


def connect(provider: Provider, port: int) -> Connection:
    """The connection of `provider`, with the simulated provider in its host's place."""
    base, _ = split_base_url(provider.base_url)
    here = re.sub(r"^https?://[^/]+", f"http://127.0.0.1:{port}", base)
    dialect = DIALECTS[provider.dialect]
    return Connection(
        upstream=open_upstream("acme", provider.model_copy(update={"base_url": here})),
        dialect=dialect,
        prefix=addressing.path_prefix(provider),
        query=addressing.own_query(provider),
        headers=addressing.own_headers(provider),
        credential=addressing.own_credential(provider, dialect),
        name_credential=addressing.name_credential(provider, dialect),
        takes_callers_key=addressing.takes_callers_key(provider),
        stream_usage=provider.stream_usage,
        max_answer_bytes=provider.max_answer_bytes,
    )


async def received(simulator: Simulator, provider: Provider, query: bytes = b"") -> SimRequest:
    """A chat call for `sim/echo` as it arrives at `provider`."""
    wire = ENDPOINTS[Endpoint.CHAT]
    body = b'{"model": "bot", "messages": [{"role": "user", "content": "Hi"}]}'
    request = read_request(body, wire)
    told = read_told(FROM_CLIENT, request.parsed)
    asked = Accepted(Arrival(uuid7(0, b"0" * 10), 0, 0.0), wire, FROM_CLIENT, query, body, request, told)
    async with await serve("127.0.0.1", 0, simulator) as server:
        connection = connect(provider, server.port)
        try:
            outgoing = prepare(asked, connection, "sim/echo").outgoing
            answer = await connection.upstream.call(outgoing, Timeouts())
            assert [answer.status, b"Hi" in b"".join([piece async for piece in answer])] == [200, True]
        finally:
            await connection.upstream.aclose()
    (entry,) = simulator.ledger.entries()
    return entry.request


def credentials(request: SimRequest) -> Iterator[tuple[str, bytes]]:
    for name, value in request.headers:
        if value.startswith(b"sha256:"):
            yield name.decode(), value


def reduced(value: str) -> bytes:
    return f"sha256:{sha256(value.encode()).hexdigest()[:8]} length:{len(value)}".encode()


async def test_azures_dated_api_has_the_deployment_in_its_path(simulator: Simulator) -> None:
    request = await received(simulator, table("azure-dated"), b"trace=1")
    assert request.path == "/openai/deployments/sim%2Fecho/chat/completions"
    assert request.query == "trace=1&api-version=2024-10-21"
    assert list(credentials(request)) == [("api-key", reduced(KEY))]


async def test_azures_v1_api_is_openais_with_another_header(simulator: Simulator) -> None:
    request = await received(simulator, table("azure"))
    assert (request.path, request.query) == ("/openai/v1/chat/completions", "")
    assert list(credentials(request)) == [("api-key", reduced(KEY))]


async def test_openrouter_is_told_who_calls(simulator: Simulator) -> None:
    request = await received(simulator, table("openrouter"))
    assert (request.path, request.query) == ("/api/v1/chat/completions", "")
    assert list(credentials(request)) == [("authorization", reduced(f"Bearer {KEY}"))]
    told = dict(request.headers)
    assert (told[b"http-referer"], told[b"x-title"]) == (b"https://your.example", b"Your application")


async def test_where_no_key_is_wanted_none_is_sent(simulator: Simulator) -> None:
    assert not list(credentials(await received(simulator, table("ollama", api_key=""))))


async def test_where_the_callers_key_is_wanted_it_comes_as_it_came(simulator: Simulator) -> None:
    request = await received(simulator, table("groq", api_key=None))
    assert list(credentials(request)) == [("authorization", reduced("Bearer the-callers"))]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (None, (b"authorization", b"Bearer k")),
        ("bearer", (b"authorization", b"Bearer k")),
        ("api-key", (b"api-key", b"k")),
        ("x-api-key", (b"x-api-key", b"k")),
        ("x-goog-api-key", (b"x-goog-api-key", b"k")),
    ],
)
def test_each_way_to_carry_a_key(auth: str | None, header: Header) -> None:
    provider = Provider.model_validate({"base_url": "http://x/v1", "auth": auth, "api_key": "k"})
    assert addressing.own_credential(provider, DIALECTS["openai"]) == header
    assert addressing.name_credential(provider, DIALECTS["openai"])(b"k") == header


def test_what_a_path_or_a_query_cannot_hold_is_encoded() -> None:
    provider = Provider(base_url="https://x/é/{model}/v1/", query={"a b": "c&d=é"})
    assert addressing.path_prefix(provider) == "/%C3%A9/{model}/v1"
    assert addressing.own_query(provider) == b"a+b=c%26d%3D%C3%A9"
    assert addressing.path_prefix(Provider(base_url="https://x/v1")) == ""
