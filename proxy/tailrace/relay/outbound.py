"""What the provider is sent, and which of its headers the client is given. Pure.

Both are allow-lists: a header that is on neither stays here, so that no credential, cookie or other gateway's header
travels by accident.
"""

from collections.abc import Iterable, Sequence
from typing import Final

Header = tuple[bytes, bytes]

_TO_PROVIDER: Final = frozenset(
    {b"accept", b"content-type", b"user-agent", b"idempotency-key", b"x-client-request-id", b"http-referer", b"x-title"}
)
_TO_PROVIDER_PREFIXES: Final = (b"openai-", b"x-stainless-")
_TO_CLIENT: Final = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"content-language",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"x-request-id",
    }
)
_TO_CLIENT_PREFIXES: Final = (b"openai-", b"x-ratelimit-", b"anthropic-")


def provider_headers(
    received: Iterable[Header], configured: Sequence[Header], credential: bytes | None
) -> tuple[Header, ...]:
    """The request headers of a provider call: what may travel, then the settings' own, then the credential.

    Answers are asked for uncompressed, so that a stream's terminal event can be recognised as it passes.
    """
    kept = [
        (name, value)
        for name, value in received
        if name in _TO_PROVIDER or name.startswith(_TO_PROVIDER_PREFIXES)
    ]  # fmt: skip
    kept.append((b"accept-encoding", b"identity"))
    kept.extend(configured)
    if credential is not None:
        kept.append((b"authorization", credential))
    return tuple(kept)


def client_headers(answered: Iterable[Header], completion_id: bytes) -> list[Header]:
    """The answer's headers: the provider's that may travel, `x-tailrace-id`, and `x-request-id` if it gave none."""
    kept = [(name, value) for name, value in answered if name in _TO_CLIENT or name.startswith(_TO_CLIENT_PREFIXES)]
    kept.append((b"x-tailrace-id", completion_id))
    if not any(name == b"x-request-id" for name, _ in kept):
        kept.append((b"x-request-id", completion_id))
    return kept


def header(headers: Iterable[Header], wanted: bytes) -> bytes | None:
    """The first header named `wanted` (lower case), or None."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def header_text(headers: Iterable[Header], wanted: bytes, *, limit: int = 256) -> str | None:
    """A header as text of at most `limit` characters; bytes outside ASCII as they stand in Latin-1."""
    value = header(headers, wanted)
    return None if value is None else value[:limit].decode("latin-1")
