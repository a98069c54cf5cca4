"""How values are written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.store.query import values
from tailrace.store.query.fields import Kind
from tailrace.store.query.syntax import Ago, IdSpan, Lasting, Moment


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("250", 250_000),
        ("250ms", 250_000),
        ("0.5", 500),
        (".5S", 500_000),
        ("2s", 2_000_000),
        ("1.5m", 90_000_000),
        ("1h", 3_600_000_000),
        ("9223372036854775807us", 2**63 - 1),
        ("9223372036854775808us", None),
        ("99999999999999999d", None),
        ("1w", None),
        ("-1s", None),
        ("", None),
        ("s", None),
        ("1 s", None),
        ("١s", None),
    ],
)
def test_duration(text: str, us: int | None) -> None:
    assert values.duration(text) == (None if us is None else Lasting(us))


@pytest.mark.parametrize(
    ("text", "value"),
    [("-90s", Ago(90)), ("-1.5h", Ago(5400)), ("-2w", Ago(14 * 86400)), ("1970-01-02", Moment(86_400_000_000))],
)
def test_moment(text: str, value: Moment | Ago) -> None:
    assert values.moment(text) == value


@pytest.mark.parametrize(
    "text", ["yesterday", "1h", "-1", "-1y", "-", "2026-02-30", "-99999999d", "9999-12-31T23:59:59-23:59x"]
)
def test_no_moment(text: str) -> None:
    assert values.moment(text) is None


def test_a_time_without_offset_is_utc_or_local() -> None:
    naive = datetime(2026, 7, 1, 12, 0)  # noqa: DTZ001 the machine's own time is what is tested
    assert values.instant_us("2026-07-01T12:00") == int(naive.replace(tzinfo=UTC).timestamp()) * 10**6
    assert values.instant_us("2026-07-01T12:00", local=True) == int(naive.timestamp()) * 10**6
    assert values.instant_us("2026-07-01T12:00+01:00", local=True) == values.instant_us("2026-07-01T11:00")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-7", -7),
        ("+7", 7),
        ("1e3", 1000),
        (".25", 0.25),
        ("9223372036854775807", 2**63 - 1),
        ("1e300", 1e300),
        ("-0.0", 0),
    ],
)
def test_number(text: str, value: float) -> None:
    found = values.number(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1e", "0x10", "1_000", "inf", "nan", "1e999", "9223372036854775808", "٣", "²"]
)
def test_no_number(text: str) -> None:
    assert values.number(text) is None


def test_id_span() -> None:
    span = values.id_span("0192F3A1-9c4d")
    assert span == IdSpan("0192f3a19c4d")
    assert span is not None
    assert span.low.hex() == "0192f3a19c4d" + "0" * 20
    assert span.high.hex() == "0192f3a19c4d" + "f" * 20
    assert values.id_span("0192f3a") is None
    assert values.id_span("g192f3a1") is None
    assert values.id_span("0" * 33) is None


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(Kind), st.text(max_size=30))
def test_any_text_is_read_or_refused(kind: Kind, text: str) -> None:
    values.read(kind, text)
