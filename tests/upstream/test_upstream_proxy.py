"""Providers behind a company's HTTP proxy: tunnelled where TLS is spoken, asked for in full where it is not."""

import asyncio
import re

import pytest

from tailrace.errors import Code, ProviderFailed, SettingsError
from tailrace.settings import Provider
from tailrace.upstream.client import open_upstream
from tests.upstream.certs import Authority, server_context
from tests.upstream.forwardproxy import ForwardProxy
from tests.upstream.rawserver import TIMEOUTS, RawServer, always, answer, fetch, opened, post

LOGIN = "user:s3cret"


async def test_a_plain_provider_is_asked_for_through_the_configured_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # the setting wins over the system's
    async with (
        RawServer(always(answer(b"abc"))) as server,
        ForwardProxy() as proxy,
        opened(
            0,
            "httpx",
            base_url=f"http://provider.example:{server.port}/v1",
            proxy=f"http://127.0.0.1:{proxy.port}",
        ) as upstream,
    ):
        assert await fetch(upstream) == await fetch(upstream) == b"abc"
        assert proxy.lines == [b"POST http://provider.example:%d/v1/x HTTP/1.1" % server.port]
        assert server.accepted == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_provider_with_tls_is_tunnelled_and_its_certificate_verified(scheme: str, authority: Authority) -> None:
    context = server_context(authority.good)
    context.set_alpn_protocols([])  # a proxy that speaks HTTP/1.1 only
    async with (
        RawServer(always(answer(b"abc")), server_context(authority.good)) as server,
        RawServer(always(answer(b"no")), server_context(authority.elsewhere)) as impostor,
        ForwardProxy(LOGIN, context if scheme == "https" else None) as proxy,
    ):
        through = {"ca_file": authority.ca_file, "proxy": f"{scheme}://{LOGIN}@localhost:{proxy.port}"}
        async with opened(0, "httpx", base_url=f"https://localhost:{server.port}/v1", **through) as upstream:
            assert await fetch(upstream) == b"abc"
        async with opened(0, "httpx", base_url=f"https://localhost:{impostor.port}/v1", **through) as upstream:
            with pytest.raises(ProviderFailed, match="mismatch"):
                await fetch(upstream)
        assert proxy.lines == [b"CONNECT localhost:%d HTTP/1.1" % each.port for each in (server, impostor)]
        assert not any(b"CONNECT" in received.head for received in server.requests)


async def test_a_proxy_that_refuses_is_a_provider_out_of_reach(authority: Authority) -> None:
    async with (
        ForwardProxy(LOGIN) as proxy,
        opened(0, "httpx", base_url="https://localhost:1/v1", proxy=f"http://user:wr0ng@127.0.0.1:{proxy.port}") as up,
    ):
        with pytest.raises(ProviderFailed) as caught:
            await up.call(post(), TIMEOUTS)
    assert (caught.value.code, caught.value.sent) == (Code.PROVIDER_UNREACHABLE, False)
    assert not re.search("wr0ng|s3cret", str(caught.value))


async def test_a_proxy_that_is_gone_is_a_provider_out_of_reach() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with opened(0, "httpx", base_url="https://localhost:1/v1", proxy=f"http://127.0.0.1:{port}") as upstream:
        with pytest.raises(ProviderFailed) as caught:
            await upstream.call(post(), TIMEOUTS)
    assert (caught.value.code, caught.value.sent) == (Code.PROVIDER_UNREACHABLE, False)


def test_a_proxys_address_that_httpx_refuses_is_told_without_it() -> None:
    provider = Provider(base_url="http://x/v1", transport="httpx", proxy=f"http://{LOGIN}@[::/")
    with pytest.raises(SettingsError, match=r"providers\.acme\.proxy: is no address of a proxy") as caught:
        open_upstream("acme", provider)
    assert "s3cret" not in str(caught.value)
