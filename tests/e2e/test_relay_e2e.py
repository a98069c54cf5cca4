"""The relay over real sockets: what the client saw, what the provider saw, what the log kept."""

import json
import socket
import struct
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import PATIENCE_S, Proxy, until

pytestmark = pytest.mark.xdist_group("relay_e2e")

DONE = "data: [DONE]"
RETRIED = (429, 500, 502, 503)
"""Statuses that are tried once more; 504 is ours, of a provider that may have acted."""


def ask(model: str, *, stream: bool = False, text: str = "one two three four five six", **more: Any) -> dict[str, Any]:
    """A request whose user makes it findable."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": stream,
        "user": uuid.uuid4().hex,
        **more,
    }


def row_of(running: Proxy, body: dict[str, Any]) -> dict[str, Any]:
    """The one row of a request made with `ask`."""
    rows = running.rows(1, f"user = '{body['user']}'")
    assert len(rows) == 1
    return rows[0]


def tailrace(*words: str, data_dir: Path) -> str:
    """What a command says."""
    told = [sys.executable, "-m", "tailrace", *words, "--data-dir", str(data_dir)]
    return subprocess.run(told, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout


def entries(provider: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What the provider received of a request, once nothing of that model runs there any more."""
    model = body["model"].removeprefix("up/")
    waited = httpx.get(
        f"{provider}/_sim/wait", params={"model": model, "at_least": 0, "limit_s": 10}, timeout=PATIENCE_S
    )
    return [entry for entry in waited.json()["entries"] if entry["body"]["user"] == body["user"]]


@dataclass(frozen=True)
class Case:
    """A misbehaviour of the provider, and what must come of it."""

    model: str
    stream: bool
    status: int  # that the client sees
    row: str  # the row's status
    code: str | None  # of the error the client is told, None where it sees the provider's own answer
    ends: bool = False  # the client sees the terminal event
    cut: bool = False  # the client sees the connection end inside the answer


CASES = [
    Case("echo", stream=False, status=200, row="ok", code=None),
    Case("echo", stream=True, status=200, row="ok", code=None, ends=True),
    Case("sim/echo", stream=True, status=200, row="ok", code=None, ends=True),
    Case("cut-after-3", stream=True, status=200, row="provider_truncated", code=None, cut=True),
    Case("close-after-2", stream=True, status=200, row="provider_truncated", code="provider_truncated"),
    Case("reset-after-2", stream=True, status=200, row="provider_truncated", code="provider_truncated"),
    Case("no-done", stream=True, status=200, row="provider_truncated", code="provider_truncated"),
    Case("error-in-stream", stream=True, status=200, row="provider_error", code=None),
    Case("stall-after-3", stream=True, status=200, row="provider_timeout", code="provider_timeout"),
    Case("pings-only", stream=True, status=200, row="provider_timeout", code="provider_timeout"),
    Case("stall", stream=False, status=504, row="provider_timeout", code="provider_timeout"),
    Case("stall", stream=True, status=504, row="provider_timeout", code="provider_timeout"),
    Case("429", stream=False, status=429, row="provider_error", code=None),
    Case("500", stream=True, status=500, row="provider_error", code=None),
    Case("503", stream=False, status=503, row="provider_error", code=None),
    Case("html-error", stream=False, status=502, row="provider_error", code="provider_status"),
    Case("empty-error", stream=False, status=500, row="provider_error", code="provider_status"),
    Case("truncated-json-error", stream=False, status=500, row="provider_error", code="provider_status"),
    Case("invalid-json", stream=False, status=200, row="ok", code=None),
    Case("crlf", stream=True, status=200, row="ok", code=None, ends=True),
    Case("bom", stream=True, status=200, row="ok", code=None, ends=True),
    Case("drip", stream=True, status=200, row="ok", code=None, ends=True),
    Case("two-dones", stream=True, status=200, row="ok", code=None, ends=True),
    Case("usage-absurd", stream=False, status=200, row="ok", code=None),
    Case("big-2000", stream=False, status=200, row="ok", code=None),
    Case("gzip", stream=False, status=200, row="ok", code=None),
    Case("connection-close", stream=False, status=200, row="ok", code=None),
    Case("nowhere/x", stream=False, status=502, row="provider_error", code="provider_unreachable"),
]


def told_code(answer: httpx.Response, *, stream: bool) -> str | None:
    """The code of the error that an answer tells of, where it is one of ours."""
    texts = [answer.text]
    if stream and answer.status_code == 200:
        texts = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    for text in texts:
        try:
            told = json.loads(text).get("error")
        except (json.JSONDecodeError, AttributeError):
            continue
        if told is not None and str(told.get("code")).startswith(("provider_", "tailrace_", "caller_", "policy_")):
            return str(told["code"])
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}{'-stream' if case.stream else ''}")
def test_misbehaviour(running: Proxy, provider: str, case: Case) -> None:
    body = ask(case.model, stream=case.stream)
    if case.cut:
        with pytest.raises(httpx.RemoteProtocolError):
            running.post(body)
    else:
        answer = running.post(body)
        assert answer.status_code == case.status
        assert told_code(answer, stream=case.stream) == case.code
        assert (DONE in answer.text) == case.ends
        assert row_of(running, body)["hex_id"] == answer.headers["x-tailrace-id"].replace("-", "")
    row = row_of(running, body)
    assert row["status"] == case.row
    assert row["http_status"] == case.status
    if not case.model.startswith(("nowhere", "sim/")):
        assert len(entries(provider, body)) == row["attempts"] == (2 if case.status in RETRIED else 1)


def test_bytes_pass_through(running: Proxy, provider: str) -> None:
    body = json.dumps(
        ask("chunks-50", n=2, temperature=0.5, stream=True, stream_options={"include_usage": True})
    ).encode()
    headers = {"content-type": "application/json"}
    through = httpx.post(f"{running.url}/v1/chat/completions", content=body, headers=headers, timeout=PATIENCE_S)
    straight = httpx.post(f"{provider}/v1/chat/completions", content=body, headers=headers, timeout=PATIENCE_S)

    def blank(text: str) -> list[Any]:
        events = [line.removeprefix("data: ") for line in text.splitlines() if line]
        return [event if event == "[DONE]" else json.loads(event) | {"id": "", "created": 0} for event in events]

    assert blank(through.text) == blank(straight.text)


def test_usage_that_only_we_asked_for_is_taken_out(running: Proxy, provider: str) -> None:
    body = ask("echo", stream=True)
    answer = running.post(body)
    assert '"usage":{' not in answer.text
    assert entries(provider, body)[0]["body"]["stream_options"] == {"include_usage": True}
    row = row_of(running, body)
    assert (row["usage_source"], row["output_tokens"] > 0) == ("provider", True)


def test_the_callers_key_is_passed_on_and_stored_nowhere(running: Proxy, provider: str) -> None:
    body = ask("echo")
    canary = "sk-canary-" + uuid.uuid4().hex
    running.post(body, authorization=f"Bearer {canary}", cookie="a=b")
    sent = dict(entries(provider, body)[0]["headers"])
    assert "authorization" in sent
    assert "cookie" not in sent
    assert row_of(running, body)["key"] is not None
    for path in [*running.data_dir.rglob("*"), running.stderr]:
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


def connection_to(running: Proxy, body: dict[str, Any]) -> socket.socket:
    """A raw socket that has sent a request."""
    host, port = running.url.removeprefix("http://").split(":")
    raw = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
    payload = json.dumps(body).encode()
    raw.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        + f"content-length: {len(payload)}\r\n\r\n".encode()
        + payload
    )
    return raw


def read_events(raw: socket.socket, count: int) -> bytes:
    """What came until `count` events were there."""
    got = b""
    while got.count(b"\n\n") < count:
        piece = raw.recv(65536)
        assert piece, got
        got += piece
    return got


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("events", [0, 1, 5])
def test_client_leaves_a_stream(running: Proxy, provider: str, events: int, reset: bool) -> None:
    body = ask("chunk-every-100", stream=True, text="word " * 100)
    raw = connection_to(running, body)
    read_events(raw, events)
    if reset:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    row = row_of(running, body)
    assert row["status"] == "client_closed"
    entry = entries(provider, body)[0]
    assert (entry["closed_by"], entry["finished"]) == ("client", False)


@pytest.mark.parametrize("stream", [False, True])
def test_client_leaves_before_the_first_byte(running: Proxy, provider: str, stream: bool) -> None:
    body = ask("slow-900", stream=stream)
    raw = connection_to(running, body)
    until(lambda: entries_now(provider, body) or None, "the provider's ledger")
    raw.close()
    row = row_of(running, body)
    assert (row["status"], row["http_status"], row["first_byte_us"]) == ("client_closed", None, None)
    assert entries(provider, body)[0]["closed_by"] == "client"


def entries_now(provider: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What the provider has received of a request so far."""
    ledger = httpx.get(f"{provider}/_sim/ledger", params={"model": body["model"]}, timeout=PATIENCE_S).json()
    return [entry for entry in ledger["entries"] if entry["body"]["user"] == body["user"]]


def test_drain_reads_on_after_the_client_left(running: Proxy) -> None:
    body = ask("patient", stream=True, text="a b c d e f g h i j")
    raw = connection_to(running, body)
    read_events(raw, 1)
    raw.close()
    row = row_of(running, body)
    assert row["status"] == "client_closed"
    assert row["finish_reason"] == "stop"
    assert row["usage_source"] == "provider"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "caller_invalid_json"),
        (b"[]", 400, "caller_invalid_request"),
        (b'{"model":"echo"}', 400, "caller_invalid_request"),
        (b'{"messages":[{}]}', 400, "caller_invalid_request"),
        (b'{"model":"echo","messages":[{"role":"user","content":"x"}],"stream":"yes"}', 400, "caller_invalid_request"),
        (b"[" * 100_000, 400, "caller_invalid_json"),
        (b'{"model":"\\ud800","messages":[]}', 400, "caller_invalid_json"),
    ],
)
def test_bad_requests_are_refused_in_the_clients_dialect(
    running: Proxy, content: bytes, status: int, code: str
) -> None:
    answer = httpx.post(f"{running.url}/v1/chat/completions", content=content, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    (row,) = running.rows(1, f"hex(id) = '{answer.headers['x-tailrace-id'].replace('-', '').upper()}'")
    assert (row["status"], row["error"], row["http_status"], row["endpoint"]) == (
        "refused", code, status, "chat.completions",
    )  # fmt: skip
    assert (row["parent"], row["key"], row["provider"]) == (None, None, "")


def test_an_unreadable_request_is_kept_as_it_came_and_stays_out_of_chains(running: Proxy) -> None:
    first = ask("echo")
    running.post(first)
    turns = [*first["messages"], {"role": "assistant", "content": first["messages"][0]["content"]}]
    again = {**first, "messages": [*turns, {"role": "user", "content": "and then"}]}
    bad = running.post({**again, "stream": "yes"}, **{"x-tailrace-user": "bad-shape"})
    assert bad.status_code == 400
    running.post(again)
    (row,) = running.rows(1, "user = 'bad-shape'")
    assert (row["status"], row["parent"]) == ("refused", None)
    begun, continued = running.rows(2, f"user = '{first['user']}'")
    assert (continued["parent"], continued["relation"], begun["children"]) == (begun["seq"], "continue", 1)
    shown = tailrace("logs", "show", row["hex_id"], "--json", data_dir=running.data_dir)
    assert json.loads(shown)["request"]["stream"] == "yes"


def test_an_unreadable_body_is_shown_but_not_if_its_caller_asked_for_no_log(running: Proxy) -> None:
    for user, more in (("not-json", {}), ("not-json-private", {"x-tailrace-log": "metadata"})):
        headers = {"x-tailrace-user": user, **more}
        httpx.post(f"{running.url}/v1/responses", content=b'{"model": s3cret', headers=headers, timeout=PATIENCE_S)
    (kept,) = running.rows(1, "user = 'not-json'")
    (private,) = running.rows(1, "user = 'not-json-private'")
    raws = running.select(f"SELECT * FROM raw WHERE completion IN ({kept['seq']}, {private['seq']})")
    assert [(raw["completion"], raw["side"], raw["reason"]) for raw in raws] == [(kept["seq"], "request", "not JSON")]
    listed = tailrace("logs", "status = refused and endpoint = responses", data_dir=running.data_dir)
    assert listed.count("refused") >= 2
    assert "s3cret" in tailrace("logs", "show", kept["hex_id"], "--raw", data_dir=running.data_dir)
    assert "s3cret" not in tailrace("logs", "show", private["hex_id"], data_dir=running.data_dir)


def test_too_large_is_refused_before_it_is_read(running: Proxy) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/models", 405, "caller_method_not_allowed"),
        ("GET", "/v2/nothing", 404, "caller_unknown_path"),
        ("GET", "/v1/feedback", 405, "caller_method_not_allowed"),
        ("GET", "/v1/%2e%2e/healthz", 400, "caller_invalid_request"),
        ("GET", "/", 404, "caller_unknown_path"),
        ("GET", "/v1/models?provider=none", 404, "caller_unknown_model"),
    ],
)
def test_wrong_paths(running: Proxy, method: str, path: str, status: int, code: str) -> None:
    answer = httpx.request(method, running.url + path, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_models_lists_aliases_and_providers(running: Proxy) -> None:
    listed = [model["id"] for model in running.get("/v1/models").json()["data"]]
    assert {"patient", "sim/echo"} <= set(listed)
    assert running.get("/v1/models?provider=up").json()["object"] == "list"


def test_operations(running: Proxy) -> None:
    assert running.get("/healthz").text == "ok\n"
    assert running.get("/readyz").json() == {"ready": True, "reasons": []}
    running.post(ask("echo"))
    assert (
        'tailrace_requests_total{endpoint="chat.completions",provider="up",status="ok"}' in running.get("/metrics").text
    )


def test_unknown_models_mint_no_series(running: Proxy) -> None:
    before = len(running.get("/metrics").text.splitlines())
    for _ in range(50):
        running.post(ask(f"junk-{uuid.uuid4().hex}"))
    assert len(running.get("/metrics").text.splitlines()) <= before + 5
