"""Bodies that are not held: counted, hashed and taken apart, however they come."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.simulate.server import Server
from tailrace.simulate.simulator import Simulator
from tailrace.simulate.uploads import Arriving
from tailrace.upstream.simulated import SimulatedTransport
from tests.simulate.rawclient import GUARD_S, RawClient, Seen, head

FORM = b"multipart/form-data; boundary=edge"


def form(*parts: tuple[str, bytes]) -> bytes:
    """A body of parts, each with what stands behind its `content-disposition: form-data; `."""
    body = b""
    for told, content in parts:
        body += b"--edge\r\ncontent-disposition: form-data; " + told.encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--edge--\r\n"


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    marks = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return (body[one:other] for one, other in itertools.pairwise(marks))


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(content=st.binary(max_size=300), value=st.text("ab c\n水", max_size=40), cuts=CUTS)
def test_parts_are_the_same_in_any_pieces(content: bytes, value: str, cuts: list[int]) -> None:
    body = form(('name="purpose"', value.encode()), ('name="file"; filename="a.jsonl"', content + b"\r\n--edgy"))
    arriving = Arriving(FORM)
    for piece in pieces(body, cuts):
        arriving.feed(piece)
    held, upload = arriving.end()
    assert held == b""
    assert upload is not None
    assert (upload.size_bytes, upload.sha256, upload.fault) == (len(body), sha256(body).hexdigest(), None)
    assert upload.field("purpose") == value
    assert upload.file is not None
    assert (upload.file.filename, upload.file.size_bytes) == ("a.jsonl", len(content) + 8)
    assert upload.file.sha256 == sha256(content + b"\r\n--edgy").hexdigest()


@given(body=st.binary(max_size=200), bound=st.integers(0, 100), cuts=CUTS)
def test_what_is_above_the_bound_is_hashed(body: bytes, bound: int, cuts: list[int]) -> None:
    arriving = Arriving(b"application/json", bound)
    for piece in pieces(body, cuts):
        arriving.feed(piece)
    held, upload = arriving.end()
    if len(body) <= bound:
        assert (held, upload) == (body, None)
    else:
        assert held == b""
        assert upload is not None
        assert (upload.size_bytes, upload.sha256) == (len(body), sha256(body).hexdigest())


@pytest.mark.parametrize("body", [b"", b"--edge\r\n", form(('name="a"', b"b"))[:-6], b"no part at all"])
def test_a_form_that_is_broken_says_so(body: bytes) -> None:
    arriving = Arriving(FORM)
    arriving.feed(body)
    _, upload = arriving.end()
    assert upload is not None
    assert upload.fault
    assert upload.sha256 == sha256(body).hexdigest()


def test_a_long_field_is_no_value() -> None:
    arriving = Arriving(FORM)
    arriving.feed(form(('name="a"', b"x" * 5_000)))
    _, upload = arriving.end()
    assert upload is not None
    assert (upload.field("a"), upload.parts[0].size_bytes, upload.file) == (None, 5_000, None)


async def test_a_large_upload_is_never_held(server: Server, simulator: Simulator) -> None:
    piece = bytes(range(256)) * 4_096  # 1 MiB
    count = 80
    async with RawClient(server.port) as client:
        start = head(b"", path="/v1/files").replace(b"content-length: 0", b"content-length: %d" % (count * len(piece)))
        client.writer.write(start)
        async with asyncio.timeout(GUARD_S):
            for _ in range(count):
                client.writer.write(piece)
                await client.writer.drain()
        seen = await client.read(Seen())
    told = orjson.loads(seen.body)
    whole = sha256()
    for _ in range(count):
        whole.update(piece)
    assert (told["body_bytes"], told["sha256"]) == (count * len(piece), whole.hexdigest())
    (entry,) = simulator.ledger.entries()
    assert (entry.request.body, entry.request.size_bytes) == (b"", count * len(piece))
    assert entry.shape()["body"] == {"sha256": whole.hexdigest(), "size_bytes": count * len(piece)}


async def test_in_process_a_body_is_taken_as_it_comes(simulator: Simulator) -> None:
    body = form(('name="model"', b"whisper-1"), ('name="file"; filename="a.wav"', bytes(1_000)))

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces(body, [7, 300]):
            yield piece

    request = httpx.Request(
        "POST", "http://sim/v1/audio/transcriptions?a=b%2Fc", content=stream(), headers={"content-type": FORM.decode()}
    )
    answer = await SimulatedTransport(simulator).handle_async_request(request)
    told = orjson.loads(await answer.aread())
    assert (told["text"], told["query"], told["body_bytes"]) == ("a.wav, 1000 bytes.", "a=b%2Fc", len(body))
    assert told["sha256"] == sha256(body).hexdigest()


async def test_a_question_too_large_to_be_held_is_413(server: Server) -> None:
    async with RawClient(server.port) as client:
        client.writer.write(head(b"").replace(b"content-length: 0", b"content-length: %d" % (65 * 2**20)))
        for _ in range(65):
            client.writer.write(bytes(2**20))
            await client.writer.drain()
        seen = await client.read(Seen())
    assert (seen.status, seen.end) == (413, "well")


async def test_a_head_without_end_is_refused(server: Server) -> None:
    async with RawClient(server.port) as client:
        client.writer.write(b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * (2**20 + 1))
        assert (await client.read(Seen())).status == 400
