"""The running relay, called by Tailrace's other processes and its commands as any client would call it.

So each of these calls is routed, limited and logged like an application's; its row says on whose behalf it was made.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import orjson
from pydantic import ValidationError

from tailrace.errors import CallError, UserError
from tailrace.internal import internal_headers
from tailrace.records import Json, Origin
from tailrace.settings import Provider, Timeouts
from tailrace.upstream.client import Outgoing, open_upstream
from tailrace.wire.own import Completed, read_completed, read_vectors

_MOST_BYTES: Final = 64 << 20
"""Of an answer; more is a failure."""


class RelayClient:
    """Calls of one relay. Use as an async context manager, on one event loop."""

    def __init__(self, url: str, key: str, *, concurrency: int, timeouts: Timeouts | None = None) -> None:
        """`url` is where the relay listens, without `/v1`; `key` is the folder's (`internal.read_internal_key`).

        Raises:
            UserError: the URL is none.
        """
        try:
            provider = Provider(base_url=f"{url.rstrip('/')}/v1", max_connections=concurrency)
        except ValidationError as exc:
            raise UserError(f"--url {url!r}: expected where the proxy listens, such as http://127.0.0.1:4700") from exc
        self._upstream = open_upstream("proxy", provider)
        self._key = key
        self._timeouts = timeouts or Timeouts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._upstream.aclose()

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        """One chat completion, not streamed. Failures of any kind are in the result; never raises CallError.

        `private`: neither body is logged.
        """
        body = orjson.dumps(request)
        return await self.post("/chat/completions", body, origin=origin, source=source, private=private)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        """One vector for each of `texts`, in order; None: they cannot be had. Their bodies are not logged."""
        body = orjson.dumps({"model": model, "input": list(texts), "encoding_format": "float"})
        done = await self.post("/embeddings", body, origin=Origin.CLASSIFIER, private=True)
        return read_vectors(done, len(texts))

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        origin: Origin,
        source: str | None = None,
        private: bool = False,
        name: str | None = None,
    ) -> Completed:
        """As `complete`, of any path behind `/v1` and a body as it goes over the wire, a stream's wish included.

        `name`, printable ASCII, is the call's own: its row is found by it (`external_id`).
        """
        headers = internal_headers(self._key, origin, source)
        if name is not None:
            headers = (*headers, (b"x-tailrace-external-id", name.encode("ascii")))
        if private:
            headers = (*headers, (b"x-tailrace-log", b"metadata"))
        try:
            answer = await self._upstream.call(Outgoing("POST", path, b"", headers, body), self._timeouts)
            said = bytearray()
            try:
                async for chunk in answer:
                    said += chunk
                    if len(said) > _MOST_BYTES:
                        return Completed(answer.status, None, f"the answer is larger than {_MOST_BYTES} bytes")
            finally:
                answer.close()
        except CallError as error:
            return Completed(None, None, error.message)
        return read_completed(answer.status, answer.headers, bytes(said))
