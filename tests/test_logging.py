"""The process's own log: one JSON object a line, no body, no secret, whatever is passed to it."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tailrace.logging import MASK, configure, mask

CANARY = "sk-proj-0123456789abcdefghij"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    stream = io.StringIO()
    configure("info", process="relay-0", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    sys.excepthook = hook
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    text = stream.getvalue()
    assert text.isascii()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_line_says_when_what_and_who(out: io.StringIO) -> None:
    structlog.get_logger("x").info("call ended", status="ok", n=1)
    (line,) = lines(out)
    assert list(line)[:3] == ["time", "level", "event"]
    assert str(line["time"]).endswith("Z")
    assert line["level"] == "info"
    assert line["event"] == "call ended"
    assert line["process"] == "relay-0"
    assert (line["status"], line["n"]) == ("ok", 1)


def test_the_standard_librarys_loggers_come_the_same_way(out: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("bad %s", "request\nline")
    logging.getLogger("httpx").info("GET https://api/?key=x")
    logging.getLogger("uvicorn.error").warning("ready", extra={"color_message": "\x1b[36mready"})
    line, twice = lines(out)
    assert (line["event"], line["logger"]) == ("bad request\nline", "uvicorn.error")
    assert "color_message" not in twice


def test_the_level_holds_for_both(out: io.StringIO) -> None:
    structlog.get_logger("x").debug("no")
    logging.getLogger("x").debug("no")
    assert lines(out) == []


def test_a_record_that_cannot_be_formatted_is_told_not_lost(out: io.StringIO) -> None:
    record = logging.LogRecord("x", logging.ERROR, "file", 1, "%d", ("one",), None)
    logging.getLogger().handlers[0].emit(record)  # pytest's own handlers would raise
    (line,) = lines(out)
    assert (line["event"], line["logger"]) == ("log record lost", "x")


def test_an_exception_is_a_field_and_not_lines(out: io.StringIO) -> None:
    structlog.get_logger("x").error("failed", exc_info=ValueError(CANARY))
    (line,) = lines(out)
    assert "ValueError" in str(line["exception"])
    assert CANARY not in out.getvalue()


def test_an_uncaught_exception_is_one_line_too(out: io.StringIO) -> None:
    error = RuntimeError("boom")
    sys.excepthook(RuntimeError, error, None)
    (line,) = lines(out)
    assert line["event"] == "uncaught"
    assert "boom" in str(line["exception"])


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": CANARY},
        {"api_key": CANARY},
        {"headers": {"X-Api-Key": CANARY}},
        {"headers": [["Authorization", f"Bearer {CANARY}"]]},
        {"text": f"Authorization: Bearer {CANARY}"},
        {"text": f"key={CANARY}!"},
        {"url": f"https://user:{CANARY}@host/v1"},
        {"text": "Authorization: Basic " + CANARY},
        {"body": CANARY.encode()},
        {"deep": {"a": {"b": {"c": {"d": {"api_key": CANARY}}}}}},
        {CANARY: 1},
    ],
)
def test_a_secret_is_masked_wherever_it_stands(out: io.StringIO, fields: dict[str, object]) -> None:
    structlog.get_logger("x").info("call", **fields)
    logging.getLogger("y").info("call", extra={f"x_{name}": value for name, value in fields.items()})
    logging.getLogger("y").info("call %s", fields if "body" not in fields else "")
    assert CANARY not in out.getvalue()
    assert len(lines(out)) == 3


def test_our_own_keys_and_bearer_tokens_are_masked_and_words_are_not() -> None:
    assert mask("tr-0123456789abcdef") == MASK
    assert mask("bearer abc.def-g") == f"bearer {MASK}"
    assert mask("the task str-ategy sk-ip hf") == "the task str-ategy sk-ip hf"


def test_bodies_are_their_length_and_long_text_is_cut(out: io.StringIO) -> None:
    structlog.get_logger("x").info("call", body=b"x" * 10, text="y" * 100_000, many=list(range(1000)))
    (line,) = lines(out)
    assert line["body"] == "[10 bytes]"
    assert len(out.getvalue()) < 6_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(event=st.text(), value=VALUES)
def test_any_value_is_one_json_line(event: str, value: object) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    try:
        configure("info", process="x", stream=stream)
        structlog.get_logger("x").info(event, value=value)
        logging.getLogger("y").info("%s", value)
        assert len(lines(stream)) == 2
    finally:
        root.handlers[:], sys.excepthook = handlers, hook
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
