"""What the rows of an export amount to: rows, tokens, labels and teachers by split, and the proof over their hashes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.ledger import Ledger
from tailrace_exporters.manifest import Merkle
from tailrace_exporters.rows import Completion, Placed, Row, teacher
from tailrace_exporters.terms import TermsTable, Verdict
from tailrace_exporters.tokens import tokens_of

MOST_LABELS: Final = 200
"""Of one classifier that are counted by name; the rest is counted as `OTHER`."""
OTHER: Final = "…"
NONE: Final = "—"
_DAY_US: Final = 86_400 * 10**6
_MICRO: Final = 10**6


@dataclass(slots=True)
class Tokens:
    """Token counts as the providers gave them; answers without a count are counted beside, never as 0."""

    rows: int = 0
    conversation: int = 0  # of the whole conversations: prompt and answer of their heads
    learned: int = 0  # of the learned answers
    unknown_conversations: int = 0
    unknown_answers: int = 0

    def add(self, size: int | None, learned: int, unknown: int) -> None:
        """One more row: of the whole conversation, of the learned answers, and how many of these nobody counted."""
        self.rows += 1
        if size is None:
            self.unknown_conversations += 1
        else:
            self.conversation += size
        self.learned += learned
        self.unknown_answers += unknown


@dataclass(slots=True)
class Costs:
    """What the learned answers cost when they were made; in millionths, so that the order of rows does not matter."""

    micro_usd: int = 0
    unknown: int = 0

    def add(self, completion: Completion) -> None:
        """One more answer."""
        if completion.cost_usd is None:
            self.unknown += 1
        else:
            self.micro_usd += round(completion.cost_usd * _MICRO)


@dataclass(slots=True)
class Shape:
    """How the rows are distributed: what the dataset card plots."""

    lengths: Counter[int] = field(default_factory=Counter)
    """Rows by the power of two that their tokens stay below: 3 stands for 4 to 7."""
    turns: Counter[int] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)
    """Rows by the day (since 1970, UTC) on which their head started."""

    def add(self, row: Row, size: int | None) -> None:
        """One more row, with its tokens."""
        if size is not None:
            self.lengths[size.bit_length()] += 1
        self.turns[sum(row.train)] += 1
        self.days[row.head.started_us // _DAY_US] += 1

    def content(self) -> dict[str, Json]:
        """By what each bin means."""
        return {
            "tokens_below": {str(1 << bits): self.lengths[bits] for bits in sorted(self.lengths)},
            "learned_answers": {str(count): self.turns[count] for count in sorted(self.turns)},
            "started": {_day(day): self.days[day] for day in sorted(self.days)},
        }


class Report:
    """Sums over the rows that were written. Keeps counts only: a few hundred, however many rows there are."""

    def __init__(self, terms: TermsTable) -> None:
        self.shape = Shape()
        self._terms = terms
        self._merkle = Merkle()
        self._splits: dict[str, Tokens] = defaultdict(Tokens)
        self._formats: dict[str, Tokens] = defaultdict(Tokens)
        self._costs = Costs()
        self._teachers: Counter[str] = Counter()
        self._labels: dict[str, dict[str, Counter[str]]] = {}
        self._kinds: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self._long: Counter[str] = Counter()

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._merkle.count

    def row(self, placed: Placed, formats: tuple[str, ...]) -> None:
        """One more row, and the formats that carry it."""
        row = placed.row
        self._merkle.add(placed.hash)
        size = tokens_of(row.head)
        learned = unknown = 0
        for completion in row.learned:
            self._costs.add(completion)
            self._teachers[teacher(completion)] += 1
            if completion.output_tokens is None:
                unknown += 1
            else:
                learned += completion.output_tokens
        self._splits[placed.split].add(size, learned, unknown)
        for name in formats:
            self._formats[name].add(size, learned, unknown)
            most = FORMATS[name].limits.most_row_tokens
            self._long[name] += most is not None and (size or 0) > most
        self._kinds[row.kind.value] += 1
        if row.made:
            self._teachers.update(made.by for made in row.made if made.answers)
            self._made.update({made.stage.value for made in row.made})
        self.shape.add(row, size)
        for each in row.labels:
            counts = self._labels.setdefault(each.classifier, {}).setdefault(placed.split, Counter())
            text = each.label if isinstance(each.label, str) else orjson.dumps(each.label).decode()
            counts[text if text in counts or len(counts) < MOST_LABELS else OTHER] += 1

    def content(self, ledger: Ledger, splits: Iterable[str], prices: Mapping[str, float]) -> dict[str, Json]:
        """The part of the manifest that was counted. `prices`: USD for a million training tokens, by format."""
        splits = list(splits)
        return {
            "rows": {"count": self.rows, "merkle_root": self._merkle.root().hex()},
            "kinds": dict(sorted(self._kinds.items())),
            "splits": {name: _shown(self._splits.get(name, Tokens())) for name in splits},
            "labels": {
                name: {split: dict(by_split[split].most_common()) for split in splits if split in by_split}
                for name, by_split in sorted(self._labels.items())
            },
            "teachers": dict(sorted(self._teachers.items())),
            "terms": self._terms.verdicts(self._teachers),
            "made": dict(sorted(self._made.items())),
            "answers_cost": {"usd": self._costs.micro_usd / _MICRO, "without_cost": self._costs.unknown},
            "shape": self.shape.content(),
            "stages": ledger.stage_table(),
            "formats": {
                name: counts | _tokens(self._formats.get(name, Tokens())) | self._training(name, prices)
                for name, counts in ledger.format_table().items()
            },
            "warnings": [*_warnings(ledger), *self._of_lengths(), *self._of_terms()],
        }

    def _training(self, name: str, prices: Mapping[str, float]) -> dict[str, Json]:
        """What one epoch costs where the recipe says what a token does; trainers ask for prompts as for answers."""
        if name not in prices or name not in self._formats:
            return {}
        return {"training_usd": round(self._formats[name].conversation / _MICRO * prices[name], 4)}

    def _of_lengths(self) -> Iterator[str]:
        for name, count in self._long.items():
            if count:
                most = FORMATS[name].limits.most_row_tokens
                yield f"{name}: {count:,} of the rows have more than {most:,} tokens, by the count of who answered them"

    def _of_terms(self) -> list[str]:
        found = []
        for name in sorted(self._teachers):
            term = self._terms.of(name)
            if term.verdict is not Verdict.ALLOWED:
                found.append(f"teacher {name}: {term.verdict.value}: {term.says}")
        return found


def _shown(tokens: Tokens) -> dict[str, Json]:
    return {"rows": tokens.rows, **_tokens(tokens)}


def _tokens(tokens: Tokens) -> dict[str, Json]:
    return {
        "tokens": {"conversation": tokens.conversation, "learned": tokens.learned},
        "without_token_count": {"rows": tokens.unknown_conversations, "answers": tokens.unknown_answers},
    }


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _warnings(ledger: Ledger) -> list[str]:
    found = []
    for name, count in ledger.formats.items():
        least = FORMATS[name].limits.least_rows
        if count.went < least:
            found.append(f"{name}: {count.went} rows; the target takes no fewer than {least}")
        if count.came and not count.went:
            found.append(f"{name}: carries none of the rows; see the reasons under formats.{name}.dropped")
        if not count.came and ledger.kinds.total():
            kinds = " or ".join(sorted(kind.value for kind in FORMATS[name].kinds))
            found.append(f"{name}: takes rows of kind {kinds}, and there are none")
    return found
