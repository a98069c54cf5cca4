"""Paths that Tailrace does not know: both ways as they are, of any size, their metadata in the log; and feedback."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.echo import CONTENT, echo
from tests.running import PATIENCE_S, Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("passthrough_e2e")

CONFIG = """
default_provider = "echo"
[server]
max_request_bytes = "40 MiB"
[providers.echo]
base_url = "{url}/base/v1"
api_key = "env:ECHO_KEY"
[providers.bare]
base_url = "{url}/bare"
transport = "httpx"
[models.painter]
targets = [{{provider = "bare", model = "image-1"}}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch, echo() as url:
        patch.setenv("ECHO_KEY", "provider-key")
        with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=url)) as started:
            yield started


@pytest.fixture
def client(running: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=PATIENCE_S) as opened:
        yield opened


def row_of(running: Proxy, answer: httpx.Response) -> dict[str, Any]:
    id_ = answer.headers["x-tailrace-id"].replace("-", "")
    return running.rows(1, f"hex(id) = '{id_.upper()}'")[0]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "PUT"])
def test_method_path_and_query_arrive_as_they_are(running: Proxy, client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/v1/vector_stores/vs%201/files?limit=2&after=a%2Fb", headers={"cookie": "c=1"})
    told = answer.json()
    assert (told["method"], told["path"], told["query"]) == (
        method, "/base/v1/vector_stores/vs%201/files", "limit=2&after=a%2Fb",
    )  # fmt: skip
    assert told["headers"]["authorization"] == "Bearer provider-key"
    assert "cookie" not in told["headers"]
    assert "set-cookie" not in answer.headers
    row = row_of(running, answer)
    assert (row["endpoint"], row["status"], row["provider"], row["http_status"]) == ("other", "ok", "echo", 200)


@pytest.mark.parametrize("provider", ["echo", "bare"])
@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_an_upload_is_streamed_whole(client: httpx.Client, provider: str, known: bool) -> None:
    data = b"\x00\xff\r\n--boundary" * 1_500_000

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), 65536):
            yield data[at : at + 65536]

    headers = {"content-type": "multipart/form-data; boundary=x", "x-tailrace-provider": provider}
    if known:
        headers["content-length"] = str(len(data))
    told = client.post("/v1/files", content=pieces(), headers=headers).json()
    assert (told["size"], told["sha"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert told["headers"]["content-type"] == "multipart/form-data; boundary=x"


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_an_upload_above_the_cap_is_refused(running: Proxy, client: httpx.Client, known: bool) -> None:
    piece = bytes(2**20)
    headers = {"content-length": str(41 * 2**20)} if known else {}
    try:
        answer = client.post("/v1/files", content=(piece for _ in range(41)), headers=headers)
    except (httpx.WriteError, httpx.ReadError):
        return  # refused while it was still sending: the connection is closed on it
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "caller_body_too_large"


def test_a_download_comes_byte_for_byte(running: Proxy, client: httpx.Client) -> None:
    answer = client.get("/v1/files/f1/content", headers={"range": "bytes=0-"})
    assert answer.content == CONTENT
    row = row_of(running, answer)
    assert (row["status"], row["answer_shape"]) == ("ok", None)


def test_head_has_no_body(client: httpx.Client) -> None:
    assert client.head("/v1/files/f1/content").content == b""


def test_a_json_body_goes_where_its_model_leads(client: httpx.Client) -> None:
    body = {"model": "painter", "prompt": "a weir"}
    told = client.post("/v1/images/generations", json=body).json()
    assert told["path"] == "/bare/images/generations"
    assert told["size"] == len(json.dumps({**body, "model": "image-1"}, separators=(",", ":")))


def test_an_unknown_provider_is_named(client: httpx.Client) -> None:
    answer = client.get("/v1/files", headers={"x-tailrace-provider": "nobody"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "caller_unknown_provider")
    assert "echo" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/chat/completions", "/v1/responses"])
def test_a_websocket_is_told_501(client: httpx.Client, path: str) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "eA==",
    }
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "caller_websocket")


def test_feedback_is_durable_before_it_is_acknowledged_and_is_the_same_again(
    running: Proxy, client: httpx.Client
) -> None:
    said = {"id": "chatcmpl-1", "thumb": "down", "correction": "No."}
    first = client.post("/v1/feedback", json=said)
    again = client.post("/v1/feedback", json=said)
    other = client.post("/v1/feedback", json=said, headers={"idempotency-key": "k1"})
    assert first.status_code == 200
    assert first.json() == again.json() == {**other.json(), "id": first.json()["id"]}
    assert first.json()["id"] != other.json()["id"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (b'{"id":"x"}', "says nothing"),
        (b'{"id":"x","colour":"blue","score":1}', "`colour`"),
        (b'{"score":1}', "`id`"),
        (b'{"id":"x","score":"1"}', "`score`"),
        (b'{"id":"x","score":true}', "`score`"),
        (b'{"id":"x","thumb":"sideways"}', "`thumb`"),
        (b'{"id":"x","text":7}', "`text`"),
        (b'{"id":"x","correction":{"role":"user"}}', "`correction`"),
        (b'{"id":"x","score":1,"tags":{"a":1}}', "`tags`"),
        (b'{"id":"x","score":1,"source":""}', "`source`"),
    ],
)
def test_wrong_feedback_is_refused_by_field(client: httpx.Client, body: bytes, named: str) -> None:
    answer = client.post("/v1/feedback", content=body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


def test_a_client_that_leaves_during_its_upload_is_noticed(running: Proxy) -> None:
    before = len(running.select("SELECT 1 FROM completion WHERE status = 'client_closed'"))

    def stop() -> Iterator[bytes]:
        yield bytes(1000)
        raise RuntimeError("gone")

    with httpx.Client(base_url=running.url) as leaving, pytest.raises(RuntimeError):
        leaving.post("/v1/files", content=stop(), headers={"content-length": "5000"})
    closed = "SELECT 1 FROM completion WHERE status = 'client_closed'"
    until(lambda: True if len(running.select(closed)) > before else None, "the row of a client that left")
