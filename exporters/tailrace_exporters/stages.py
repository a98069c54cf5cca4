"""The stages that take a row and give rows, in their order. A new one is one module and one line here.

A stage is a function of rows, with at most a memory of the rows before: an engine may hand it any number at once. One
that needs a model says first what it would ask. What a stage gives back is either the row, changed or not, further rows
(`Row.made` says how), or `Dropped` with the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar, runtime_checkable

from tailrace.records import Json
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.balance import balance
from tailrace_exporters.check import check
from tailrace_exporters.decontaminate import decontaminate
from tailrace_exporters.judge import judge
from tailrace_exporters.paraphrase import held_out, paraphrase
from tailrace_exporters.policy import policy
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.relabel import relabel
from tailrace_exporters.rows import Dropped, Placed, Row, Stage
from tailrace_exporters.scrub import scrub
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.templates.stage import pruning


class RowStage(Protocol):
    """Takes one row after the other, in the order in which they were assembled."""

    def asks(self, row: Row) -> Sequence[Ask]:
        """The calls whose answers `take` needs for this row; most stages need none."""
        ...

    def take(self, row: Row, answers: Answers) -> Iterator[Row | Dropped]:
        """What becomes of the row."""
        ...


class PlacedStage(Protocol):
    """Takes rows that have their split; may hold them back until it has seen all."""

    def take(self, placed: Placed) -> Iterator[Placed | Dropped]:
        """What becomes of the row now."""
        ...

    def end(self) -> Iterator[Placed | Dropped]:
        """What becomes of the rows that were held back, in the order in which they came."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A stage of which the manifest says more than the ledger does."""

    def facts(self) -> Mapping[str, Json]:
        """What it says, by a key of the manifest's that is the stage's own."""
        ...


T = TypeVar("T")
Makers = tuple[tuple[Stage, Callable[[Recipe, Surroundings], T | None]], ...]
"""Each with the stage that a recipe asks for, or None where it does not."""

BEFORE_DEDUPE: Final[Makers[RowStage]] = (
    (Stage.CHECK, check),
    (Stage.JUDGE, judge),
    (Stage.RELABEL, relabel),
    (Stage.PRUNE, pruning),
    (Stage.PARAPHRASE, paraphrase),
    (Stage.SCRUB, scrub),
)
"""On every row, before equal rows are looked for: what makes, changes or refuses a row by itself."""

AFTER_DEDUPE: Final[Makers[RowStage]] = ((Stage.DECONTAMINATE, decontaminate),)
"""On the rows that are left: what compares a row with others. These let a row pass as it is, or drop it."""

AFTER_SPLIT: Final[Makers[PlacedStage]] = ((Stage.AUGMENT, held_out), (Stage.POLICY, policy), (Stage.BALANCE, balance))
"""On the rows that are to be written."""


def wanted(makers: Makers[T], recipe: Recipe, surroundings: Surroundings) -> dict[Stage, T]:
    """The stages of `makers` that a recipe asks for, in order.

    Raises:
        RecipeError: a file that the recipe names is not there, or not what it should be.
    """
    found = {stage: maker(recipe, surroundings) for stage, maker in makers}
    return {stage: made for stage, made in found.items() if made is not None}
