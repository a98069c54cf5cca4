"""Bodies far larger than what a relay may hold: a form up, a file down, and each one byte above its cap.

64 MiB each way in every run; 1 GiB each way by `make test-clients`. The peak of the relay's memory is the kernel's own
count (`VmHWM`), so nothing between two looks is missed.
"""

import hashlib
import itertools
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.running import PATIENCE_S, Proxy, proxy, simulator

pytestmark = pytest.mark.xdist_group("large_e2e")

MIB: Final = 2**20
MOST_GROWTH: Final = 32 * MIB
PIECE: Final = bytes(range(256)) * 1024  # 256 KiB
HEAD: Final = (
    b'--edge\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--edge\r\ncontent-disposition: form-data; name="file"; filename="large.bin"\r\n'
    b"content-type: application/octet-stream\r\n\r\n"
)
TAIL: Final = b"\r\n--edge--\r\n"
FORM: Final = {"content-type": "multipart/form-data; boundary=edge"}
CONFIG: Final = """
default_provider = "ours"
[server]
workers = 1
max_request_bytes = {up}
[providers.ours]
base_url = "{url}/v1"
max_answer_bytes = {down}
[providers.theirs]
base_url = "{url}/v1"
max_answer_bytes = {down}
transport = "httpx"
"""


@dataclass(frozen=True, slots=True)
class Large:
    """A proxy that takes a form with a file of `size` bytes and not one byte more, and the provider behind it."""

    proxy: Proxy
    provider: str
    size: int

    def peak(self) -> int:
        """The most memory that the relay has had, in bytes."""
        (relay,) = self.proxy.children("relay.app")
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{relay}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Within, the relay may not grow by much."""
        before = self.peak()
        yield
        grown = self.peak() - before
        assert grown <= MOST_GROWTH, f"the relay grew by {grown / MIB:.0f} MiB"

    def row(self, answer: httpx.Response) -> dict[str, Any]:
        return self.proxy.rows(1, f"hex(id) = '{answer.headers['x-tailrace-id'].replace('-', '').upper()}'")[0]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(64 * MIB, id="64MiB"),
        pytest.param(1024 * MIB, id="1GiB", marks=[pytest.mark.heavy, pytest.mark.timeout(600)]),
    ],
)
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        config = CONFIG.format(url=url, up=len(HEAD) + request.param + len(TAIL), down=request.param)
        with proxy(tmp_path_factory.mktemp("proxy"), config) as started:
            yield Large(started, url, request.param)


@pytest.fixture
def client(large: Large) -> Iterator[httpx.Client]:
    """One that is warm: what the first call takes is no growth."""
    with httpx.Client(base_url=large.proxy.url, timeout=PATIENCE_S) as opened:
        for provider in ("ours", "theirs"):
            named = {"x-tailrace-provider": provider}
            assert opened.post("/v1/files", content=form(MIB), headers=FORM | named).status_code == 200
            assert len(opened.get(f"/v1/files/f/content?sim_bytes={MIB}", headers=named).content) == MIB
        yield opened


def form(size: int) -> Iterator[bytes]:
    """A form whose file has `size` bytes."""
    yield HEAD
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield TAIL


def digest(pieces: Iterator[bytes]) -> str:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    return whole.hexdigest()


@pytest.mark.parametrize("provider", ["ours", "theirs"])
@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_a_form_goes_up(large: Large, client: httpx.Client, provider: str, known: bool) -> None:
    headers = {**FORM, "x-tailrace-provider": provider}
    if known:
        headers["content-length"] = str(len(HEAD) + large.size + len(TAIL))
    with large.bounded():
        answer = client.post("/v1/files", content=form(large.size), headers=headers)
    told = answer.json()
    file = digest(PIECE for _ in range(large.size // len(PIECE)))
    assert (told["filename"], told["purpose"], told["bytes"]) == ("large.bin", "user_data", large.size)
    assert told["sha256"] == file
    row = large.row(answer)
    assert (row["status"], row["endpoint"], row["provider"], row["http_status"]) == ("ok", "other", provider, 200)


@pytest.mark.parametrize("provider", ["ours", "theirs"])
def test_a_file_comes_down(large: Large, client: httpx.Client, provider: str) -> None:
    path = f"/v1/files/f/content?sim_bytes={large.size}"
    with httpx.stream("GET", large.provider + path, timeout=PATIENCE_S) as straight:
        wanted = digest(straight.iter_raw())
    counted = 0

    def pieces(answer: httpx.Response) -> Iterator[bytes]:
        nonlocal counted
        for piece in answer.iter_raw():
            counted += len(piece)
            yield piece

    with large.bounded(), client.stream("GET", path, headers={"x-tailrace-provider": provider}) as answer:
        assert digest(pieces(answer)) == wanted
    assert counted == large.size
    row = large.row(answer)
    assert (row["status"], row["provider"], row["http_status"], row["answer_shape"]) == ("ok", provider, 200, None)


@pytest.mark.parametrize("provider", ["ours", "theirs"])
def test_one_byte_more_is_refused(large: Large, client: httpx.Client, provider: str) -> None:
    with large.bounded():
        answer = client.post(
            "/v1/files",
            content=itertools.chain(form(large.size), [b"\n"]),
            headers={**FORM, "x-tailrace-provider": provider},
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "caller_body_too_large")
    row = large.row(answer)
    assert (row["status"], row["error"], row["http_status"]) == ("refused", "caller_body_too_large", 413)


def test_what_says_that_it_is_longer_is_refused_at_once(large: Large) -> None:
    url = httpx.URL(large.proxy.url)
    length = len(HEAD) + large.size + len(TAIL) + 1
    with socket.create_connection((url.host, url.port or 80), PATIENCE_S) as raw:
        raw.sendall(b"POST /v1/files HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % length)
        assert raw.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("provider", ["ours", "theirs"])
def test_one_byte_more_is_not_given(large: Large, client: httpx.Client, provider: str) -> None:
    path = f"/v1/files/f/content?sim_bytes={large.size + 1}"
    with (
        large.bounded(),
        client.stream("GET", path, headers={"x-tailrace-provider": provider}) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for _ in answer.iter_raw():
            pass
    row = large.row(answer)
    assert (row["status"], row["error"], row["http_status"]) == ("provider_error", "provider_too_large", 200)
