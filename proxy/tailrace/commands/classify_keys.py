"""One key at a time from a terminal, and the terminal as it was afterwards."""

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tailrace.errors import UserError

_END: Final = "\x04"


def need_terminal() -> None:
    """Raises UserError: there is no terminal to read from."""
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to read keys from; give --labels-from FILE, or use `classify import`")


@contextmanager
def keys() -> Iterator[Iterator[str]]:
    """The keys that are typed, each as it is typed. Ends at Ctrl-D and where the terminal goes away.

    Raises:
        UserError: there is no terminal.
    """
    need_terminal()
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield _typed(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _typed(fd: int) -> Iterator[str]:
    while True:
        try:
            data = os.read(fd, 1)
        except OSError:  # the terminal was closed
            return
        if not data or data == _END.encode():
            return
        yield data.decode("latin-1")
