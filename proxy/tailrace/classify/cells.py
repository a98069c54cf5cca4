"""Cells of a CSV that no spreadsheet takes for a formula. Pure.

A cell that begins like one is written with `'` before it, and one that begins with `'` and such a character too, so
that reading takes off what writing put on (OWASP, "CSV Injection").
"""

from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARD: Final = "'"


def guarded(cell: str) -> str:
    """A cell as it is written."""
    return _GUARD + cell if cell.lstrip(_GUARD).startswith(_FORMULA) else cell


def unguarded(cell: str) -> str:
    """A cell as it was before it was written."""
    return cell[1:] if cell.startswith(_GUARD) and cell.lstrip(_GUARD).startswith(_FORMULA) else cell
