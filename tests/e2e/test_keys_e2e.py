"""Keys on a running proxy: made, used, changed and revoked while it serves, by the commands and real clients."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest

from tailrace.internal import internal_headers, read_internal_key
from tailrace.records import Origin
from tests.running import Proxy, proxy, simulator, until
from tests.typed import run

pytestmark = pytest.mark.xdist_group("keys_e2e")

ADMIN = "admin-" + "a" * 40
CONFIG = """
default_provider = "up"
[log]
durability = "process"
[keys]
admin = "file:{admin}"
[providers.up]
base_url = "{url}/v1"
[providers.open]
base_url = "{url}/v1"
api_key = "client"
"""
HELLO = {"model": "sim/echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "admin").write_text(ADMIN + "\n")
    with proxy(folder, CONFIG.format(url=provider, admin=folder / "admin")) as started:
        yield started


def make(running: Proxy, *words: str) -> dict[str, Any]:
    said = run("keys", "create", *words, "--json", "--data-dir", running.data_dir)
    assert said.code == 0, said.err
    made: dict[str, Any] = orjson.loads(said.out)
    until(lambda: ask(running, made["token"]) not in (401, 403) or made["kind"] != "client" or None, "the key")
    return made


def ask(running: Proxy, token: str | None, model: str = "sim/echo", **more: Any) -> int:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.post(
        f"{running.url}/v1/chat/completions", json=HELLO | {"model": model} | more, headers=headers
    ).status_code


def test_a_call_without_a_key_is_refused_and_with_one_is_its_projects(running: Proxy) -> None:
    made = make(running, "shop front", "--project", "shop")
    assert ask(running, None) == 401
    assert ask(running, "sk-anything") == 401
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=made["token"])
    said = client.chat.completions.with_raw_response.create(**HELLO)  # type: ignore[call-overload]
    assert said.headers["x-tailrace-id"]
    (row,) = running.rows(1, f"key = '{made['id']}' AND project = 'shop'")[-1:]
    assert row["status"] == "ok"
    with pytest.raises(openai.AuthenticationError, match="This proxy needs a key of its own"):
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="no", max_retries=0).models.list()


def test_the_token_is_nowhere_and_no_provider_sees_it(running: Proxy, provider: str) -> None:
    made = make(running, "secret")
    assert ask(running, made["token"], model="open/sim/echo") == 200
    token = made["token"].encode()
    for path in running.data_dir.rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path
    assert token not in running.stderr.read_bytes()
    assert token not in httpx.get(f"{provider}/_sim/ledger").content


def test_a_key_is_for_what_it_was_made_for(running: Proxy) -> None:
    made = make(running, "narrow", "--model", "sim/*", "--endpoint", "chat.completions")
    assert ask(running, made["token"]) == 200
    assert ask(running, made["token"], model="gpt-5") == 403
    headers = {"authorization": f"Bearer {made['token']}"}
    answer = httpx.post(f"{running.url}/v1/embeddings", json={"model": "sim/x", "input": "a"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "caller_key_forbids")
    models = httpx.get(f"{running.url}/v1/models", headers=headers).json()["data"]
    assert models
    assert all(model["id"].startswith("sim/") for model in models)


def test_a_revoked_key_is_let_in_no_more_and_a_changed_one_as_it_says(running: Proxy) -> None:
    made = make(running, "short lived")
    assert run("keys", "change", made["id"], "--model", "other", "--data-dir", running.data_dir).code == 0
    until(lambda: ask(running, made["token"]) == 403 or None, "the change")
    assert run("keys", "change", made["id"], "--lift", "model", "--data-dir", running.data_dir).code == 0
    until(lambda: ask(running, made["token"]) == 200 or None, "the change")
    assert run("keys", "revoke", made["id"], "--data-dir", running.data_dir).code == 0
    until(lambda: ask(running, made["token"]) == 401 or None, "the revocation")
    listed = run("keys", "list", "--data-dir", running.data_dir).out
    assert "REVOKED" in next(line for line in listed.splitlines() if made["id"] in line)


def test_known_keys_go_on_while_the_writer_is_away(running: Proxy) -> None:
    made = make(running, "steady")
    running.kill("writer")
    assert ask(running, made["token"]) == 200
    assert ask(running, None) == 401


def test_the_api_takes_admin_and_read_keys(running: Proxy) -> None:
    read = make(running, "grafana", "--read")
    client = make(running, "a client")

    def status(token: str | None) -> int:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.get(f"{running.url}/api/classifiers", headers=headers).status_code

    assert status(ADMIN) == 200
    until(lambda: status(read["token"]) == 200 or None, "the read key")
    assert (status(client["token"]), status(None)) == (401, 401)


def test_feedback_is_for_those_with_a_key(running: Proxy) -> None:
    made = make(running, "judge", "--project", "shop")
    body = {"id": "01a215a1-c0b0-7418-b73b-590a8c476cc5", "score": 1}
    assert httpx.post(f"{running.url}/v1/feedback", json=body).status_code == 401
    headers = {"authorization": f"Bearer {made['token']}"}
    assert httpx.post(f"{running.url}/v1/feedback", json=body, headers=headers).status_code == 200


def test_our_own_commands_need_no_key(running: Proxy) -> None:
    """They prove that they may read the data folder."""
    headers = dict(internal_headers(read_internal_key(running.data_dir), Origin.EXPORT, None))
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=HELLO, headers=list(headers.items()))
    assert answer.status_code == 200
