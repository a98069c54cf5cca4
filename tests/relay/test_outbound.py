"""Headers: what travels to the provider, what comes back, and that nothing else does."""

from tailrace.relay.outbound import client_headers, header, header_text, provider_headers
from tailrace.wire.dialects import DIALECTS

RECEIVED = [
    (b"host", b"localhost:4700"),
    (b"authorization", b"Bearer client-key"),
    (b"cookie", b"session=1"),
    (b"x-tailrace-session", b"s1"),
    (b"connection", b"keep-alive"),
    (b"transfer-encoding", b"chunked"),
    (b"accept-encoding", b"gzip"),
    (b"content-type", b"application/json"),
    (b"user-agent", b"OpenAI/Python"),
    (b"x-stainless-lang", b"python"),
    (b"openai-organization", b"org"),
    (b"helicone-auth", b"Bearer other"),
]


def test_only_the_allow_list_travels() -> None:
    sent = provider_headers(
        RECEIVED, DIALECTS["openai"], ((b"x-extra", b"1"),), (b"authorization", b"Bearer provider-key")
    )
    assert sent == (
        (b"content-type", b"application/json"),
        (b"user-agent", b"OpenAI/Python"),
        (b"x-stainless-lang", b"python"),
        (b"openai-organization", b"org"),
        (b"accept-encoding", b"identity"),
        (b"x-extra", b"1"),
        (b"authorization", b"Bearer provider-key"),
    )


def test_no_credential_means_no_header() -> None:
    assert not [
        name for name, _ in provider_headers(RECEIVED, DIALECTS["openai"], (), None) if name == b"authorization"
    ]


def test_answer_headers_keep_what_sdks_obey_and_drop_the_rest() -> None:
    answered = [
        (b"content-type", b"application/json"),
        (b"retry-after-ms", b"20"),
        (b"x-ratelimit-remaining-requests", b"3"),
        (b"x-request-id", b"req_1"),
        (b"set-cookie", b"a=b"),
        (b"server", b"cloud"),
        (b"content-length", b"12"),
        (b"access-control-allow-origin", b"*"),
    ]
    assert client_headers(answered, b"id") == [*answered[:4], (b"x-tailrace-id", b"id")]


def test_request_id_is_ours_where_the_provider_gave_none() -> None:
    assert (b"x-request-id", b"id") in client_headers([], b"id")


def test_header_text_is_bounded_and_never_fails() -> None:
    assert header_text([(b"a", b"\xff" * 400)], b"a") == "\xff" * 256
    assert header([], b"a") is None
