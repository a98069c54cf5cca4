"""The process's own log: structlog and the standard library's `logging` as one stream of JSON lines on stderr.

One object a line: `time` (ISO 8601, UTC), `level`, `event`, `process`, and the fields of the call. Nothing here may
hold a body or a secret. Callers do not pass them; as a second line of defence bytes become their length, long text is
cut, values of secret names and anything shaped like a key are masked. Lines are ASCII: no terminal code gets through.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tailrace.records import Json

MASK: Final = "**********"
_LONGEST_TEXT: Final = 4_000  # a traceback fits
_DEEPEST: Final = 4
_MOST_ENTRIES: Final = 50
_SECRET_NAME: Final = re.compile(r"(authorization|api[-_]?key|cookie|secret|password|token)$", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    r"(?P<before>\b(?:bearer|basic)\s+)[^\s\"',;]+"  # an Authorization header's value
    r"|(?<![A-Za-z0-9])(?:sk|tr|xai|gsk|AIza|hf|AKIA)[-_]?[A-Za-z0-9_-]{12,}"  # keys of providers, and ours
    r"|(?P<url>://)[^/\s@]+@",  # user and password in an address
    re.IGNORECASE,
)
_TWICE: Final = "color_message"  # uvicorn's event again, with terminal codes
_STRUCTLOGS_OWN: Final = ("_record", "_from_structlog")
_QUIET: Final = ("httpx", "httpcore", "aiosqlite", "asyncio")  # they log addresses, statements or noise below warning


def configure(level: str, *, process: str = "tailrace", stream: TextIO | None = None) -> None:
    """Send everything that this process logs to `stream` (stderr) as JSON lines.

    Args:
        level: the least level that is written: debug, info, warning or error.
        process: who logs, in every line: `supervisor`, `writer`, `relay-0`.
        stream: another text stream, for tests.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _named(process),
        clean,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
            use_get_message=True,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught


def clean(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 structlog's signature
    """A structlog processor: the event without bodies and without what looks like a secret."""
    event.pop(_TWICE, None)
    return {mask(name): value if name in _STRUCTLOGS_OWN else _clean(name, value, 0) for name, value in event.items()}


def mask(text: str) -> str:
    """`text` with what looks like a key or an Authorization value replaced."""
    return _SECRET_TEXT.sub(lambda found: (found["before"] or found["url"] or "") + MASK, text)


def _clean(name: str, value: object, depth: int) -> Json:
    if _SECRET_NAME.search(name) and value is not None:
        return MASK
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping) and depth < _DEEPEST:
        some = list(value.items())[:_MOST_ENTRIES]
        return {mask(str(key)): _clean(str(key), below, depth + 1) for key, below in some}
    if isinstance(value, Sequence) and not isinstance(value, str) and depth < _DEEPEST:
        return [_clean(name, below, depth + 1) for below in value[:_MOST_ENTRIES]]
    text = mask(value if isinstance(value, str) else str(value))
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"


def _named(process: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 structlog's signature
        event["process"] = process
        return event

    return add


def _render(logger: WrappedLogger, method: str, event: EventDict) -> str:  # noqa: ARG001 structlog's signature
    first = {name: event.pop(name) for name in ("time", "level", "event") if name in event}
    return json.dumps({**first, **event}, default=str)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger("tailrace").error("uncaught", exc_info=(kind, error, trace))


class _Lines(logging.StreamHandler[TextIO]):
    """One write a line; a record that cannot be formatted becomes a line that says so."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError) as exc:
            line = json.dumps(
                {"level": "error", "event": "log record lost", "logger": record.name, "why": type(exc).__name__}
            )
        try:
            self.stream.write(f"{line}\n")
            self.stream.flush()
        except OSError:
            return  # stderr is closed or full: the service goes on
