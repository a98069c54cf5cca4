"""Scenarios that answer with an error status, and those that do so only at first."""

from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Final

import orjson

from tailrace.simulate.acts import Act, Close, Data, Fin, Headers, Reset, sized
from tailrace.simulate.call import Call, failed, json_acts
from tailrace.simulate.scenarios.answers import plain_echo
from tailrace.simulate.wire import JSON_TYPE

Play = Callable[[Call], Iterable[Act]]

_MESSAGES: Final = {
    401: ("Incorrect API key provided.", "invalid_request_error"),
    429: ("Rate limit reached for requests.", "requests"),
    500: ("The server had an error while processing your request.", "server_error"),
    502: ("Bad gateway.", "server_error"),
    503: ("The engine is currently overloaded, please try again later.", "server_error"),
    529: ("Overloaded.", "overloaded_error"),
}
_FLAKY: Final = (500, 502, 503, 529)
_HUGE_ERROR_BYTES: Final = 2**20


def _fail(call: Call, status: int, headers: Headers = ()) -> Iterable[Act]:
    message, kind = _MESSAGES.get(status, (f"The simulated provider answers {status}.", "server_error"))
    return failed(call, status, message, kind, headers)


def failing(status: int, *headers: tuple[bytes, bytes]) -> Play:
    """A scenario that always answers `status` with `headers`."""
    return lambda call: _fail(call, status, headers)


def first(play: Play) -> Play:
    """A scenario that plays `play` at a caller's first attempt, then echoes."""
    return lambda call: play(call) if call.attempt() == 1 else plain_echo(call)


def repeated(play: Play) -> Play:
    """A scenario that plays `play` at a caller's first n attempts, then echoes."""
    return lambda call: play(call) if call.attempt() <= call.n else plain_echo(call)


def status(call: Call) -> Iterable[Act]:
    """The status n."""
    return _fail(call, call.n)


def retry_after(call: Call) -> Iterable[Act]:
    """429, to be tried again in n seconds."""
    return _fail(call, 429, ((b"retry-after", b"%d" % call.n),))


def retry_date(call: Call) -> Iterable[Act]:
    """429, to be tried again at a date two seconds ahead."""
    return _fail(call, 429, ((b"retry-after", formatdate(call.stamp.created + 2, usegmt=True).encode()),))


def flaky(call: Call) -> Iterable[Act]:
    """An error for n of each hundred calls, spread evenly; an echo for the others."""
    number = call.stamp.number
    if number * call.n // 100 == (number - 1) * call.n // 100:
        return plain_echo(call)
    return _fail(call, _FLAKY[number % len(_FLAKY)])


def spare_one_in(call: Call) -> Iterable[Act]:
    """503 but for each nth call."""
    return plain_echo(call) if call.stamp.number % call.n == 0 else _fail(call, 503)


def quota(call: Call) -> Iterable[Act]:
    """429 that no retry will mend."""
    message = "You exceeded your current quota, please check your plan and billing details."
    shape = call.wire.failure(message, kind="insufficient_quota", status=429, code="insufficient_quota")
    return json_acts(429, shape, ((b"x-should-retry", b"false"),))


def html(_call: Call) -> Iterable[Act]:
    """502 with a page for people."""
    body = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
    return (sized(502, ((b"content-type", b"text/html"),), len(body)), Data(body), Fin())


def empty(_call: Call) -> Iterable[Act]:
    """500 without a body."""
    return (sized(500, (), 0), Fin())


def truncated(call: Call) -> Iterable[Act]:
    """500 with half of a JSON error, and the length of that half."""
    whole = orjson.dumps(call.wire.failure(_MESSAGES[500][0], kind="server_error"))
    body = whole[: len(whole) // 2]
    return (sized(500, (JSON_TYPE,), len(body)), Data(body), Fin())


def huge(call: Call) -> Iterable[Act]:
    """500 with a message of 1 MiB."""
    return failed(call, 500, "error " * (_HUGE_ERROR_BYTES // 6))


def with_status_200(call: Call) -> Iterable[Act]:
    """An error body under a status that says all is well."""
    return failed(call, 200, _MESSAGES[503][0])


def closed(_call: Call) -> Iterable[Act]:
    """The connection is closed instead of an answer."""
    return (Close(),)


def reset(_call: Call) -> Iterable[Act]:
    """The connection is reset instead of an answer."""
    return (Reset(),)
