"""The labelled development data as items: six sources, each in its own files' form.

Owns where the data is found and how each form is read. The whole data lies in `TAILRACE_DATA` (else in the shared
folder of the machines that have it); `SUBSETS` holds a few hundred lines of each source in the very same form, so that
one loader reads both and tests run anywhere. Test splits are not in the subsets. `SOURCE.md` beside each says whence.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

Split = Literal["train", "dev", "test"]

SUBSETS: Final = Path(__file__).parent / "subsets"
_SHARED: Final = Path("/work/shared/data")
_NEUTRAL: Final = 0.5  # of a scale from -4 to 4; the bound that SOURCE.md of vader_sentiment uses


@dataclass(frozen=True, slots=True)
class Turn:
    """Something said before an item, and, where the source says so, what it was labelled."""

    role: Literal["user", "assistant"]
    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is of `kind`; characters, not tokens."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Item:
    """A text and what people say of it. `chain` names the conversation; an item alone is a chain of its own."""

    id: str
    chain: str
    text: str
    labels: tuple[str, ...]
    before: tuple[Turn, ...] = ()
    spans: tuple[Span, ...] = ()
    ratings: tuple[int, ...] = ()  # each rater's, -4 to 4
    mean: float | None = None  # of the ratings

    @property
    def label(self) -> str:
        """The one label; several are joined, as the sources of single labels do for the few such items."""
        return "+".join(self.labels)


def whole() -> Path | None:
    """The folder of the whole data, or None on a machine without it."""
    told = Path(os.environ.get("TAILRACE_DATA") or _SHARED)
    return told if (told / "banking77").is_dir() else None


def best() -> Path:
    """The whole data where it is, else the subsets."""
    return whole() or SUBSETS


def banking77(root: Path, split: Split) -> tuple[Item, ...]:
    """Banking questions with one of 77 intents each.

    The source has no dev split: a hash of the text takes a tenth of its train split for ours, and out of train.
    """
    file = "test" if split == "test" else "train"
    raw = (root / "banking77" / f"{file}.csv").read_bytes().decode()
    rows = list(csv.reader(io.StringIO(raw, newline="")))[1:]
    items = (Item(f"banking77/{file}/{at}", f"banking77/{file}/{at}", row[0], (row[1],)) for at, row in enumerate(rows))
    return tuple(item for item in items if split == "test" or (_drawn(item.text) < 10) == (split == "dev"))


def multidogo_airline(root: Path, split: Split) -> tuple[Item, ...]:
    """User turns of conversations with an airline's desk, in order; the desk's own turns are not in the source.

    The few turns with two intents have two labels. The seven turns that the source breaks over two lines have a label
    on the second one alone: both lines are left out, as SOURCE.md says.
    """
    lines = (root / "multidogo_airline" / f"{split}.tsv").read_text("utf-8").split("\n")
    rows = [row for line in lines[1:] if len(row := line.split("\t")) == 6]
    items = []
    for chain, turns in groupby(rows, key=lambda row: row[0]):
        before: tuple[Turn, ...] = ()
        for row in sorted(turns, key=lambda row: int(row[1])):
            labels = tuple(row[5].split("<div>"))
            items.append(Item(f"multidogo/{chain}/{row[1]}", f"multidogo/{chain}", row[3], labels, before))
            before = (*before, Turn("user", row[3], "+".join(labels)))
    return tuple(items)


def star(root: Path, split: Split) -> tuple[Item, ...]:
    """User replies and the action the assistant takes next, with all that was said before."""
    lines = (root / "star" / f"{split}.jsonl").read_text("utf-8").split("\n")
    return tuple(item for line in lines if line for item in _star(json.loads(line)))


def _star(dialogue: dict[str, Any]) -> Iterator[Item]:
    chain = f"star/{dialogue['id']}"
    spoken = [Turn(turn["role"], turn["text"], turn.get("action")) for turn in dialogue["turns"] if "text" in turn]
    for at, (asked, told) in enumerate(pairwise(spoken)):
        if (asked.role, told.role) == ("user", "assistant") and told.label:
            yield Item(f"{chain}/{at}", chain, asked.text, (told.label,), tuple(spoken[:at]))


_FOLDS: Final = {"train": range(10), "dev": range(10, 15), "test": range(15, 20)}
"""NLU++ is given in 20 folds, for which its paper uses others as train and test in turn; ours are these."""


def nlupp(root: Path, split: Split, domain: Literal["banking", "hotels"] = "banking") -> tuple[Item, ...]:
    """Requests with any number of intents and with slot spans."""
    items = []
    for fold in _FOLDS[split]:
        path = root / "nlupp" / domain / f"fold{fold}.json"
        for at, shape in enumerate(json.loads(path.read_text("utf-8")) if path.exists() else ()):
            name = f"nlupp/{domain}/{fold}/{at}"
            slots = shape.get("slots", {}).items()
            spans = tuple(
                sorted(
                    (Span(slot["span"][0], slot["span"][1], kind) for kind, slot in slots), key=lambda span: span.start
                )
            )
            items.append(Item(name, name, shape["text"], tuple(shape.get("intents", ())), spans=spans))
    return tuple(items)


_WNUT: Final = {"train": "wnut17train.conll", "dev": "emerging.dev.conll", "test": "emerging.test.annotated"}


def wnut17(root: Path, split: Split) -> tuple[Item, ...]:
    """Sentences with entities. The text is the tokens with a blank between each two; labels are the kinds in it."""
    lines = (root / "wnut17" / _WNUT[split]).read_text("utf-8").split("\n")
    parts = (list(part) for full, part in groupby(lines, key=lambda line: bool(line.strip())) if full)
    return tuple(_sentence(f"wnut17/{split}/{at}", part) for at, part in enumerate(parts))


def _sentence(name: str, lines: Iterable[str]) -> Item:
    spans: list[Span] = []
    text = ""
    for line in lines:
        token, _, tag = line.rstrip("\r").partition("\t")
        text = f"{text} {token}" if text else token
        begins, _, kind = tag.strip().partition("-")
        if begins == "B":
            spans.append(Span(len(text) - len(token), len(text), kind))
        elif begins == "I":
            spans[-1] = Span(spans[-1].start, len(text), kind)
    return Item(name, name, text, tuple(sorted({span.kind for span in spans})), spans=tuple(spans))


def vader_sentiment(root: Path, split: Split) -> tuple[Item, ...]:
    """Tweets and review snippets: positive, neutral or negative by the mean of all raters, each of whom is given.

    The source has no splits: a hash of the id puts 60 % into train, 15 % into dev, 25 % into test.
    """
    items = []
    for kind in ("tweets", "amazonReviewSnippets"):
        told = dict(_rated(root / "vader_sentiment" / f"{kind}_anonDataRatings.txt"))
        for number, (mean, text) in _columns(root / "vader_sentiment" / f"{kind}_GroundTruth.txt"):
            name = f"vader/{kind}/{number}"
            if vader_split(kind, number) == split:
                label = _three_way(float(mean))
                items.append(Item(name, name, text, (label,), ratings=told[number], mean=float(mean)))
    return tuple(items)


def vader_split(kind: str, number: str) -> Split:
    """The split of an id."""
    drawn = _drawn(f"{kind}/{number}")
    return "train" if drawn < 60 else "dev" if drawn < 75 else "test"


def _drawn(name: str) -> int:
    """A number below 100 that depends on the name alone."""
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") % 100


def _three_way(mean: float) -> str:
    return "positive" if mean > _NEUTRAL else "negative" if mean < -_NEUTRAL else "neutral"


def _rated(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    for number, (_, _, ratings) in _columns(path):
        yield number, tuple(int(rating) for rating in json.loads(ratings))


def _columns(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The id of each line and its other columns; one of the files begins with a byte order mark."""
    for line in path.read_text("utf-8-sig").split("\n"):
        if line.strip():
            number, *others = line.rstrip("\r").split("\t")
            yield number, tuple(others)


LOADERS: Final[MappingProxyType[str, Callable[[Path, Split], tuple[Item, ...]]]] = MappingProxyType(
    {
        "banking77": banking77,
        "multidogo_airline": multidogo_airline,
        "nlupp": nlupp,
        "star": star,
        "vader_sentiment": vader_sentiment,
        "wnut17": wnut17,
    }
)
"""All sources, by the name of their folder."""
