"""Stored text on a terminal. Owns what may reach one: nothing that a client or a provider wrote can move its cursor.

Every character that is not printable is shown as an escape (`\\x1b`, `\\u202e`): control characters of both sets, the
marks that turn the direction of writing, lone surrogates. Letters of right-to-left scripts and wide letters pass.
"""

import re
from datetime import UTC, datetime
from typing import Final

import typer
from rich.console import Console

_JOINERS: Final = "\u200c\u200d"  # format characters that Persian, and emoji of several parts, are spelled with
_JSON_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_US_IN_S: Final = 10**6


def console(*, stderr: bool = False) -> Console:
    """Where text goes: in colour on a terminal, plain into a pipe. Reads no markup out of what it prints."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def one_line(text: str, *, chars: int = 400) -> str:
    """The beginning of `text` on one line: runs of white space are one space, what is not printable is escaped."""
    return escaped(" ".join(text[: 4 * chars].split())[:chars])


def many_lines(text: str) -> list[str]:
    """`text` line by line, tabs widened, what is not printable escaped."""
    plain = text.replace("\r\n", "\n").expandtabs(4)
    return [escaped(line) for line in plain.split("\n")]


def escaped(text: str) -> str:
    """`text` with every character that is not printable as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _JOINERS else _escape(char) for char in text)


def json_line(dumped: bytes) -> str:
    """JSON as it may be printed: what a terminal would obey is written as `\\u….`, which reads back the same."""
    return _JSON_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", dumped.decode())


def echo_json(dumped: bytes) -> None:
    """Print a line of JSON: for machines, so in UTF-8 whatever the terminal's encoding is."""
    typer.echo(json_line(dumped).encode())


def local_time(us: int) -> str:
    """Microseconds since 1970 as `2026-10-01 12:00:00`, in the machine's time zone."""
    return datetime.fromtimestamp(us // _US_IN_S, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso_utc(us: int) -> str:
    """Microseconds since 1970 as `2026-10-01T12:00:00.000000Z`."""
    moment = datetime.fromtimestamp(us // _US_IN_S, UTC).replace(microsecond=us % _US_IN_S)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def lasting(us: int | None) -> str:
    """A duration as a person reads it: `0.4ms`, `842ms`, `1.20s`, `2m05s`; unknown is empty."""
    if us is None:
        return ""
    if us < 9_950:
        return f"{us / 1000:.1f}ms"
    if us < 999_500:
        return f"{us / 1000:.0f}ms"
    if us < 59_995_000:
        return f"{us / _US_IN_S:.2f}s"
    minutes, seconds = divmod(round(us / _US_IN_S), 60)
    return f"{minutes}m{seconds:02d}s"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
