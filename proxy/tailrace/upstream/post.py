"""One POST to an address that the operator allowed: no redirect, no body read, a bounded time."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx


class Poster:
    """Sends webhooks. An async context manager, on one event loop."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> str | None:
        """None where it was answered with 2xx; else in a word why not, without the address."""
        try:
            async with self._client.stream(
                "POST", url, headers=dict(headers), content=body, timeout=timeout_s
            ) as answer:
                return None if answer.is_success else f"status {answer.status_code}"
        except httpx.TimeoutException:
            return "no answer in time"
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            return f"cannot be reached ({type(exc).__name__})"
