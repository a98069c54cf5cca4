"""Targets, fallbacks, retries, rests, copies and the cache, over real sockets: provider's ledger, client, and log."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.running import PATIENCE_S, Proxy, proxy, simulator, until

pytestmark = pytest.mark.xdist_group("routing_e2e")

CONFIG = """
default_provider = "up"
[log]
durability = "process"
[routing]
retry = {{attempts = 3, backoff_s = 0.01, backoff_max_s = 0.02, max_wait_s = 2}}
retry_budget_min = 1000
cooldown = {{after = 1000}}
[providers.up]
base_url = "{url}/v1"
timeout = {{connect_s = 2, first_byte_s = 1, idle_s = 1, ping_idle_s = 2, total_s = 20}}
[providers.nowhere]
base_url = "http://127.0.0.1:9/v1"
[models.safe]
targets = [{{provider = "nowhere", model = "gone"}}]
fallback = ["up/500", "up/echo"]
[models.twice]
targets = [{{provider = "up", model = "stall"}}]
fallback = ["up/echo"]
[models.patient]
targets = [{{provider = "up", model = "429-after-60"}}]
fallback = ["up/echo"]
[models.halves]
targets = [{{provider = "up", model = "echo", weight = 50}}, {{provider = "sim", model = "echo", weight = 50}}]
[models.narrow]
targets = [{{provider = "up", model = "slow-300", max_concurrency = 1}}]
fallback = []
[models.tired]
targets = [{{provider = "up", model = "status-500"}}]
fallback = ["up/echo"]
retry = {{attempts = 1}}
cooldown = {{after = 2, for_s = 600}}
[models.watched]
targets = [{{provider = "up", model = "echo"}}]
shadow = [{{provider = "up", model = "chunks-5", share = 1.0}}]
[models.kept]
targets = [{{provider = "up", model = "echo"}}]
cache = {{ttl_s = 600}}
[models.cut]
targets = [{{provider = "up", model = "close-after-2"}}]
cache = {{ttl_s = 600}}
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=provider)) as started:
        yield started


def ask(model: str, text: str = "say this", **more: Any) -> dict[str, Any]:
    """A request whose user makes it findable."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "user": uuid4().hex, **more}


def row_of(running: Proxy, answer: httpx.Response) -> dict[str, Any]:
    id_ = answer.headers["x-tailrace-id"].replace("-", "").upper()
    return running.rows(1, f"hex(id) = '{id_}'")[0]


def attempts_of(running: Proxy, row: dict[str, Any]) -> list[dict[str, Any]]:
    return running.select(f"SELECT * FROM attempt WHERE completion = {row['seq']} ORDER BY n")


def received(provider: str, user: str) -> list[str]:
    """The models that the provider was asked for by `user`, in order."""
    entries = httpx.get(f"{provider}/_sim/ledger", timeout=PATIENCE_S).json()["entries"]
    return [entry["body"]["model"] for entry in entries if entry["body"] and entry["body"].get("user") == user]


@pytest.mark.parametrize("model", ["429-then-ok", "500-then-ok", "503-then-ok"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_passing_failure_is_tried_again(running: Proxy, provider: str, model: str, stream: bool) -> None:
    body = ask(model, stream=stream)
    answer = running.post(body)
    assert answer.status_code == 200
    row = row_of(running, answer)
    assert (row["status"], row["attempts"]) == ("ok", 2)
    first, second = attempts_of(running, row)
    assert (first["outcome"], first["http_status"]) == ("provider_error", int(model[:3]))
    assert '"error"' in first["detail"]
    assert (second["outcome"], second["http_status"], second["detail"]) == ("ok", 200, None)
    assert received(provider, body["user"]) == [model, model]


def test_fallbacks_are_tried_in_order_and_the_answer_names_who_served(running: Proxy, provider: str) -> None:
    body = ask("safe")
    answer = running.post(body)
    assert answer.status_code == 200
    assert answer.headers["x-tailrace-target"] == "up/echo"
    row = row_of(running, answer)
    assert (row["model"], row["provider"], row["status"]) == ("safe", "up", "ok")
    tried = [(one["provider"], one["model"], one["outcome"]) for one in attempts_of(running, row)]
    assert tried == [("nowhere", "gone", "provider_error")] * 3 + [("up", "500", "provider_error")] * 3 + [
        ("up", "echo", "ok")
    ]
    assert [one["n"] for one in attempts_of(running, row)] == list(range(1, 8))
    assert received(provider, body["user"]) == ["500"] * 3 + ["echo"]


def test_a_provider_that_may_have_acted_is_not_asked_twice(running: Proxy, provider: str) -> None:
    body = ask("twice")
    answer = running.post(body)
    assert answer.status_code == 504
    assert answer.headers["x-should-retry"] == "false"
    assert received(provider, body["user"]) == ["stall"]
    assert row_of(running, answer)["attempts"] == 1


def test_a_long_retry_after_means_the_next_target(running: Proxy, provider: str) -> None:
    body = ask("patient")
    answer = running.post(body)
    assert answer.status_code == 200
    assert received(provider, body["user"]) == ["429-after-60", "echo"]


def test_the_last_error_is_the_providers_own(running: Proxy, provider: str) -> None:
    body = ask("429-quota")  # x-should-retry: false
    answer = running.post(body)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert received(provider, body["user"]) == ["429-quota"]


def test_a_conversation_stays_with_its_target_and_conversations_are_shared_out(running: Proxy) -> None:
    served: dict[str, set[str]] = {}
    for n in range(40):
        session = f"session-{n}"
        for _ in range(2):
            answer = running.post(ask("halves"), **{"x-tailrace-session": session})
            served.setdefault(session, set()).add(answer.headers["x-tailrace-target"])
    assert all(len(targets) == 1 for targets in served.values())
    assert {next(iter(targets)) for targets in served.values()} == {"up/echo", "sim/echo"}


def test_a_full_target_is_not_called(running: Proxy, provider: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: running.post(ask("narrow")), range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[-1] == 503
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"]["code"] == "policy_overloaded"
    assert row_of(running, refused)["status"] == "refused"
    assert running.post(ask("narrow")).status_code == 200


def test_a_target_that_fails_in_a_row_rests(running: Proxy, provider: str) -> None:
    bodies = [ask("tired") for _ in range(4)]
    assert {running.post(body).status_code for body in bodies} == {200}
    assert [received(provider, body["user"]) for body in bodies] == [
        ["status-500", "echo"], ["status-500", "echo"], ["echo"], ["echo"],
    ]  # fmt: skip


def test_a_copy_is_logged_and_waits_for_nobody(running: Proxy, provider: str) -> None:
    body = ask("watched", stream=True)
    answer = running.post(body)
    assert answer.status_code == 200
    original = row_of(running, answer)
    copy = running.rows(1, f"user = '{body['user']}' AND origin = 'shadow'")[0]
    assert copy["source"] == original["id"]
    assert (copy["provider"], copy["status"], copy["model"]) == ("up", "ok", "watched")
    assert sorted(received(provider, body["user"])) == ["chunks-5", "echo"]
    assert original["origin"] == "app"


@pytest.mark.parametrize("stream", [False, True])
def test_the_very_same_request_is_answered_from_the_cache(running: Proxy, provider: str, stream: bool) -> None:
    body = ask("kept", stream=stream)
    first = running.post(body)
    again = running.post({**body})
    spaced = httpx.post(
        f"{running.url}/v1/chat/completions", content=json.dumps(body, indent=2), timeout=PATIENCE_S,
        headers={"content-type": "application/json"},
    )  # fmt: skip
    other = running.post({**body, "temperature": 1})
    assert "x-tailrace-cache" not in first.headers
    assert again.content == spaced.content == first.content
    assert again.headers["x-tailrace-cache"] == spaced.headers["x-tailrace-cache"] == "hit"
    assert "x-tailrace-cache" not in other.headers
    assert len(received(provider, body["user"])) == 2
    row = row_of(running, again)
    assert (row["provider"], row["status"], row["attempts"], row["cost_usd"]) == ("cache", "ok", 0, 0.0)
    assert row["answer_node"] == row_of(running, first)["answer_node"]
    assert again.headers["x-tailrace-id"] != first.headers["x-tailrace-id"]


def test_an_answer_that_broke_off_is_never_given_again(running: Proxy, provider: str) -> None:
    body = ask("cut", "one two three four five", stream=True)
    for _ in range(2):
        assert "provider_truncated" in running.post(body).text
    assert received(provider, body["user"]) == ["close-after-2"] * 2


def test_what_was_done_is_counted(running: Proxy) -> None:
    def counted() -> dict[str, float] | None:
        text = running.get("/metrics").text
        found = {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(("tailrace_retries", "tailrace_fallbacks", "tailrace_cache", "tailrace_shadow"))
        }
        return found or None

    running.post(ask("safe"))
    found = until(counted, "the counters")
    assert found['tailrace_fallbacks_total{alias="safe"}'] >= 2
    assert found['tailrace_retries_total{provider="nowhere"}'] >= 2
