"""What the rows of an export amount to: rows, tokens and teachers by split, and the proof over their hashes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.ledger import Ledger
from tailrace_exporters.manifest import Merkle
from tailrace_exporters.rows import Placed, teacher


@dataclass(slots=True)
class Tokens:
    """Token counts as the providers gave them; answers without a count are counted beside, never as 0."""

    rows: int = 0
    conversation: int = 0  # of the whole conversations: prompt and answer of their heads
    learned: int = 0  # of the learned answers
    unknown_conversations: int = 0
    unknown_answers: int = 0

    def add(self, placed: Placed) -> None:
        """One more row."""
        self.rows += 1
        head = placed.row.head
        if head.input_tokens is None or head.output_tokens is None:
            self.unknown_conversations += 1
        else:
            self.conversation += head.input_tokens + head.output_tokens
        for completion in placed.row.learned:
            if completion.output_tokens is None:
                self.unknown_answers += 1
            else:
                self.learned += completion.output_tokens


class Report:
    """Sums over the rows that were written."""

    def __init__(self) -> None:
        self._merkle = Merkle()
        self._splits: dict[str, Tokens] = {}
        self._teachers: Counter[str] = Counter()

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._merkle.count

    def row(self, placed: Placed) -> None:
        """One more row."""
        self._merkle.add(placed.hash)
        self._splits.setdefault(placed.split, Tokens()).add(placed)
        self._teachers.update(teacher(completion) for completion in placed.row.learned)

    def content(self, ledger: Ledger, splits: Mapping[str, float]) -> dict[str, Json]:
        """The part of the manifest that was counted."""
        return {
            "rows": {"count": self.rows, "merkle_root": self._merkle.root().hex()},
            "splits": {name: _shown(self._splits.get(name, Tokens())) for name in splits},
            "teachers": dict(sorted(self._teachers.items())),
            "stages": ledger.stage_table(),
            "formats": ledger.format_table(),
            "warnings": list(_warnings(ledger)),
        }


def _shown(tokens: Tokens) -> dict[str, Json]:
    return {
        "rows": tokens.rows,
        "tokens": {"conversation": tokens.conversation, "learned": tokens.learned},
        "without_token_count": {"rows": tokens.unknown_conversations, "answers": tokens.unknown_answers},
    }


def _warnings(ledger: Ledger) -> list[str]:
    found = []
    for name, count in ledger.formats.items():
        least = FORMATS[name].least_rows
        if count.went < least:
            found.append(f"{name}: {count.went} rows; the target takes no fewer than {least}")
        if count.came and not count.went:
            found.append(f"{name}: carries none of the rows; see the reasons under formats.{name}.dropped")
    return found
