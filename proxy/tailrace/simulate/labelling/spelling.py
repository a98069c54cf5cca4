"""How an answer is written and split into tokens, with the probability of each token.

Owns JSON text out of values that hold `Choice`s, the pieces of words, and the chain of probabilities along them: a
piece's probability is that of all labels which go on with it, given the pieces before. So the product over a label's
pieces, the end of it included, is the label's own probability, and two labels that begin alike part late.
Source of the shape: what OpenAI's models tell of JSON answers, where quotes stand alone or at a piece of the label.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from tailrace.simulate.answer import Token
from tailrace.simulate.labelling.choices import Choice

STYLES: Final = 3
"""Ways to put quotes and blanks: `":"` in one token; `":` and ` "`; the opening quote at the first piece."""

_PIECE: Final = re.compile(r"[\W_]?[^\W_]{1,4}|.", re.DOTALL)
_LITERAL: Final = re.compile(r"[\[\]{}\",:]+|\s*[^\s\[\]{}\",:]{1,6}|\s+\"?|.", re.DOTALL)
_SURELY: Final = -1e-6  # what models say of a token that the grammar forces
_NOISE: Final = -14.0  # what they say of tokens that nobody would expect
_END: Final = ""


def written(value: Any, style: int) -> list[str | Choice]:
    """`value` as JSON text, in which each choice is still open; it stands between its quotes."""
    blank = " " if style == 1 else ""
    parts = list(_parts(value, f":{blank}", f",{blank}"))
    joined: list[str | Choice] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _parts(value: Any, colon: str, comma: str) -> Iterator[str | Choice]:
    if isinstance(value, Choice):
        yield from ('"', value, '"')
    elif isinstance(value, Mapping):
        for at, (name, inner) in enumerate(value.items()):
            yield ("{" if at == 0 else comma) + _json(name) + colon
            yield from _parts(inner, colon, comma)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield "[" if at == 0 else comma
            yield from _parts(inner, colon, comma)
        yield "]" if value else "[]"
    else:
        yield _json(value)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def tokens(parts: Sequence[str | Choice], style: int) -> tuple[Token, ...]:
    """The tokens of an answer in `parts`; joined they are its text."""
    out: list[Token] = []
    opening = ""  # a quote that goes with the next label's first piece
    ended: Token | None = None  # what the last label's end is worth; it goes with the token after it
    for at, part in enumerate(parts):
        follows = parts[at + 1] if at + 1 < len(parts) else None
        if isinstance(part, Choice):
            spelled = list(_spelled(part, opening, _closing(follows, style)))
            opening, ended = "", spelled.pop()
            out += spelled
            continue
        glued = style == 2 and isinstance(follows, Choice) and part.endswith('"')
        literal = part[:-1] if glued else part
        opening = '"' if glued else ""
        for word in _LITERAL.findall(literal):
            out.append(ended if ended is not None and word == ended.text else _forced(word))
            ended = None
    return tuple(out)


def _closing(follows: str | Choice | None, style: int) -> str:
    """The token after a label: the first of what follows; nothing after plain text."""
    if not isinstance(follows, str):
        return _END
    literal = follows[:-1] if style == 2 and len(follows) > 1 and follows.endswith('"') else follows
    return str(_LITERAL.findall(literal)[0])


def _forced(word: str) -> Token:
    return Token(word, _SURELY, ((word, _SURELY), *_noise(word)))


def _spelled(choice: Choice, opening: str, closing: str) -> Iterator[Token]:
    """The pieces of a label, and last what its end is worth."""
    paths = {label: (*_pieces(label), _END) for label in choice.weights}
    alive = dict(choice.weights)
    for depth, chosen in enumerate(paths[choice.label]):
        by_piece: defaultdict[str, float] = defaultdict(float)
        for label, weight in alive.items():
            by_piece[paths[label][depth]] += weight
        whole = math.fsum(by_piece.values())
        before = opening if depth == 0 else ""
        told = {before + (piece or closing): _log(weight / whole) for piece, weight in by_piece.items()}
        ranked = sorted(told.items(), key=lambda one: -one[1])
        text = before + (chosen or closing)
        yield Token(text, told[text], (*ranked, *_noise(text)))
        alive = {label: weight for label, weight in alive.items() if paths[label][depth] == chosen}


def _pieces(label: str) -> list[str]:
    """A label in pieces of up to five characters, as it is escaped in JSON."""
    return _PIECE.findall(_json(label)[1:-1])


def _log(probability: float) -> float:
    return min(math.log(max(probability, 1e-9)), _SURELY)


def _noise(word: str) -> Iterator[tuple[str, float]]:
    """Tokens that come up beside every token: it with a blank, in capitals, and others like it."""
    odd = dict.fromkeys((f" {word}", word.upper(), word.title(), f"{word}s", *(f"{word}{n}" for n in range(20))))
    odd.pop(word, None)
    for rank, text in enumerate(odd):
        yield text, _NOISE - 0.5 * rank
