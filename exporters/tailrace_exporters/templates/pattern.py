"""From what texts have in common to a pattern: where static text ends and a slot begins. Pure.

What all texts share may reach into the slot: `ORDER-` of order numbers, `2026-` of dates of one year. Static text ends
at a space, or at a mark that opens or closes something.
"""

import re
from collections.abc import Sequence
from typing import Final

from tailrace.templates.template import Pattern, Slot
from tailrace_exporters.templates.common import common
from tailrace_exporters.templates.words import pieces, weight

_TAIL: Final = re.compile(r"""[^\s"'`(\[{<:=>|,;：，；、。「（【]*\Z""")
"""The end of static text before a slot, from its last space or opening mark on."""
_HEAD: Final = re.compile(r"[.\-@_](?=\w)[^\s]*")
"""The beginning of static text behind a slot that is more likely the slot's end: `.pdf`, `@example.com`, `-01`."""


def pattern_of(texts: Sequence[str]) -> Pattern:
    """What all `texts` are made of; slots are numbered, `0` and up."""
    runs = common([pieces(text) for text in texts])
    statics: list[str] = [""]
    for run in runs:
        if run is None:
            statics.append("")
        else:
            statics[-1] = "".join(run)
    last = len(statics) - 1
    kept = [_trimmed(static, before=n > 0, behind=n < last) for n, static in enumerate(statics)]
    made: list[str | Slot] = []
    for n, static in enumerate(kept):
        if n and not (made and isinstance(made[-1], Slot)):
            made.append(Slot(""))
        if static:
            made.append(static)
    return numbered(made)


def numbered(segments: Sequence[str | Slot]) -> Pattern:
    """The pattern with its slots called `0`, `1`, …"""
    names = iter(range(len(segments)))
    return tuple(Slot(str(next(names))) if isinstance(each, Slot) else each for each in segments)


def _trimmed(static: str, *, before: bool, behind: bool) -> str:
    """Static text with a slot `before` it, and one `behind` it, without what belongs to them."""
    if before and (head := _HEAD.match(static)):
        static = static[head.end() :]
    if behind and (tail := _TAIL.search(static)) is not None and any(map(str.isalnum, tail[0])):
        static = static[: tail.start()]
    return "" if before and behind and not weight(pieces(static)) else static
