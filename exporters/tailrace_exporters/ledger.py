"""What went into each stage, what came out, and what did not, by reason; `check` holds the counts together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tailrace.errors import WorkFailed
from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.rows import Kind, Stage

_OF_COMPLETIONS: Final = (Stage.FILTER, Stage.ASSEMBLE)
"""What comes in there are completions; everywhere else, rows."""


@dataclass(slots=True)
class Count:
    """One stage. `folded`: completions whose answer rides in another's row. `made`: rows that the stage added."""

    came: int = 0
    went: int = 0
    folded: int = 0
    made: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def balanced(self) -> bool:
        """Whether nothing was lost without a word."""
        return self.came + self.made == self.went + self.folded + sum(self.dropped.values())


class Ledger:
    """The counts of one export."""

    def __init__(self, stages: Sequence[Stage], formats: Sequence[str]) -> None:
        """`stages` in their order."""
        self.log = 0
        self.selected = 0
        self.stages = {stage: Count() for stage in stages}
        self.formats = {name: Count() for name in formats}
        self.rules: dict[str, Counter[str]] = {name: Counter() for name in formats}
        self.kinds: Counter[Kind] = Counter()
        """The rows that came to be written."""

    def check(self) -> None:
        """Each stage's intake is what the one before gave, and is all accounted for.

        Raises:
            WorkFailed: it is not; the export must not be trusted.
        """
        gave = self.selected
        for stage, count in self.stages.items():
            _whole(f"stage {stage}", gave, count)
            gave = count.went
        for name, count in self.formats.items():
            _whole(f"format {name}", sum(self.kinds[kind] for kind in FORMATS[name].kinds), count)
        if gave != self.kinds.total():
            raise WorkFailed(
                f"the last stage gave {gave} rows, and {self.kinds.total()} were written; please report this"
            )

    def stage_table(self) -> list[dict[str, Json]]:
        """The stages as the manifest shows them, select first."""
        first = {"stage": "select", "unit": "completions", "in": self.log, "out": self.selected}
        return [first, *({"stage": stage.value, "unit": _unit(stage)} | _shown(c) for stage, c in self.stages.items())]

    def format_table(self) -> dict[str, Json]:
        """The formats as the manifest shows them."""
        return {
            name: _shown(count) | {"converted": dict(sorted(self.rules[name].items()))}
            for name, count in self.formats.items()
        }


def _whole(of: str, gave: int, count: Count) -> None:
    if count.came != gave or not count.balanced():
        raise WorkFailed(f"the counts of {of} do not add up ({gave} → {count}); please report this")


def _unit(stage: Stage) -> str:
    return "completions" if stage in _OF_COMPLETIONS else "rows"


def _shown(count: Count) -> dict[str, Json]:
    shown: dict[str, Json] = {"in": count.came, "out": count.went}
    if count.folded:
        shown["folded"] = count.folded
    if count.made:
        shown["made"] = count.made
    return shown | {"dropped": dict(sorted(count.dropped.items()))}
