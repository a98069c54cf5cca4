"""Whatever was stored, what is printed shows and does nothing else; and JSON stays the JSON it was."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.commands.terminal import escaped, iso_utc, json_line, lasting, many_lines, one_line
from tests.commands.filed import HOSTILE

JOINERS = "\u200c\u200d"
ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates too, which JSON may hold


def shows_only(text: str) -> bool:
    return all(char.isprintable() or char in JOINERS for char in text)


@given(ANY_TEXT)
def test_no_text_is_more_than_shown(text: str) -> None:
    assert shows_only(escaped(text))
    assert shows_only(one_line(text))
    assert all(shows_only(line) for line in many_lines(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_what_can_be_read_is_left_alone(text: str) -> None:
    assert escaped(text) == text


def test_the_tricks_become_visible() -> None:
    assert escaped(HOSTILE).startswith(
        "\\x1b]0;pwned\\x07\\x1b[31mred\\x1b[2J \\u202egnp.exe\\u202c \\r over \\x9b31m \\x7f"
    )
    assert escaped("a\u0000b\ud800") == "a\\x00b\\ud800"
    assert escaped("👩\u200d🚀 می\u200cخواهم") == "👩\u200d🚀 می\u200cخواهم", "joiners are spelling"


def test_one_line_is_one_and_no_longer_than_asked() -> None:
    assert one_line("a\n\n  b\tc\r\n") == "a b c"
    assert one_line("x" * 10_000_000, chars=5) == "xxxxx"
    assert many_lines("a\r\nb\n\tc") == ["a", "b", "    c"]


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40)))
def test_json_reads_back_the_same_and_cannot_steer(value: dict[str, str]) -> None:
    line = json_line(orjson.dumps(value))
    assert orjson.loads(line) == value
    assert "\n" not in line
    assert not any(char < " " or "\x7f" <= char <= "\x9f" or "\u202a" <= char <= "\u202e" for char in line)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (None, ""),
        (0, "0.0ms"),
        (449, "0.4ms"),
        (9_949, "9.9ms"),
        (9_951, "10ms"),
        (842_000, "842ms"),
        (999_400, "999ms"),
        (999_600, "1.00s"),
        (1_204_000, "1.20s"),
        (59_994_000, "59.99s"),
        (59_999_000, "1m00s"),
        (125_000_000, "2m05s"),
    ],
)
def test_a_duration_is_read_at_a_glance(us: int | None, text: str) -> None:
    assert lasting(us) == text


def test_a_time_for_machines_has_its_microseconds_and_its_zone() -> None:
    assert iso_utc(1_790_000_000_000_001) == "2026-09-21T14:13:20.000001Z"
