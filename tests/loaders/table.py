"""The table of loaders in `exporters/README.md`: what the last `make test-loaders` saw. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tests.loaders.targets import NONE

BEGIN: Final = "<!-- written by make test-loaders -->"
END: Final = "<!-- end -->"
_PLACE: Final = re.compile(rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tried:
    """A loader and a target's files."""

    target: str
    loader: str
    version: str
    said: str


def written_into(text: str, tried: Sequence[Tried], day: date) -> str:
    """`text` with the table between its two marks.

    Raises:
        ValueError: for a text without them.
    """
    if not _PLACE.search(text):
        raise ValueError(f"no {BEGIN} … {END}")
    lines = ["| target | loader | result | date |", "|---|---|---|---|"]
    lines += [f"| `{one.target}` | {one.version}: {one.loader} | {one.said} | {day} |" for one in tried]
    lines += [f"| `{target}` | none on PyPI | {why} | |" for target, why in NONE.items()]
    return _PLACE.sub(lambda _: "\n".join(lines) + "\n", text)
