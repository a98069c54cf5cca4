"""Scenarios in which HTTP itself, not the answer, is unusual: heads, framing, and what becomes of the connection."""

from collections.abc import Iterable, Iterator
from typing import Final

from tailrace.simulate.acts import Act, Close, Data, Early, Fin, Head, Headers, Raw, Wait, until_close
from tailrace.simulate.answer import echo
from tailrace.simulate.call import Call, content_type, json_acts, opened, request_id
from tailrace.simulate.scenarios.answers import plain_echo

_HINTS: Final = ((b"link", b"</style.css>; rel=preload"),)
_NOISE: Final = (
    (b"server", b"cloudflare"),
    (b"set-cookie", b"__cf_bm=simulated; path=/; HttpOnly; Secure"),
    (b"access-control-allow-origin", b"*"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"openai-processing-ms", b"12"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"proxy-authenticate", b"Basic"),
    (b"keep-alive", b"timeout=5"),
)


def noisy_headers(call: Call) -> Iterator[Act]:
    """Headers that are no client's business, beside some that are."""
    return _with_headers(call, _NOISE)


def huge_headers(call: Call) -> Iterator[Act]:
    """A header of 100 kB."""
    return _with_headers(call, ((b"x-huge", b"h" * 100_000),))


def many_headers(call: Call) -> Iterator[Act]:
    """2,000 headers."""
    return _with_headers(call, tuple((b"x-many-%d" % i, b"1") for i in range(2_000)))


def non_ascii_header(call: Call) -> Iterator[Act]:
    """A header in Latin-1 and in UTF-8."""
    return _with_headers(call, ((b"x-latin", b"caf\xe9"), (b"x-utf", "水車".encode())))


def bad_header(_call: Call) -> Iterable[Act]:
    """A header whose value holds a NUL, which no parser may let through."""
    return (
        Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-bad: a\0b\r\ncontent-length: 2\r\n\r\n{}"),
        Close(),
    )


def garbage_head(_call: Call) -> Iterable[Act]:
    """Bytes that are no HTTP."""
    return (Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Close())


def bad_chunk(call: Call) -> Iterator[Act]:
    """After the first event a chunk whose size is no number. So in a plain answer after the first piece."""
    head, pieces = opened(call, echo(call.asked))
    yield head
    yield Data(pieces[0])
    yield Raw(b"0x5\r\nhello\r\n")
    yield Close()


def early_hints(call: Call) -> Iterator[Act]:
    """One 103 before the answer."""
    yield Early(103, _HINTS)
    yield from plain_echo(call)


def flood_1xx(call: Call) -> Iterator[Act]:
    """A thousand 103 before the answer."""
    yield from (Early(103, _HINTS) for _ in range(1_000))
    yield from plain_echo(call)


def redirect(call: Call) -> Iterable[Act]:
    """302 to another host, which must never see the caller's key."""
    elsewhere = ((b"location", b"http://127.0.0.1:9/v1/chat/completions"),)
    return json_acts(302, call.wire.failure("Moved.", kind="server_error", status=302), elsewhere)


def keepalive_garbage(call: Call) -> Iterator[Act]:
    """A good answer; n milliseconds later, bytes that nobody asked for on the idle connection."""
    yield from plain_echo(call)
    yield from _pause(call)
    yield Raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"stray":true}')


def close_idle(call: Call) -> Iterator[Act]:
    """A good answer; n milliseconds later FIN, without having said so."""
    yield from plain_echo(call)
    yield from _pause(call)
    yield Close()


def connection_close(call: Call) -> Iterator[Act]:
    """A good answer that says `connection: close`, and is followed by it."""
    return _with_headers(call, ((b"connection", b"close"),))


def body_until_close(call: Call) -> Iterator[Act]:
    """A body without a length, that ends with the connection, as in HTTP/1.0."""
    _, pieces = opened(call, echo(call.asked))
    yield until_close(200, (content_type(call), request_id(call)))
    yield from map(Data, pieces)
    yield Fin()


def _pause(call: Call) -> Iterator[Act]:
    """The connection stays idle for n milliseconds; what a client sends meanwhile waits."""
    if call.n:
        yield Wait(call.n / 1000)


def _with_headers(call: Call, more: Headers) -> Iterator[Act]:
    for act in plain_echo(call):
        yield Head(act.status, (*act.headers, *more), act.framing, act.length) if isinstance(act, Head) else act
