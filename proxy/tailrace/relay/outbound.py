"""What the provider is sent, and which of its headers the client is given. Pure.

Both are allow-lists: a header that is on neither stays here, so that no credential, cookie or other gateway's header
travels by accident.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tailrace.keys import is_token
from tailrace.wire.dialect import Dialect

Header = tuple[bytes, bytes]

_TO_PROVIDER: Final = frozenset(
    {
        b"accept",
        b"content-type",
        b"user-agent",
        b"idempotency-key",
        b"x-client-request-id",
        b"http-referer",
        b"x-title",
        b"range",
        b"if-none-match",
    }
)
_TO_PROVIDER_PREFIXES: Final = {
    "openai": (b"openai-", b"x-stainless-"),
    "anthropic": (b"anthropic-", b"x-stainless-"),
    "gemini": (),
}
_CREDENTIALS: Final = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
_TO_CLIENT: Final = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"content-language",
        b"content-disposition",
        b"content-range",
        b"accept-ranges",
        b"etag",
        b"last-modified",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"x-request-id",
    }
)
_TO_CLIENT_PREFIXES: Final = (b"openai-", b"x-ratelimit-", b"anthropic-")


def provider_headers(
    received: Iterable[Header] | None, dialect: Dialect, configured: Sequence[Header], credential: Header | None
) -> tuple[Header, ...]:
    """The request headers of a provider call: what may travel, then the settings' own, then the credential.

    `received` None: the request was translated, so what the client said of it holds no more. Answers are asked for
    uncompressed, so that a stream's terminal event can be recognised as it passes.
    """
    if received is None:
        kept: list[Header] = [(b"content-type", b"application/json")]
    else:
        prefixes = _TO_PROVIDER_PREFIXES[dialect.name]
        kept = [
            (name, value)
            for name, value in received
            if name in _TO_PROVIDER or name.startswith(prefixes)
        ]  # fmt: skip
    if configured:
        names = {name for name, _ in configured}
        kept = [one for one in kept if one[0] not in names]
    kept.append((b"accept-encoding", b"identity"))
    for own in dialect.headers:
        if header(kept, own[0]) is None:
            kept.append(own)
    kept.extend(configured)
    if credential is not None:
        kept.append(credential)
    return tuple(kept)


def caller_credential(headers: Iterable[Header]) -> Header | None:
    """The header in which a caller brought a provider's key, as OpenAI's, Anthropic's, Azure's or Google's clients do.

    A key of ours is none: it opens this proxy, and no provider is shown it.
    """
    for name, value in headers:
        if name in _CREDENTIALS and not is_token(bare(name, value)):
            return name, value
    return None


def credentials(headers: Iterable[Header]) -> Iterator[bytes]:
    """All keys that a caller brought, each without the word before it."""
    for name, value in headers:
        if name in _CREDENTIALS:
            yield bare(name, value)


def bare(name: bytes, value: bytes) -> bytes:
    """The key in a header that brings one."""
    return value[len(b"Bearer ") :] if name == b"authorization" and value[:7].lower() == b"bearer " else value


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
