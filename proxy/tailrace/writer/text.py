"""Text as a column can hold it. Pure. The exact text stays in the parts or the raw bytes: columns are for finding."""

from typing import Final

MAX_CHARS: Final = 512
_NUL: Final = "\x00"
_REPLACEMENT: Final = "\ufffd"
_MAX_INTEGER: Final = 2**63 - 1


def column_text(text: str | None, *, max_chars: int = MAX_CHARS) -> str | None:
    """`text` without NUL (PostgreSQL refuses it) and lone surrogates (SQLite does), cut to `max_chars`."""
    if text is None or (len(text) <= max_chars and text.isascii() and _NUL not in text):
        return text
    cut = text[:max_chars].replace(_NUL, _REPLACEMENT)
    return cut.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def column_number(number: int | None) -> int | None:
    """`number` where it is a count that a column can hold, else None: unknown, not wrong."""
    return number if number is not None and 0 <= number <= _MAX_INTEGER else None
