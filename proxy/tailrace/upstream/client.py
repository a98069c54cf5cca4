"""Calls of a provider, as the relay sees them: `Upstream.call` sends an `Outgoing` and gives an `Answer`.

Owns the choice of the transport and the boundary of errors: beneath it httpx's, above it `tailrace.errors`, each with
the provider's name and what happened, and never a key or an address. It retries nothing, follows no redirect,
decompresses nothing, and knows no dialect. Only this package imports an HTTP client.
"""

import importlib.util
import ssl
import urllib.request
from collections.abc import Callable
from typing import Self

import httpx

from tailrace.errors import CallError, Code, ProviderFailed, ProviderTimeout, ProviderTruncated, Refused, SettingsError
from tailrace.settings import Provider, Timeouts, split_base_url
from tailrace.upstream.encode import Header
from tailrace.upstream.pool import Origin, PoolStats, PoolTransport
from tailrace.upstream.response import Disconnected
from tailrace.upstream.tls import client_context
from tailrace.upstream.wires import HttpxWire, Incoming, Outgoing, PoolWire, Upload, Wire

__all__ = ["Answer", "Outgoing", "Upload", "Upstream", "open_upstream"]


class Answer:
    """A provider's answer whose head has come. Iterate it for the body's pieces as they come; close it in any case.

    `headers` has names in lower case and values as they came. Iterating raises ProviderTruncated where the answer stops
    before its end, ProviderTimeout, or ProviderFailed. A cancellation while it waits closes the connection.
    """

    __slots__ = ("_incoming", "_name", "headers", "status")

    def __init__(self, name: str, incoming: Incoming) -> None:
        self.status = incoming.status
        self.headers: list[Header] = incoming.headers
        self._name = name
        self._incoming = incoming

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._incoming.read()
        except httpx.TransportError as exc:
            raise _failure(self._name, exc, answered=True) from exc
        if piece:
            return piece
        raise StopAsyncIteration

    def close(self) -> None:
        """Gives the connection up if the body was not read to its end. Synchronous, for a `finally`."""
        self._incoming.close()

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self._incoming.close()


class Upstream:
    """One provider's connections. Belongs to the event loop in which it is first used."""

    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire

    async def call(self, outgoing: Outgoing, timeouts: Timeouts) -> Answer:
        """Sends `outgoing` and returns when the answer's head is there, whatever its status.

        `connect_s` bounds connecting, and waiting for a free connection; `ping_idle_s` bounds each read and write. The
        other clocks are the caller's, who cancels.

        Raises ProviderFailed (`sent` tells whether the provider may have acted), ProviderTimeout, ProviderTruncated;
        CallError `policy_overloaded` where all connections are in use; Refused where the request cannot be sent.
        """
        try:
            return Answer(self.name, await self._wire.send(outgoing, timeouts))
        except httpx.TransportError as exc:
            raise _failure(self.name, exc, answered=False) from exc

    @property
    def stats(self) -> PoolStats | None:
        """The connections now; None where the transport is not our pool."""
        return self._wire.pool.stats if isinstance(self._wire, PoolWire) else None

    async def aclose(self) -> None:
        """Closes all connections, those of running calls too."""
        await self._wire.aclose()


def open_upstream(name: str, provider: Provider, transport: httpx.AsyncBaseTransport | None = None) -> Upstream:
    """The upstream of the provider `name`. Opens no connection yet. `transport` takes the place of the configured one.

    Where the base URL's path holds the model, that path is no part of the upstream's: it comes with each call.

    Raises SettingsError where the provider's table asks for what cannot be had.
    """
    url = _base_url(name, provider)
    if transport is None and provider.transport == "pool":
        transport = _pool(name, provider, url)
    elif transport is None:
        transport = _httpx_transport(name, provider, url)
    if isinstance(transport, PoolTransport):
        return Upstream(name, PoolWire(url, transport))
    return Upstream(name, HttpxWire(url, transport))


def _base_url(name: str, provider: Provider) -> httpx.URL:
    try:
        url = httpx.URL(split_base_url(provider.base_url)[0])
    except httpx.InvalidURL as exc:
        raise SettingsError(f"providers.{name}.base_url: {exc}") from exc
    if url.userinfo:
        raise SettingsError(f"providers.{name}.base_url: has a user or password in it; use api_key or headers instead")
    return url


def _pool(name: str, provider: Provider, url: httpx.URL) -> PoolTransport:
    make_context: Callable[[], ssl.SSLContext] = client_context
    if provider.ca_file is not None:
        context = _context(name, provider)  # a file of one's own is small, and a mistake in it shows now

        def make_context() -> ssl.SSLContext:
            return context

    return PoolTransport(
        Origin.of(url), max_connections=provider.max_connections, keepalive_s=provider.keepalive_s, context=make_context
    )


def _httpx_transport(name: str, provider: Provider, url: httpx.URL) -> httpx.AsyncHTTPTransport:
    if provider.http2 and importlib.util.find_spec("h2") is None:
        raise SettingsError(f"providers.{name}.http2: needs the package h2; install httpx[http2]")
    limits = httpx.Limits(
        max_connections=provider.max_connections,
        max_keepalive_connections=provider.max_connections,
        keepalive_expiry=provider.keepalive_s,
    )
    context = _context(name, provider)
    proxy = _proxy(name, provider, url, context)
    try:
        return httpx.AsyncHTTPTransport(http1=True, http2=provider.http2, verify=context, limits=limits, proxy=proxy)
    except ImportError as exc:  # the system's proxy speaks SOCKS, for which httpx wants another package
        raise SettingsError(f"providers.{name}.transport: the system's proxy cannot be used: {exc}") from exc


def _proxy(name: str, provider: Provider, url: httpx.URL, context: ssl.SSLContext) -> httpx.Proxy | None:
    """The proxy on the way to `url`: the settings' own, else the system's."""
    own = provider.proxy
    address = _system_proxy(url) if own is None else own.get_secret_value()
    if address is None:
        return None
    try:
        return httpx.Proxy(address, ssl_context=context if address.startswith("https:") else None)
    except (ValueError, httpx.InvalidURL) as exc:
        if own is None:
            raise SettingsError(f"providers.{name}.transport: the system's proxy cannot be used: {exc}") from exc
        # What httpx says of it may repeat the password.
        raise SettingsError(f"providers.{name}.proxy: is no address of a proxy; write http://host:port") from None


def _context(name: str, provider: Provider) -> ssl.SSLContext:
    try:
        return client_context(provider.ca_file)
    except OSError as exc:  # ssl.SSLError among them
        raise SettingsError(
            f"providers.{name}.ca_file: cannot be read as PEM certificates: {exc.strerror or exc}"
        ) from exc


def _system_proxy(url: httpx.URL) -> str | None:
    """The proxy that `HTTPS_PROXY` and the like, or macOS's settings, name for `url`; a bare transport reads none."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy is None or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _failure(name: str, exc: httpx.TransportError, *, answered: bool) -> CallError:
    """httpx's error as ours. `answered`: the answer's head had come."""
    match exc:
        case httpx.PoolTimeout():
            message = f"All connections to the provider {name} are in use."
            return CallError(Code.OVERLOADED, message, status=503, retry_after_s=1)
        case httpx.ConnectTimeout():
            return ProviderTimeout(f"The provider {name} could not be connected in time (connect_s).", sent=False)
        case httpx.TimeoutException():
            return ProviderTimeout(f"The provider {name} stopped responding: {exc}.")
        case httpx.LocalProtocolError():
            return Refused(Code.INVALID_REQUEST, f"The request cannot be sent to a provider: {exc}.", status=400)
        case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            message = f"The provider {name} could not be reached: {exc}."
            return ProviderFailed(Code.PROVIDER_UNREACHABLE, message, sent=False)
    if answered:
        return ProviderTruncated(f"The answer of the provider {name} stopped before its end: {exc}.")
    if isinstance(exc, Disconnected | httpx.NetworkError):
        return ProviderTruncated(f"The provider {name} ended the connection before it answered: {exc}.")
    return ProviderFailed(Code.PROVIDER_PROTOCOL, f"The provider {name} did not answer as HTTP asks: {exc}.")
