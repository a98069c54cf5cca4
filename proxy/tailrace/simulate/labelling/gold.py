"""Gold for the simulated labelling model: what people say of a text, and which entry a question is about.

Owns the lookup, and a reader of gold files that takes the labels of every task. A file is JSONL, one text a line:
`{"text": …}` and of `"label": …`, `"labels": […]`, `"entities": [{"text", "label"}, …]`, `"answer": …` (any JSON) and
`"attributes": {…}` at least one; `"context"` may hold what was said before, oldest first, as turns with a `text`.
Other members are left alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tailrace.errors import UserError
from tailrace.records import Json

_SAYING: Final = frozenset(("label", "labels", "entities", "answer", "attributes"))


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """`text` stands at `start` to `end`, in characters, and is of the kind `label`."""

    text: str
    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What is said of a text; the parts that a gold line does not have are empty. `answer` is JSON text."""

    labels: tuple[str, ...] = ()
    spans: tuple[GoldSpan, ...] = ()
    answer: bytes = b"null"


@dataclass(frozen=True, slots=True)
class Example:
    """A gold line."""

    text: str
    truth: Truth
    previous: tuple[str, ...] = ()


class Gold:
    """Gold by text. The same text may stand there many times; what was said before tells them apart."""

    def __init__(self, examples: Iterable[Example] = ()) -> None:
        self._by_text: defaultdict[str, list[tuple[tuple[str, ...], Truth]]] = defaultdict(list)
        labels: dict[str, None] = {}
        for example in examples:
            previous = tuple(key(turn) for turn in example.previous)
            self._by_text[key(example.text)].append((previous, example.truth))
            labels |= dict.fromkeys((*example.truth.labels, *(span.label for span in example.truth.spans)))
        self.labels = tuple(labels)
        """All labels, in the order in which they first occur."""

    def find(self, text: str, context: str) -> Truth | None:
        """What gold says of `text` after `context`, in which earlier turns stand in any form; None: not in gold.

        Entries count of which most turns, from the newest back, are found in the context; of those the most frequent.
        """
        known = self._by_text.get(key(text))
        if not known:
            return None
        heard = key(context)
        reach = [_reach(previous, heard) for previous, _ in known]
        best = max(reach)
        return Counter(truth for (_, truth), far in zip(known, reach, strict=True) if far == best).most_common(1)[0][0]


def key(text: str) -> str:
    """Letters and digits alone, case folded: quoting, escaping and defused tags do not matter."""
    return "".join(filter(str.isalnum, text.casefold())) or text.strip()


def _reach(previous: Sequence[str], heard: str) -> int:
    """How many turns, from the newest back, stand in `heard` in their order."""
    end = len(heard)
    for far, turn in enumerate(reversed(previous)):
        end = heard.rfind(turn, 0, end)
        if end < 0:
            return far
    return len(previous)


def load(paths: Iterable[Path]) -> Gold:
    """The gold of all `paths`. Raises UserError, with file and line, for what cannot be read."""
    examples: list[Example] = []
    for path in paths:
        try:
            examples += parse(path.read_bytes(), str(path))
        except OSError as exc:
            raise UserError(f"{path}: {exc.strerror}; expected a JSONL file of labelled texts") from exc
    return Gold(examples)


def parse(raw: bytes, name: str) -> list[Example]:
    """The examples in `raw`. Raises UserError with `name` and the line."""
    found = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            try:
                found.append(_example(orjson.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError) as exc:
                expected = '{"text": …, "label": …} or "labels", "entities", "answer", "attributes"'
                raise UserError(f"{name}:{number}: expected {expected}") from exc
    return found


def _example(shape: Json) -> Example:
    if not isinstance(shape["text"], str) or not _SAYING & shape.keys():
        raise ValueError("a text and what is said of it")
    labels = tuple(shape["labels"] if shape.get("labels") is not None else [shape["label"]] if "label" in shape else [])
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("labels")
    answer = shape["answer"] if "answer" in shape else shape.get("attributes")
    truth = Truth(labels, tuple(_entities(shape.get("entities") or (), shape["text"])), orjson.dumps(answer))
    return Example(shape["text"], truth, tuple(_words(turn["text"]) for turn in shape.get("context") or ()))


def _entities(entities: Json, text: str) -> Iterator[GoldSpan]:
    """The entities with their places: each is sought behind the one before it."""
    end = 0
    for entity in entities:
        words = _words(entity["text"])
        start = max(text.find(words, end), 0)
        end = start + len(words)
        yield GoldSpan(words, _words(entity["label"]), start, end)


def _words(text: Json) -> str:
    if not isinstance(text, str):
        raise TypeError("a text")
    return text
