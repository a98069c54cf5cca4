"""A bar chart as SVG text: readable in any browser, the same bytes every time. Pure.

Drawn by hand because a card needs no more than bars, and a plotting library's files differ from version to version.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 720
_LEFT: Final = 200
_RIGHT: Final = 80
_BAR: Final = 18
_GAP: Final = 6
_TOP: Final = 40
_LONGEST: Final = 28
_FONT: Final = "font-family='system-ui, sans-serif' font-size='12'"
# Of the text against either background 4.5 : 1 or more (WCAG 2.2, 1.4.3).
_STYLE: Final = (
    "<style>text{fill:#1f2933}.bar{fill:#2f6f8f}rect.paper{fill:#ffffff}"
    "@media (prefers-color-scheme:dark){text{fill:#e4e7eb}.bar{fill:#5fb0d3}rect.paper{fill:#14181d}}</style>"
)


def bars(title: str, values: Mapping[str, int]) -> str:
    """A horizontal bar for each of `values`, in their order, with its count and share."""
    height = _TOP + len(values) * (_BAR + _GAP) + _GAP
    total, most = sum(values.values()), max(values.values(), default=0)
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' role='img'>",
        f"<title>{escape(title)}</title>",
        _STYLE,
        f"<rect class='paper' width='{_WIDTH}' height='{height}'/>",
        f"<text x='12' y='24' {_FONT} font-weight='600'>{escape(title)}</text>",
    ]
    for row, (name, value) in enumerate(values.items()):
        lines.extend(_bar(_TOP + row * (_BAR + _GAP), name, value, total, most))
    lines.append("</svg>\n")
    return "\n".join(lines)


def _bar(y: int, name: str, value: int, total: int, most: int) -> Iterator[str]:
    width = (_WIDTH - _LEFT - _RIGHT) * value // most if most else 0
    name = "".join(char if char.isprintable() else " " for char in name)  # XML has no place for most control characters
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    share = f"{100 * value / total:.1f} %" if total else "0 %"
    base = y + _BAR - 5
    yield f"<text x='{_LEFT - 8}' y='{base}' {_FONT} text-anchor='end'>{escape(shown)}</text>"
    yield f"<rect class='bar' x='{_LEFT}' y='{y}' width='{width}' height='{_BAR}'>"
    yield f"<title>{escape(name)}: {value:,} ({share})</title></rect>"
    yield f"<text x='{_LEFT + width + 6}' y='{base}' {_FONT}>{value:,}</text>"
