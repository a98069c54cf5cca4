"""Gold for the simulated labelling model: what people say of a text, and which entry a question is about.

Owns the gold file's form and the lookup. A file is JSONL, one text a line: `{"text": …}` and one of `"label": …`,
`"labels": […]`, `"spans": [{"text", "label", "start", "end"}, …]`, `"answer": …` (any JSON); `"previous"` may hold what
was said before, oldest first: a text, texts, or turns with a `text`. Other members are left alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tailrace.errors import UserError
from tailrace.records import Json


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
                expected = '{"text": …, "label": …} or "labels", "spans", "answer" in place of "label"'
                raise UserError(f"{name}:{number}: expected {expected}") from exc
    return found


def _example(shape: Json) -> Example:
    if not isinstance(shape["text"], str) or not {"label", "labels", "spans", "answer"} & shape.keys():
        raise ValueError("a text and what is said of it")
    labels = [shape["label"]] if shape.get("label") is not None else shape.get("labels") or []
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("labels")
    spans = tuple(
        GoldSpan(str(span["text"]), str(span["label"]), int(span["start"]), int(span["end"]))
        for span in shape.get("spans") or ()
    )
    truth = Truth(tuple(labels), spans, orjson.dumps(shape.get("answer")))
    return Example(shape["text"], truth, _turns(shape.get("previous")))


def _turns(previous: Json) -> tuple[str, ...]:
    told = [previous] if isinstance(previous, str) else previous or []
    turns = tuple(turn if isinstance(turn, str) else turn["text"] for turn in told)
    if not all(isinstance(turn, str) for turn in turns):
        raise ValueError("previous")
    return turns
