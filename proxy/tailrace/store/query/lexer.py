"""Text to tokens. A word runs until a space, a comma, a bracket, a quote or an operator, so that `gpt-5`,
`openai/gpt-5`, `2s`, `-1h` and `2026-10-01T12:00:00Z` need no quotes."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tailrace.errors import QueryError

MAX_BYTES: Final = 4096
KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN"})

_QUOTED: Final = r"""(?:"(?:[^"]|"")*"|'(?:[^']|'')*')"""
_TOKEN: Final = re.compile(
    rf"(?P<tag>[Tt][Aa][Gg][Ss]\.{_QUOTED})|(?P<word>[\w.:/+@%#~\-]+)|(?P<string>{_QUOTED})"
    r"|(?P<op>!=|<>|<=|>=|==|[=<>])|(?P<mark>[(),])"
)
_SPACE: Final = re.compile(r"\s*")
_SAME: Final = {"==": "=", "<>": "!="}
_MEANT: Final = {
    "&": "write AND",
    "|": "write OR",
    "!": "write NOT, or !=",
    "*": "in LIKE, % stands for any text",
    "[": "write (",
    "]": "write )",
    '"': 'the text has no closing "',
    "'": "the text has no closing '",
    "`": 'quote with "',
}


class Sort(Enum):
    """What a token is."""

    WORD = auto()
    STRING = auto()
    TAG = auto()
    OP = auto()
    MARK = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `text` is its value (quotes taken off), `column` where it begins, counted from 1."""

    sort: Sort
    text: str
    column: int

    @property
    def keyword(self) -> str | None:
        """The keyword that this token is."""
        upper = self.text.upper()
        return upper if self.sort is Sort.WORD and upper in KEYWORDS else None


def shown(text: str) -> str:
    """`text` as a part of a one-line message: quoted, escaped, cut."""
    short = text if len(text) <= 40 else text[:39] + "…"
    body = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short)
    return f'"{body}"'


def fail(column: int, message: str) -> QueryError:
    """The error at `column`."""
    return QueryError(f"column {column}: {message}")


def tokens(text: str) -> list[Token]:
    """The tokens of `text`, the last of them END.

    Raises:
        QueryError: `text` is too long, is not Unicode text, or has a character that begins no token.
    """
    _check(text)
    found: list[Token] = []
    at = _space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            hint = _MEANT.get(text[at])
            raise fail(at + 1, f"unexpected {shown(text[at])}" + (f": {hint}" if hint else ""))
        found.append(_token(match))
        at = _space(text, match.end())
    found.append(Token(Sort.END, "", len(text) + 1))
    return found


def _check(text: str) -> None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise fail(error.start + 1, "not Unicode text (a lone surrogate)") from error
    if size_bytes > MAX_BYTES:
        raise fail(1, f"the query has {size_bytes} bytes, and {MAX_BYTES} are allowed: split it")


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _token(match: re.Match[str]) -> Token:
    text, column = match[0], match.start() + 1
    match match.lastgroup:
        case "tag":
            return Token(Sort.TAG, "tags." + _unquoted(text[5:]), column)
        case "string":
            return Token(Sort.STRING, _unquoted(text), column)
        case "op":
            return Token(Sort.OP, _SAME.get(text, text), column)
        case "mark":
            return Token(Sort.MARK, text, column)
    return Token(Sort.WORD, text, column)


def _unquoted(text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0])
