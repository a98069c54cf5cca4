"""The differential test: a call straight to the provider and through the proxy is the same call with the same answer.

Compared are status, body bytes and headers that SDKs obey, and in the provider's ledger method, path, query, headers
and body; what differs is what DESIGN 2 lists. Then the row: folded answer, finish reason, usage, session, tags.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.chains.canonical import canonical
from tests.running import PATIENCE_S, Proxy, proxy, simulator

pytestmark = pytest.mark.xdist_group("endpoints_e2e")

CONFIG = """
default_provider = "up"
[log]
durability = "process"
[providers.up]
base_url = "{url}/v1"
api_key = "env:UP_KEY"
[providers.claude]
base_url = "{url}/v1"
dialect = "anthropic"
api_key = "env:CLAUDE_KEY"
[providers.gemini]
base_url = "{url}/v1beta"
dialect = "gemini"
api_key = "env:GEMINI_KEY"
[prices.echo]
input_usd_per_mtok = 1000
output_usd_per_mtok = 2000
"""
USER = {"role": "user", "content": "Say this: höchst 漢字 please"}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "book", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CHAT = {"model": "echo", "messages": [{"role": "system", "content": "Be brief."}, USER]}
RESPONSES = {"model": "echo", "input": "Say this", "instructions": "Be brief."}
MESSAGES = {"model": "claude/echo", "max_tokens": 500, "system": "Be brief.", "messages": [USER]}
RESPONSES_TOOL = {"type": "function", "name": "book", "parameters": TOOL["function"]["parameters"]}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/chat/completions", CHAT),
    "chat-tools": ("/chat/completions", {**CHAT, "model": "tools-2", "tools": [TOOL, TOOL]}),
    "chat-reasoning": ("/chat/completions", {**CHAT, "model": "reasoning"}),
    "chat-refusal": ("/chat/completions", {**CHAT, "model": "refusal"}),
    "chat-logprobs-n": ("/chat/completions", {**CHAT, "n": 3, "logprobs": True, "top_logprobs": 2}),
    "chat-429": ("/chat/completions", {**CHAT, "model": "429-quota"}),
    "chat-error-in-stream": ("/chat/completions", {**CHAT, "model": "error-in-stream"}),
    "chat-crlf": ("/chat/completions", {**CHAT, "model": "crlf"}),
    "completions": ("/completions", {"model": "echo", "prompt": "Once upon a time"}),
    "completions-n": ("/completions", {"model": "length", "prompt": ["a b c d e f g h"], "n": 2}),
    "embeddings": ("/embeddings", {"model": "echo", "input": ["one", "two"], "encoding_format": "base64"}),
    "embeddings-tokens": ("/embeddings", {"model": "echo", "input": [1, 2, 3], "dimensions": 8}),
    "responses": ("/responses", RESPONSES),
    "responses-tools": ("/responses", {**RESPONSES, "model": "tools", "tools": [RESPONSES_TOOL]}),
    "responses-reasoning": ("/responses", {**RESPONSES, "model": "reasoning"}),
    "responses-cut": ("/responses", {**RESPONSES, "model": "length"}),
    "messages": ("/messages", MESSAGES),
    "messages-thinking": ("/messages", {**MESSAGES, "model": "claude/reasoning"}),
    "messages-tools": (
        "/messages",
        {**MESSAGES, "model": "claude/tools", "tools": [{"name": "book", "input_schema": {"type": "object"}}]},
    ),
}
FINISH = {
    "chat-tools": "tool_calls",
    "completions-n": "length",
    "responses-tools": "tool_calls",
    "messages-tools": "tool_calls",
    "responses-cut": "length",
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("UP_KEY", "CLAUDE_KEY", "GEMINI_KEY"):
            patch.setenv(name, "provider-key")
        with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=provider)) as started:
            yield started


def unstamped(body: bytes) -> bytes:
    """`body` without what numbers and dates the simulator's answers, and without the null usage of chunks.

    Who asks for usage in a stream gets that too, and in streams we ask.
    """
    body = re.sub(rb"sim\d{16,30}", b"sim#", body)
    body = body.replace(b'"usage":null,', b"")
    return re.sub(rb'"(created|created_at)":\d+', rb'"\1":0', body)


def sent(provider: str, caller: str) -> dict[str, Any]:
    """What the provider received from `caller`, newest."""
    entries = httpx.get(f"{provider}/_sim/ledger", timeout=PATIENCE_S).json()["entries"]
    return next(entry for entry in reversed(entries) if ["user-agent", caller] in [list(h) for h in entry["headers"]])


def call(base: str, path: str, body: Any, caller: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{base}/v1{path}?trace=a%2Fb", content=orjson.dumps(body), timeout=PATIENCE_S,
        headers={"content-type": "application/json", "user-agent": caller, "authorization": "Bearer mine", **headers},
    )  # fmt: skip


def same(provider: str, running: Proxy, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    """Calls both ways; returns the proxied answer after comparing."""
    caller = uuid4().hex
    direct_body = {**body, "model": body["model"].removeprefix("claude/")}
    direct = call(provider, path, direct_body, f"direct-{caller}", **headers)
    through = call(running.url, path, body, f"through-{caller}", **headers)
    assert through.status_code == direct.status_code
    assert unstamped(through.content) == unstamped(direct.content)
    assert through.headers["content-type"].partition(";")[0] == direct.headers["content-type"].partition(";")[0]
    for name in ("retry-after", "x-should-retry"):
        assert through.headers.get(name) == direct.headers.get(name)
    told, seen = sent(provider, f"direct-{caller}"), sent(provider, f"through-{caller}")
    assert (seen["method"], seen["path"], seen["query"]) == (told["method"], told["path"], told["query"])
    asked = dict(seen["body"])
    if body.get("stream") and path in {"/chat/completions", "/completions"} and "stream_options" not in body:
        assert asked.pop("stream_options") == {"include_usage": True}
    assert asked == told["body"]
    return through


def row_of(running: Proxy, answer: httpx.Response) -> dict[str, Any]:
    return running.rows(1, f"hex(id) = '{answer.headers['x-tailrace-id'].replace('-', '').upper()}'")[0]


def shown(running: Proxy, answer: httpx.Response) -> dict[str, Any]:
    """The logged completion as `tailrace logs show --json` tells it."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    row_of(running, answer)
    words = ["logs", "show", answer.headers["x-tailrace-id"], "--json", "--data-dir", str(running.data_dir)]
    said = subprocess.run([sys.executable, "-m", "tailrace", *words], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_through_the_proxy_it_is_the_same_call(running: Proxy, provider: str, case: str, stream: bool) -> None:
    path, body = CASES[case]
    if stream and path == "/embeddings":
        pytest.skip("embeddings are not streamed")
    body = {**body, "stream": stream} if stream else body
    answer = same(provider, running, path, body)
    row = row_of(running, answer)
    assert row["endpoint"] == path[1:].replace("/", ".")
    if answer.status_code == 200 and "error" not in case:
        assert row["status"] == "ok"
        assert row["usage_source"] == "provider"
        assert row["input_tokens"] > 0
    if case in FINISH:
        assert row["finish_reason"] == FINISH[case]


def test_the_folded_stream_is_the_plain_answer(running: Proxy) -> None:
    for case in ("chat", "chat-tools", "completions", "responses", "responses-reasoning", "messages", "messages-tools"):
        path, body = CASES[case]
        folded = shown(running, call(running.url, path, {**body, "stream": True}, "folded"))["answer"]
        plain = call(running.url, path, body, "plain").json()
        if path == "/responses":
            assert unstamped(canonical(folded)) == unstamped(canonical(plain)), case
        elif path == "/messages":
            renumbered = re.sub(r"sim\d{16,30}", folded_id(folded), json.dumps(plain["content"]))
            assert folded["content"] == json.loads(renumbered), case
            assert folded["stop_reason"] == plain["stop_reason"], case
        else:
            assert folded["choices"][0]["finish_reason"] == plain["choices"][0]["finish_reason"], case
            assert folded["usage"] == plain["usage"], case


def folded_id(answer: dict[str, Any]) -> str:
    """The number of the simulator's answer, as its tool ids have it."""
    found = re.search(r"sim\d{16,30}", json.dumps(answer["content"]))
    return found[0] if found else "sim"


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/chat/completions", "/completions", "/responses", "/embeddings"]),
    text=st.text(min_size=1, max_size=40),
    stream=st.booleans(),
    extra=st.dictionaries(
        st.sampled_from(["temperature", "metadata", "x", "seed", "stop", "store"]), JSONS, max_size=4
    ),
)
def test_random_requests_are_the_same_calls(
    running: Proxy, provider: str, path: str, text: str, stream: bool, extra: dict[str, Any]
) -> None:
    contents: dict[str, dict[str, Any]] = {
        "/chat/completions": {"messages": [{"role": "user", "content": text}]},
        "/completions": {"prompt": text},
        "/responses": {"input": text},
        "/embeddings": {"input": text},
    }
    body = {"model": "echo", **contents[path], **extra}
    same(provider, running, path, {**body, "stream": True} if stream and path != "/embeddings" else body)


def test_price_session_user_and_tags_are_in_the_row(running: Proxy) -> None:
    answer = call(
        running.url, "/chat/completions", {**CHAT, "model": "up/echo", "metadata": {"app": "shop"}, "user": "u1"},
        "tagged", **{"x-tailrace-session": "s1", "helicone-property-team": "red", "x-client-request-id": "mine-1"},
    )  # fmt: skip
    row = row_of(running, answer)
    assert (row["session"], row["user"], row["external_id"]) == ("s1", "u1", "mine-1")
    assert json.loads(row["tags"])["team"] == "red"
    assert json.loads(row["tags"])["app"] == "shop"
    assert row["cost_usd"] == pytest.approx((row["input_tokens"] * 1000 + row["output_tokens"] * 2000) / 1e6)
    assert answer.headers["server-timing"].startswith("provider;dur=")


def test_a_body_that_is_not_to_be_logged_is_not(running: Proxy) -> None:
    answer = call(running.url, "/chat/completions", {**CHAT, "messages": [{"role": "user", "content": "canary-7"}]},
                  "omitted", **{"x-tailrace-log": "metadata"})  # fmt: skip
    row = row_of(running, answer)
    assert (row["status"], row["omits"], row["answer_node"], row["params"]) == ("ok", "both", None, 0)
    files = [path for path in running.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if b"canary-7" in path.read_bytes()]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("provider_name", ["claude", "gemini"])
def test_a_chat_client_of_another_dialect(running: Proxy, provider_name: str, stream: bool) -> None:
    body = {**CHAT, "model": f"{provider_name}/echo", "stream": stream}
    answer = call(running.url, "/chat/completions", body, "translated")
    assert answer.status_code == 200, answer.text
    if stream:
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1])
    else:
        text = answer.json()["choices"][0]["message"]["content"]
    assert text == USER["content"]
    row = row_of(running, answer)
    assert (row["status"], row["dialect"], row["finish_reason"], row["usage_source"]) == (
        "ok", {"claude": "anthropic", "gemini": "gemini"}[provider_name], "stop", "provider",
    )  # fmt: skip
    logged = shown(running, answer)["answer"]
    assert logged["choices"][0]["message"]["content"] == USER["content"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("model", ["sim/echo", "up/echo", "gemini/echo"])
def test_a_messages_client_of_another_dialect(running: Proxy, model: str, stream: bool) -> None:
    answer = call(running.url, "/messages", {**MESSAGES, "model": model, "stream": stream}, "translated")
    assert answer.status_code == 200, answer.text
    if stream:
        assert answer.text.rstrip().endswith('data: {"type":"message_stop"}')
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    else:
        text = answer.json()["content"][0]["text"]
    assert text == USER["content"]
    row = row_of(running, answer)
    assert (row["status"], row["endpoint"], row["finish_reason"]) == ("ok", "messages", "stop")
    assert shown(running, answer)["answer"]["content"][0]["text"] == USER["content"]


def test_what_a_dialect_cannot_carry_is_named(running: Proxy) -> None:
    answer = call(running.url, "/chat/completions", {**CHAT, "model": "claude/echo", "n": 3}, "refused")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "caller_cannot_translate")
    assert "`n`" in answer.json()["error"]["message"]
    answer = call(running.url, "/embeddings", {"model": "claude/echo", "input": "x"}, "refused")
    assert answer.json()["error"]["code"] == "caller_cannot_translate"


def test_errors_have_the_shape_of_the_clients_dialect(running: Proxy) -> None:
    refused = call(running.url, "/messages", {**MESSAGES, "messages": 7}, "refused").json()
    assert (refused["type"], refused["error"]["type"]) == ("error", "invalid_request_error")
    failed = call(running.url, "/messages", {**MESSAGES, "model": "claude/429-quota"}, "failed")
    assert (failed.status_code, failed.json()["type"]) == (429, "error")
    translated = call(running.url, "/messages", {**MESSAGES, "model": "up/429-quota"}, "failed")
    assert (translated.status_code, translated.json()["type"]) == (429, "error")


def test_responses_are_linked_by_the_id_the_client_names(running: Proxy) -> None:
    first = call(running.url, "/responses", RESPONSES, "linked")
    parent = row_of(running, first)
    asked = {"model": "echo", "input": "and then", "previous_response_id": first.json()["id"]}
    second = call(running.url, "/responses", asked, "linked")
    row = row_of(running, second)
    assert (row["parent"], row["link_kind"], row["relation"], row["step"]) == (parent["seq"], "exact", "continue", 2)
    assert row["chain"] == parent["chain"]


def test_responses_are_linked_by_their_echoed_items(running: Proxy) -> None:
    first = call(running.url, "/responses", {**RESPONSES, "input": "find the echo 5521"}, "echoed")
    parent = row_of(running, first)
    items = [
        {"role": "user", "content": "find the echo 5521"},
        *first.json()["output"],
        {"role": "user", "content": "go on"},
    ]
    row = row_of(running, call(running.url, "/responses", {**RESPONSES, "input": items}, "echoed"))
    assert (row["parent"], row["step"]) == (parent["seq"], 2)


def test_messages_are_linked_by_their_echoed_blocks(running: Proxy) -> None:
    asked = {"role": "user", "content": "find the echo 7733"}
    first = call(running.url, "/messages", {**MESSAGES, "messages": [asked]}, "echoed")
    parent = row_of(running, first)
    turns = [asked, {"role": "assistant", "content": first.json()["content"]}, {"role": "user", "content": "go on"}]
    row = row_of(running, call(running.url, "/messages", {**MESSAGES, "messages": turns}, "echoed"))
    assert (row["parent"], row["step"]) == (parent["seq"], 2)


def test_tokens_are_counted_by_a_provider_that_can(running: Proxy) -> None:
    counted = call(running.url, "/messages/count_tokens", {**MESSAGES, "model": "claude/echo"}, "counting")
    assert counted.json()["input_tokens"] > 0
