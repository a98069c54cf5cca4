"""Certificates and host names are verified; what cannot be verified is not spoken to, least of all in plain."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tailrace.errors import Code, ProviderFailed, ProviderTimeout
from tailrace.settings import Timeouts
from tailrace.upstream import tls
from tests.upstream.certs import Authority, server_context
from tests.upstream.rawserver import TIMEOUTS, Peer, RawServer, always, answer, chunked, fetch, opened, post

both = pytest.mark.parametrize("transport", ["pool", "httpx"])


def https(server: RawServer) -> str:
    return f"https://localhost:{server.port}/v1"


@both
async def test_a_good_certificate_is_spoken_to(transport: str, authority: Authority) -> None:
    spoken = []

    async def script(peer: Peer) -> None:
        tls_ = peer.writer.get_extra_info("ssl_object")
        while True:
            await peer.request()
            spoken.append(tls_.selected_alpn_protocol())
            await peer.send(answer(b"abc"))

    async with (
        RawServer(script, server_context(authority.good)) as server,
        opened(0, transport, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        assert await fetch(upstream) == await fetch(upstream) == b"abc"
    assert (server.accepted, spoken) == (1, ["http/1.1"] * 2)


@both
@pytest.mark.parametrize(
    ("which", "why"), [("expired", "expired"), ("elsewhere", "mismatch"), ("untrusted", "unable to get local issuer")]
)
async def test_a_wrong_certificate_is_refused(transport: str, which: str, why: str, authority: Authority) -> None:
    asked = []

    async def script(peer: Peer) -> None:
        asked.append(await peer.request())

    certificate = authority.good if which == "untrusted" else getattr(authority, which)
    ca_file = None if which == "untrusted" else authority.ca_file
    async with (
        RawServer(script, server_context(certificate)) as server,
        opened(0, transport, base_url=https(server), ca_file=ca_file) as upstream,
    ):
        with pytest.raises(ProviderFailed, match=f"(?i){why}") as caught:
            await upstream.call(post(), TIMEOUTS)
    assert (caught.value.code, caught.value.sent, asked) == (Code.PROVIDER_UNREACHABLE, False, [])


@both
async def test_plain_where_tls_is_spoken_is_refused(transport: str, authority: Authority) -> None:
    received = []

    async def script(peer: Peer) -> None:
        received.append(await peer.reader.read(64))
        await peer.send(answer(b"plain"))

    async with (
        RawServer(script) as server,
        opened(0, transport, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        with pytest.raises(ProviderFailed, match="acme could not be reached") as caught:
            await upstream.call(post(), TIMEOUTS)
    assert not caught.value.sent
    assert all(data.startswith(b"\x16\x03") for data in received)


@both
async def test_a_handshake_that_never_ends_times_out_and_is_closed(transport: str, authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.left()

    async with (
        RawServer(script) as server,
        opened(0, transport, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        with pytest.raises(ProviderTimeout) as caught:
            await upstream.call(post(), Timeouts(connect_s=0.1))
        await server.reached(lambda: server.closed == 1)
    assert not caught.value.sent


async def test_a_call_cancelled_in_the_handshake_is_closed(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.left()

    async with (
        RawServer(script) as server,
        opened(0, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(upstream.call(post(), TIMEOUTS))
            await server.reached(lambda: server.accepted == 1)
            task.cancel()
        await server.reached(lambda: server.closed == 1)
        assert upstream.stats is not None
        assert upstream.stats.open == 0


@both
async def test_an_answer_given_up_over_tls_is_closed_at_once(transport: str, authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(b"first", end=b""))
        await peer.left()

    async with (
        RawServer(script, server_context(authority.good)) as server,
        opened(0, transport, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        got = await upstream.call(post(), TIMEOUTS)
        assert await anext(got) == b"first"
        got.close()
        await server.reached(lambda: server.closed == 1)


async def test_a_large_body_over_tls_arrives_whole(authority: Authority) -> None:
    body = bytes(range(256)) * 16_384
    async with (
        RawServer(always(answer(body)), server_context(authority.good)) as server,
        opened(0, base_url=https(server), ca_file=authority.ca_file) as upstream,
    ):
        assert await fetch(upstream, post(body)) == body


def test_the_systems_authorities_come_first_and_certifis_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority
) -> None:
    empty = ssl.DefaultVerifyPaths("", "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: empty)
    assert len(tls.client_context().get_ca_certs()) > 50
    assert len(tls.client_context(authority.ca_file).get_ca_certs()) == 1
    context = tls.client_context(authority.ca_file)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
