"""`/v1/models` over real sockets: the providers' own lists merged, each model under the name that leads to it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.running import PATIENCE_S, Proxy, proxy

pytestmark = pytest.mark.xdist_group("models_e2e")

CONFIG = """
default_provider = "up"
[log]
durability = "process"
[providers.up]
base_url = "{url}/v1"
api_key = "none"
models = ["configured"]
[providers.claude]
base_url = "{url}/v1"
dialect = "anthropic"
api_key = "env:UP_KEY"
list_models = true
[providers.gemini]
base_url = "{url}/v1beta"
dialect = "gemini"
api_key = "env:UP_KEY"
list_models = true
[providers.nowhere]
base_url = "http://127.0.0.1:9/v1"
api_key = "none"
list_models = true
[providers.theirs]
base_url = "{url}/theirs/v1"
api_key = "client"
list_models = true
[providers.silent]
base_url = "{url}/silent/v1"
[models.echo]
targets = [{{provider = "up", model = "echo"}}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UP_KEY", "provider-key")
        with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=provider)) as started:
            yield started


@pytest.fixture
def client(running: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=PATIENCE_S) as opened:
        yield opened


def asked(provider: str, path: str) -> int:
    """How often the provider was asked for the list at `path`."""
    ledger = httpx.get(f"{provider}/_sim/ledger", timeout=PATIENCE_S).json()
    return sum(entry["path"] == path for entry in ledger["entries"])


def test_the_openai_client_lists_aliases_then_configured_then_all_providers_models(running: Proxy) -> None:
    with OpenAI(base_url=f"{running.url}/v1", api_key="mine", max_retries=0, timeout=PATIENCE_S) as client:
        listed = [model.id for model in client.models.list()]
        assert listed[:2] == ["echo", "up/configured"]
        assert {"up/sim/echo", "claude/sim/echo", "gemini/sim/echo", "sim/echo"} <= set(listed)
        assert len(set(listed)) == len(listed)
        assert not any(name.startswith(("nowhere/", "silent/", "theirs/")) for name in listed)
        for name in ("up/sim/echo", "claude/sim/echo", "gemini/sim/echo", "sim/echo"):
            said = client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
            assert said.choices[0].message.content == "Hi"
            assert client.models.retrieve(name).id == name


def test_a_provider_that_fails_is_left_out_and_counted(running: Proxy, client: httpx.Client) -> None:
    answer = client.get("/v1/models")
    assert (answer.status_code, set(answer.json())) == (200, {"object", "data"})
    assert 'tailrace_model_list_failures_total{provider="nowhere"} 1.0' in running.get("/metrics").text


KEYED = """
default_provider = "theirs"
[providers.theirs]
base_url = "{url}/theirs/v1"
api_key = "client"
[providers.others]
base_url = "{url}/others/v1"
api_key = "client"
list_models = true
"""


def test_a_callers_key_travels_to_the_default_provider_alone_and_its_list_is_remembered_for_nobody(
    provider: str, tmp_path: Path
) -> None:
    with (
        proxy(tmp_path, KEYED.format(url=provider)) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE_S) as client,
    ):
        assert not any(model["id"] == "theirs/sim/echo" for model in client.get("/v1/models").json()["data"])
        for key in ("one", "two", "two"):
            listed = client.get("/v1/models", headers={"authorization": f"Bearer {key}"}).json()["data"]
            assert any(model["id"] == "theirs/sim/echo" for model in listed)
    assert asked(provider, "/theirs/v1/models") == 3
    assert asked(provider, "/others/v1/models") == 0  # it is another vendor: the key is none of its business


def test_anthropics_clients_get_their_shape_in_pages(client: httpx.Client) -> None:
    headers = {"anthropic-version": "2023-06-01", "x-api-key": "mine"}
    whole = client.get("/v1/models", headers=headers).json()
    assert set(whole) == {"data", "has_more", "first_id", "last_id"}
    assert set(whole["data"][0]) == {"type", "id", "display_name", "created_at"}
    assert (whole["has_more"], whole["first_id"]) == (False, "echo")
    ids: list[str] = []
    page = {"has_more": True}
    while page["has_more"]:
        after = {"after_id": ids[-1]} if ids else {}
        page = client.get("/v1/models", params={"limit": "7", **after}, headers=headers).json()
        ids += [model["id"] for model in page["data"]]
    assert ids == [model["id"] for model in whole["data"]]
    one = client.get("/v1/models/claude/sim/echo", headers=headers).json()
    assert (one["type"], one["id"]) == ("model", "claude/sim/echo")


def test_a_model_that_nobody_lists_is_asked_of_the_provider(provider: str, client: httpx.Client) -> None:
    client.get("/v1/models/ft:never-listed")
    assert asked(provider, "/v1/models/ft:never-listed") == 1
