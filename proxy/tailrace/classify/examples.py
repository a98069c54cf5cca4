"""The gold examples that a model is shown: read from a file, and chosen for a text. Pure and deterministic.

    fixed            the first ones, the labels in turn
    diverse          those most unlike each other, the labels in turn
    similar          those nearest to the text (BM25 over character n-grams), the nearest last, beside the question
    similar_diverse  of the nearest ones, those that are also unlike each other

The text itself is never its own example.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final, Literal

from tailrace.classify.cache import normal
from tailrace.classify.item_files import GoldError, parse_rows, turns_in
from tailrace.classify.nearness import Index, grams
from tailrace.classify.tasks.task import Brief
from tailrace.classify.turn import Subject
from tailrace.records import Json

Select = Literal["fixed", "similar", "diverse", "similar_diverse"]

MOST_ITEMS: Final = 50_000
NEAR: Final = 40
"""Of so many of the nearest is chosen."""

_FIELDS: Final = ("label", "labels", "entities", "answer", "attributes")
_UNLIKE: Final = 0.7
"""How much being unlike the others counts, against being near to the text."""
_SAME_LABEL: Final = 0.3
"""How alike two examples of one label are, at least."""
_POOL: Final = 2000
"""Of so many of a file's items the most unlike ones are sought."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its right answer."""

    subject: Subject
    answer: Mapping[str, Json]  # as the model would say it
    label: str  # all its labels as one word

    @property
    def shot(self) -> tuple[Subject, dict[str, Json]]:
        """As `build.request_of` takes it."""
        return self.subject, dict(self.answer)


def parse_gold(data: bytes, suffix: str, brief: Brief) -> tuple[Example, ...]:
    """The items of a gold file: JSON lines (`.jsonl`), or CSV with a header (`.csv`).

    Each has `text`; `label`, `labels`, `entities`, `answer` or `attributes`, as its task answers; and may have
    `reasoning`, `previous` and `context` (a list of `{role, text}`). In CSV, `labels` are separated by commas, and what
    is no text is JSON.

    Raises:
        GoldError: a line is of another kind, or names what is no label.
    """
    rows = parse_rows(data, suffix)
    examples = [_example(line, row, brief) for line, row in islice(rows, MOST_ITEMS + 1)]
    if len(examples) > MOST_ITEMS:
        raise GoldError(f"there are more than {MOST_ITEMS} items; give the model fewer to choose from")
    return tuple(examples)


class Shots:
    """The examples of one classifier, and which of them a text is shown. Immutable."""

    def __init__(self, examples: Sequence[Example], select: Select, count: int) -> None:
        self.examples = tuple(examples)
        self._select, self._count = select, count
        self._grams = [frozenset(grams(example.subject.text)) for example in self.examples]
        self._index = Index([grams(example.subject.text) for example in self.examples])
        self._order = self._in_turn() if select == "fixed" else self._unlike() if select == "diverse" else ()

    def near(self, text: str) -> list[Example]:
        """The `NEAR` examples nearest to `text`, the nearest first; what embeddings may put into another order."""
        return [self.examples[number] for number in self._index.top(grams(text), NEAR)]

    def choose(self, subject: Subject, near: Sequence[Example] | None = None) -> tuple[Example, ...]:
        """The examples for `subject`; `near`: its nearest ones in a better order."""
        if self._select in {"fixed", "diverse"}:
            chosen = _others(subject, (self.examples[number] for number in self._order))
            return tuple(islice(chosen, self._count))
        nearest = list(_others(subject, self.near(subject.text) if near is None else near))
        chosen_near = nearest[: self._count] if self._select == "similar" else _spread(nearest, self._count)
        return tuple(reversed(chosen_near))

    def _in_turn(self) -> tuple[int, ...]:
        """One more than are shown, since one may be the text itself; each label's first, then each one's second, …"""
        queues: dict[str, list[int]] = {}
        for number, example in enumerate(self.examples):
            queues.setdefault(example.label, []).append(number)
        in_turn = (number for turn in zip_longest(*queues.values()) for number in turn if number is not None)
        return tuple(islice(in_turn, self._count + 1))

    def _unlike(self) -> tuple[int, ...]:
        """Farthest first (Gonzalez 1985): each next one is the least like its nearest among those taken; a label
        that was taken less often goes first."""
        pool = range(len(self.examples))[:_POOL]
        taken: list[int] = []
        closest = dict.fromkeys(pool, 0.0)
        counts = {self.examples[number].label: 0 for number in pool}
        while closest and len(taken) <= self._count:
            best = min(closest, key=lambda number: (counts[self.examples[number].label], closest[number], number))
            del closest[best]
            taken.append(best)
            counts[self.examples[best].label] += 1
            for number in closest:
                closest[number] = max(closest[number], alike(self._grams[number], self._grams[best]))
        return tuple(taken)


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's index: the share of what either has that both have."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if both else 0.0


def _spread(nearest: Sequence[Example], count: int) -> list[Example]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), by rank; equally good ones stay in order."""
    left = {number: frozenset(grams(example.subject.text)) for number, example in enumerate(nearest)}
    taken: list[int] = []
    closest = dict.fromkeys(left, 0.0)
    while left and len(taken) < count:
        best = max(left, key=lambda number: (1 - number / len(nearest) - _UNLIKE * closest[number], -number))
        known = left.pop(best)
        taken.append(best)
        for number, other in left.items():
            same = _SAME_LABEL if nearest[number].label == nearest[best].label else 0.0
            closest[number] = max(closest[number], alike(known, other), same)
    return [nearest[number] for number in taken]


def _others(subject: Subject, examples: Iterable[Example]) -> Iterator[Example]:
    """Those of `examples` that are not the text itself."""
    text = normal(subject.text)
    return (example for example in examples if normal(example.subject.text) != text)


def _example(line: int, row: Json, brief: Brief) -> Example:
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise GoldError(f"line {line}: has no text; each item needs text and its answer")
    fields = [name for name in brief.task.properties(brief) if name in _FIELDS]
    answer = {name: row[name] for name in fields if name in row}
    if not answer:
        raise GoldError(f"line {line}: has no {fields[0]}, which is what {brief.task.name} answers with")
    reading = brief.task.read(answer, brief, text)
    if reading.error is not None or any(span.start is None for span in reading.spans):
        raise GoldError(f"line {line}: its {fields[0]} holds what is no label here, or a quote that is not in its text")
    if isinstance(reasoning := row.get("reasoning"), str) and brief.reasoning:
        answer = {"reasoning": reasoning, **answer}
    previous = row.get("previous")
    subject = Subject(text, tuple(turns_in(row.get("context"))), previous if isinstance(previous, str) else None)
    return Example(subject, answer, reading.label)
