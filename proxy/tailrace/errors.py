"""Every error Tailrace raises, and how each becomes an HTTP answer or an exit code. The one place for both.

    TailraceError
    ├── UserError               the command or its input is wrong: one line, exit code 2
    │   ├── SettingsError       a TOML file or an environment variable
    │   ├── QueryError          a `where` expression
    │   └── RecipeError         an export recipe
    ├── WorkFailed              the command was right and could not be carried out: one line, exit code 1
    └── CallError               a call through the relay that ends in an error answer
        ├── Refused             by us, before any provider was called
        ├── LogUnavailable      the journal cannot keep this completion
        └── ProviderFailed      the provider could not be reached, or did not answer as HTTP asks
            ├── ProviderTimeout
            └── ProviderTruncated

A foreign exception becomes one of these at the boundary by which it enters (`raise … from exc`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson


class Code(StrEnum):
    """The closed list of error codes; the prefix says whose fault it is."""

    INVALID_JSON = "caller_invalid_json"
    INVALID_REQUEST = "caller_invalid_request"
    BODY_TOO_LARGE = "caller_body_too_large"
    UNSUPPORTED_ENCODING = "caller_unsupported_encoding"
    UNKNOWN_MODEL = "caller_unknown_model"
    UNKNOWN_PROVIDER = "caller_unknown_provider"
    UNKNOWN_PATH = "caller_unknown_path"
    METHOD_NOT_ALLOWED = "caller_method_not_allowed"
    SLOW_BODY = "caller_slow_body"
    WEBSOCKET = "caller_websocket"
    FORBIDDEN = "caller_forbidden"
    NO_KEY = "caller_no_key"
    KEY_FORBIDS = "caller_key_forbids"
    CANNOT_TRANSLATE = "caller_cannot_translate"
    RATE_LIMITED = "policy_rate_limited"
    BUDGET = "policy_budget"
    OVERLOADED = "policy_overloaded"
    DRAINING = "policy_draining"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_TRUNCATED = "provider_truncated"
    PROVIDER_PROTOCOL = "provider_protocol"
    PROVIDER_STATUS = "provider_status"
    PROVIDER_TOO_LARGE = "provider_too_large"
    LOG_UNAVAILABLE = "tailrace_log_unavailable"
    KEYS_UNKNOWN = "tailrace_keys_unknown"
    INTERNAL = "tailrace_internal"


class TailraceError(Exception):
    """Root of the tree."""


class UserError(TailraceError):
    """The call was wrong. `str(error)` is one line: the place, what was expected, what to do. Exit code 2."""


class SettingsError(UserError):
    """A setting is unknown, missing or of the wrong kind."""


class QueryError(UserError):
    """A `where` expression is wrong; the text says at which column (counted from 1)."""


class RecipeError(UserError):
    """An export recipe is wrong."""


class WorkFailed(TailraceError):
    """The call was right and the work failed. Exit code 1."""


class CallError(TailraceError):
    """A call through the relay that ends in an error answer of ours.

    `message` is for the client: it names no path, no secret, no other tenant.
    """

    def __init__(self, code: Code, message: str, *, status: int, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


class Refused(CallError):
    """Refused by us before any provider was called."""


class LogUnavailable(CallError):
    """The journal is at its cap, or the disk failed: what cannot be kept is not served."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(Code.LOG_UNAVAILABLE, message, status=503, retry_after_s=retry_after_s)


class ProviderFailed(CallError):
    """The provider could not be reached or broke the protocol. `sent`: it may have got the request, and acted on it."""

    def __init__(self, code: Code, message: str, *, status: int = 502, sent: bool = True) -> None:
        super().__init__(code, message, status=status)
        self.sent = sent


class ProviderTimeout(ProviderFailed):
    """One of the four clocks ran out: connect, first byte, idle, total."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(Code.PROVIDER_TIMEOUT, message, status=504, sent=sent)


class ProviderTruncated(ProviderFailed):
    """The connection ended before the answer did."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.PROVIDER_TRUNCATED, message)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An HTTP error answer, ready to send."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


_TYPES = {
    "caller": "invalid_request_error",
    "policy": "rate_limit_error",
    "provider": "api_error",
    "tailrace": "api_error",
}


def error_body(code: str, message: str, *, param: str | None = None) -> bytes:
    """An error in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""
    kind = _TYPES[code.partition("_")[0]]
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def anthropic_error_body(code: str, message: str, status: int) -> bytes:
    """An error in Anthropic's shape: `{"type": "error", "error": {"type", "message", "code"}}`; `code` is ours."""
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message, "code": code}})


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How a dialect's clients are told of an error. `body` takes code, message and status."""

    body: Callable[[str, str, int], bytes]
    event_name: bytes  # the line before an error event's data; empty where events have no names

    def event(self, error: "CallError") -> bytes:
        """The error inside a stream: an SSE event, and never a terminal event after it."""
        return self.event_name + b"data: " + self.body(error.code, error.message, error.status) + b"\n\n"


OPENAI: Final = ErrorShape(lambda code, message, _status: error_body(code, message), b"")
ANTHROPIC: Final = ErrorShape(anthropic_error_body, b"event: error\n")


def error_answer(error: CallError, shape: ErrorShape = OPENAI) -> ErrorAnswer:
    """How `error` is told to a client that has not been answered yet."""
    headers = [(b"content-type", b"application/json")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if isinstance(error, ProviderFailed) and error.sent and error.code != Code.PROVIDER_UNREACHABLE:
        # The provider may have acted, and billed: SDKs retry 5xx by themselves unless told not to.
        headers.append((b"x-should-retry", b"false"))
    return ErrorAnswer(error.status, tuple(headers), shape.body(error.code, error.message, error.status))
