"""A turn as numbers: hashed word and character n-grams of its text, and what stood before it.

Pure. The hashes are arithmetic on code points modulo 2³², so that a turn has the same features on every machine and
under every hash seed: training and serving are different processes. Words and characters are gathered with numpy,
whose cost hardly grows with the text; a loop over n-grams would take a millisecond for a long turn.

A turn is three groups, each of unit length or a constant, so that a group's part of the score can be known without the
others: the text, the words of the assistant's turn before it, and one row each for the previous label and the step.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tailrace.classify.turn import Subject, Turn

Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_WORD: Final = re.compile(r"\w+|[^\w\s]")
_STEP: Final = np.uint32(0x01000193)  # FNV's prime
_MIX: Final = np.uint32(0x9E3779B1)  # 2³² / golden ratio, odd: Fibonacci hashing
_FOLD: Final = np.uint32(15)
_BEFORE: Final = 0x5BD1E995  # words of the assistant's turn are other features than the user's
_NOBODY: Final = "\x00"
_LAST_STEP: Final = 6  # a longer chain's steps are alike


@dataclass(frozen=True, slots=True)
class Features:
    """How turns become numbers. It stands in the matrix file: rows trained otherwise mean nothing.

    `bits`: 2^bits rows. `chars`: text beyond so many characters counts for nothing, half of them at each end. The rest
    are the weights of the groups beside the text's weight of 1; 0 leaves a group out.
    """

    bits: int = 17
    shortest: int = 2
    longest: int = 5
    chars: int = 2_000
    previous: float = 0.5
    assistant: float = 0.5
    step: float = 0.3

    def asdict(self) -> dict[str, int | float]:
        """For the header."""
        return asdict(self)

    @property
    def rows(self) -> int:
        """How many rows a matrix over these features has."""
        return 1 << self.bits

    def of(self, subject: Subject) -> tuple[Indices, Values]:
        """The rows of a turn, and the weight of each; a row may stand twice."""
        text = self.text(subject.text)
        parts = [text]
        weights = [np.full(len(text), 1 / np.sqrt(len(text)), np.float32)]
        if self.assistant and (said := _last_said(subject.turns)):
            words = self.words_before(said)
            parts.append(words)
            weights.append(np.full(len(words), self.assistant / np.sqrt(len(words)), np.float32))
        context = self.context(subject.previous, sum(turn.role == "user" for turn in subject.turns))
        if context:
            parts.append(np.array([row for row, _ in context], np.int64))
            weights.append(np.array([weight for _, weight in context], np.float32))
        return np.concatenate(parts), np.concatenate(weights)

    def text(self, text: str) -> Indices:
        """The distinct rows of a text's n-grams; never empty."""
        short = text if len(text) <= self.chars else text[: self.chars // 2] + " " + text[-self.chars // 2 :]
        words = _WORD.findall(short.lower()) or [_NOBODY]
        return _distinct(
            self._rows([*_grams(" ".join(["", *words, ""]), self.shortest, self.longest), *_words(words, 0)])
        )

    def words_before(self, text: str) -> Indices:
        """The distinct rows of the words of the assistant's turn; never empty."""
        words = _WORD.findall(text[-self.chars :].lower())
        return _distinct(self._rows(_words(words or [_NOBODY], _BEFORE)))

    def context(self, previous: str | None, step: int) -> tuple[tuple[int, float], ...]:
        """The rows for the label of the user's turn before, and for how many turns stand before; with their weights."""
        told = [(b"previous\x00" + (previous or _NOBODY).encode(), self.previous)]
        told.append((b"step\x00%d" % min(step, _LAST_STEP), self.step))
        return tuple((_row_of(what, self.bits), weight) for what, weight in told if weight)

    def _rows(self, hashes: Sequence[npt.NDArray[np.uint32]]) -> Indices:
        """Hashes as rows."""
        every = np.concatenate(hashes)
        every ^= every >> _FOLD
        every *= _MIX
        every >>= np.uint32(32 - self.bits)
        return every.astype(np.int64)


def _distinct(rows: Indices) -> Indices:
    """Each row once, ascending. As np.unique, which takes 45 µs for a short turn's rows, and this 8."""
    rows.sort()
    is_new = np.empty(len(rows), np.bool_)
    is_new[:1] = True
    np.not_equal(rows[1:], rows[:-1], out=is_new[1:])
    return rows[is_new]


def _last_said(turns: Sequence[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == "assistant"), "")


@lru_cache(4096)
def _row_of(what: bytes, bits: int) -> int:
    """The row of a part of the context: labels and steps, few and always the same. As `Features._rows`."""
    mixed = crc32(what)
    mixed = (mixed ^ mixed >> int(_FOLD)) * int(_MIX) & 0xFFFFFFFF
    return mixed >> (32 - bits)


def _grams(text: str, shortest: int, longest: int) -> list[npt.NDArray[np.uint32]]:
    """A hash for each run of `shortest` to `longest` characters."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    found, run = [], codes
    for length in range(2, min(longest, len(codes)) + 1):
        run = run[:-1] * _STEP + codes[length - 1 :]
        if length >= shortest:
            found.append(run + np.uint32(length))
    return found


def _words(words: Sequence[str], salt: int) -> list[npt.NDArray[np.uint32]]:
    """A hash for each word, and for each pair of neighbours."""
    ones = np.array([crc32(word.encode("utf-8", "surrogatepass"), salt) for word in words], np.uint32)
    return [ones, ones[:-1] * _STEP + ones[1:]]
