"""`[decontaminate]`: no row goes on that holds what a model will be tested with.

A row hits an item that it shares n words in a row with, in any message but the system's; or whose turns it has as
whole messages, one after the other, which is how items too short for n words are found.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tailrace.records import Json
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.dedupe import Twins
from tailrace_exporters.evals import Item, items, turn
from tailrace_exporters.ngrams import Hasher, Ngrams, words
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Row, Stage
from tailrace_exporters.surroundings import Surroundings

SHARED: Final = "eval_words"
SAME: Final = "eval_text"
_ARGUMENTS: Final = "arguments"


def decontaminate(recipe: Recipe, surroundings: Surroundings) -> "Decontaminate | None":
    """The stage that `[decontaminate]` asks for.

    Raises:
        RecipeError: an eval set cannot be read, or has a line that is no item.
    """
    rule = recipe.decontaminate
    return None if rule is None else Decontaminate(rule.against, rule.ngram, surroundings)


class Decontaminate:
    """Lets a row pass as it is, or drops it."""

    def __init__(self, against: Sequence[str], n: int, surroundings: Surroundings) -> None:
        self._hasher = Hasher(n)
        self._ngrams = Ngrams()
        self._wholes = Twins()
        self._runs: set[int] = set()  # how many turns the items have
        self._names = tuple(against)
        self._files: list[str] = []
        self._places = (array("H"), array("H"), array("I"))  # of each item: which of `against`, which file, which line
        for number, name in enumerate(self._names):
            for item in items(surroundings, name):
                self._add(item, number)
        self._ngrams.settle()
        self._hit: set[int] = set()
        self._rows: Counter[int] = Counter()

    def asks(self, _row: Row) -> Sequence[Ask]:
        """No model is needed."""
        return ()

    def take(self, row: Row, _answers: Answers) -> Iterator[Row | Dropped]:
        """The row, or which item it holds."""
        found = self._find(row)
        if found is None:
            yield row
            return
        reason, item = found
        self._hit.add(item)
        of, file, line = (column[item] for column in self._places)
        self._rows[of] += 1
        yield Dropped(Stage.DECONTAMINATE, reason, row.learned, by=f"{self._files[file]}:{line}")

    def facts(self) -> Mapping[str, Json]:
        """What was compared with, and how much of it was met."""
        of = self._places[0]
        sizes, met = Counter(of), Counter(of[item] for item in self._hit)
        against = {
            name: {"items": sizes[n], "items_met": met[n], "rows_dropped": self._rows[n]}
            for n, name in enumerate(self._names)
        }
        told = {"ngram": self._hasher.n, "ngrams": len(self._ngrams), "common_ngrams": self._ngrams.common}
        return {"decontamination": {**told, "against": against}}

    def _add(self, item: Item, of: int) -> None:
        number = len(self._places[0])
        if not self._files or self._files[-1] != item.file:
            self._files.append(item.file)
        for column, value in zip(self._places, (of, len(self._files) - 1, item.line), strict=True):
            column.append(value)
        turns = [some for text in item.asked if (some := words(text))]
        if turns:
            self._runs.add(len(turns))
            if self._wholes.first(_run([_name(some) for some in turns]), number + 1) is not None:
                turns = []  # the same again: its words would count as a template's
        hashes = self._hasher.hashes([*turns, *map(words, item.answered)])
        if len(hashes):
            self._ngrams.add(hashes, number)

    def _find(self, row: Row) -> tuple[str, int] | None:
        said = [(role, some) for role, text in _texts(row) if (some := words(text))]
        item = self._ngrams.find(self._hasher.hashes([some for _, some in said]))
        if item is not None:
            return SHARED, item
        names = [_name(some) for role, some in said if role != _ARGUMENTS]
        for size in sorted(self._runs):
            for start in range(len(names) - size + 1):
                first = self._wholes.known(_run(names[start : start + size]))
                if first is not None:
                    return SAME, first - 1
        return None


def _texts(row: Row) -> Iterator[tuple[str, str]]:
    """What the row's messages say, with who says it; the arguments of tool calls too."""
    messages = list(row.messages)
    if row.judgement is not None and row.judgement.rejected is not None:
        messages.append(row.judgement.rejected)
    for message in messages:
        role, text = turn(message)
        if role in {"system", "developer"}:
            continue
        yield role, text
        for call in message.get("tool_calls") or ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                yield _ARGUMENTS, function["arguments"]


def _name(some: Sequence[str]) -> bytes:
    """The name of a whole text."""
    return hashlib.blake2b(" ".join(some).encode(errors="surrogatepass"), digest_size=16).digest()


def _run(names: Sequence[bytes]) -> bytes:
    """The name of turns that follow one another."""
    return names[0] if len(names) == 1 else hashlib.blake2b(b"".join(names), digest_size=16).digest()
