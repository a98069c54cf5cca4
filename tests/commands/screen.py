"""A command of Tailrace on a terminal of its own."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

GUARD_S: Final = 60
_COLOUR: Final = re.compile(rb"\x1b\[[0-9;]*m")


def on_a_terminal(*words: str | Path, columns: int = 100) -> tuple[int, bytes]:
    """`tailrace …` with a terminal for its output: the exit code, and every byte that the terminal got."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    command = [sys.executable, "-m", "tailrace", *(str(word) for word in words)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env | {"TERM": "xterm-256color"}
    ) as child:
        os.close(theirs)
        got = b""
        while piece := _read(ours):
            got += piece
        os.close(ours)
        return child.wait(GUARD_S), got


def plain(got: bytes) -> str:
    """What a terminal shows of `got`, once it is known that nothing in it but our colours does more than show."""
    assert b"\x1b[31mred" not in got, "a colour of the hostile text"
    text = _COLOUR.sub(b"", got).decode()
    assert all(char.isprintable() or char in "\r\n" for char in text), text
    return text


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:  # Linux says so where the other end is closed
        return b""
