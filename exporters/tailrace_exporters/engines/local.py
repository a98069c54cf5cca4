"""Runs an export in this process, over the embedded store, in short reads and flat memory.

    links of all completions ──▶ Forest ─┐
    selected completions ──▶ admit ──────┴─▶ step:  each one's exchange, in log order
                                             chain: each chain's heads, chains in the order of their last completion

No transaction outlives a batch, so a long export never holds the writer's checkpoint. What a run keeps of the log are
integers and hashes (about 30 bytes a completion and 50 a row); bodies live as long as their batch.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.store.query import Marks
from tailrace.store.query.fields import COMPLETION
from tailrace.store.rebuild import Rebuilder
from tailrace_exporters import select as selecting
from tailrace_exporters.asking import Asker, nobody
from tailrace_exporters.assemble import Fold
from tailrace_exporters.engines.local_answers import LoggedAnswers, Recorded
from tailrace_exporters.engines.local_labels import with_labels
from tailrace_exporters.engines.local_mined import Chains
from tailrace_exporters.engines.local_rows import Logged, numbered, selected
from tailrace_exporters.engines.local_values import with_values
from tailrace_exporters.files import Files, NoFiles
from tailrace_exporters.pipeline import Look, Pipeline
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Placed, Row, Tie, Unit
from tailrace_exporters.split import Forest
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.ties import values_of

T = TypeVar("T")

_LINKS: Final = 5_000
_SELECTED: Final = 1_000
_BODIES: Final = 500
_FIRST_BODIES: Final = 100
_BATCH_BYTES: Final = 16 * 2**20
"""About how much content is held at once: few bodies where they are large, many where they are small."""
_CACHED_MESSAGES: Final = 4_000

Progress = Callable[[str, int, int], None]
"""Told the phase, what is done of it and what there is to do, in completions."""


@dataclass(frozen=True, slots=True)
class Log:
    """A store to read, up to a watermark."""

    connection: AsyncConnection
    marks: Marks

    @property
    def watermark(self) -> int:
        """The `seq` of the last completion that counts."""
        return self.marks.completions


async def run(
    log: Log,
    recipe: Recipe,
    surroundings: Surroundings,
    files: Files,
    *,
    progress: Progress,
    asker: Asker = nobody,
    look: Look | None = None,
    limit: int | None = None,
) -> Pipeline:
    """Run the whole pipeline; its `ledger` and `report` say what was done. `limit` ends it after that many rows.

    Raises:
        RecipeError: a file that the recipe names is not there, or not what it should be.
        WorkFailed: a stored body is damaged, or the counts do not add up.
    """
    forest = await _forest(log, recipe, progress)
    pipeline = Pipeline(recipe, surroundings, forest, files, asker=asker, look=look)
    async for done in passes(log, recipe, forest, pipeline):
        progress("rows", done, log.watermark)
        if limit is not None and pipeline.report.rows >= limit:
            return pipeline
    return pipeline


async def placed_rows(log: Log, recipe: Recipe, surroundings: Surroundings) -> AsyncIterator[Placed]:
    """The rows that an export would write, one after the other; writes nothing, and asks nobody.

    Raises:
        RecipeError, WorkFailed: as `run`; WorkFailed also where the log does not have an answer of a model.
    """
    forest = await _forest(log, recipe, lambda _phase, _done, _total: None)
    found: list[Placed] = []
    asker = Recorded(LoggedAnswers(log.connection), all_there=True)
    pipeline = Pipeline(recipe, surroundings, forest, NoFiles(), asker=asker, look=found.append)
    async for _ in passes(log, recipe, forest, pipeline):
        for placed in found:
            yield placed
        found.clear()
    for placed in found:
        yield placed


async def passes(log: Log, recipe: Recipe, forest: Forest, pipeline: Pipeline) -> AsyncIterator[int]:
    """Brings the pipeline all that it asks for, and ends it; yields how far in the log it is after each batch."""
    pipeline.ledger.log = forest.count
    bodies = Rebuilder(log.connection, cached=_CACHED_MESSAGES)
    if recipe.assemble.unit is Unit.STEP:
        batches = _steps(log, recipe, forest, pipeline, bodies)
    else:
        batches = _chains(log, recipe, forest, pipeline, bodies)
    async for done in batches:
        yield done
    if pipeline.mines:
        async for _ in _mined(log, recipe, forest, pipeline, bodies):
            yield log.watermark
    for _ in pipeline.ending():
        yield log.watermark


async def _steps(log: Log, recipe: Recipe, forest: Forest, pipeline: Pipeline, bodies: Rebuilder) -> AsyncIterator[int]:
    """A row for each admitted completion, in log order."""
    pace, value = _Pace(pipeline), _value(log, recipe)
    async for rows in selected(log.connection, selecting.selection(recipe.select, log.marks), batch_rows=_BODIES):
        admitted = [row for row in rows if pipeline.admit(row)]
        if pipeline.mines:
            for row in admitted:
                forest.mark(row.seq)
        while some := admitted[: pace.bodies]:
            del admitted[: pace.bodies]
            exchanges = await bodies.exchanges(some, choices_only=True)
            found = [pipeline.step(row, exchange) for row, exchange in zip(some, exchanges, strict=True)]
            assembled = [row for rows in found for row in rows]
            await pipeline.take(await _told(log, assembled, value))
            pace.told(len(some))
        yield rows[-1].seq


async def _chains(
    log: Log, recipe: Recipe, forest: Forest, pipeline: Pipeline, bodies: Rebuilder
) -> AsyncIterator[int]:
    """Rows chain by chain, in the order of the chains' last admitted completions."""
    chosen = selecting.selection(recipe.select, log.marks)
    async for rows in selected(log.connection, chosen, batch_rows=_SELECTED):
        for row in rows:
            if pipeline.admit(row):
                forest.mark(row.seq)
    pace, value = _Pace(pipeline), _value(log, recipe)
    for chains in _bunches(forest.chains(), pace):
        members = await numbered(log.connection, (seq for chain in chains for seq in chain))
        folds = [Fold([members[seq] for seq in chain], {seq: forest.above(seq) for seq in chain}) for chain in chains]
        await _settle(folds, bodies, members, pace)
        assembled = [row for fold in folds for row in pipeline.fold(fold)]
        await pipeline.take(await _told(log, assembled, value))
        pace.told(len(folds))
        await log.connection.rollback()
        yield chains[-1][-1]


async def _mined(
    log: Log, recipe: Recipe, forest: Forest, pipeline: Pipeline, bodies: Rebuilder
) -> AsyncIterator[None]:
    """What the chains of the admitted completions say about their answers, after all rows of the chains themselves."""
    value = _value(log, recipe)
    chains = Chains(log.connection, log.marks, forest, bodies, recipe.prefer.classifier)
    async for members in chains.members(forest.chains()):
        await pipeline.take(await _told(log, pipeline.mine(members), value))
        yield


def _value(log: Log, recipe: Recipe) -> "ColumnElement[Any] | None":
    return None if recipe.balance is None else selecting.value(recipe.balance.by, log.marks)


async def _told(log: Log, rows: Sequence[Row], value: "ColumnElement[Any] | None") -> list[Row]:
    """The rows, with what stands beside their heads in the log."""
    labelled = await with_labels(log.connection, rows, log.marks)
    return labelled if value is None else await with_values(log.connection, labelled, value)


async def _settle(folds: Sequence[Fold], bodies: Rebuilder, members: dict[int, Logged], pace: "_Pace") -> None:
    """Bring each fold the exchanges of its heads until it needs no more: one round, where no history was rewritten."""
    open_folds = list(folds)
    while open_folds:
        for some in _few(open_folds, pace.bodies):
            wanted = [[members[head.seq] for head in fold.heads()] for fold in some]
            exchanges = await bodies.exchanges([row for rows in wanted for row in rows], choices_only=True)
            found = iter(exchanges)
            for fold, rows in zip(some, wanted, strict=True):
                fold.take({row.seq: next(found) for row in rows})
        open_folds = [fold for fold in open_folds if fold.heads()]


async def _forest(log: Log, recipe: Recipe, progress: Progress) -> Forest:
    """The chains of the whole log up to the watermark."""
    by = recipe.split.by
    forest = Forest(log.watermark, recipe.seed, recipe.split.shares, ties=len(by))
    async for links in _links(log, by):
        for seq, id_, parent, *named in links:
            forest.add(seq, id_, parent, values_of(*named) if by else ())
        progress("links", links[-1][0], log.watermark)
    while forest.missing:
        some = sorted(forest.missing)[:_SELECTED]
        c = COMPLETION.c
        rows = await log.connection.execute(select(c.seq, c.parent).where(c.seq.in_(some)))
        parents: dict[int, int | None] = {row.seq: row.parent for row in rows}
        await log.connection.rollback()
        for seq in some:
            forest.add_later(seq, parents.get(seq))
    forest.grow()
    return forest


async def _links(log: Log, by: Sequence[Tie]) -> AsyncIterator[Sequence[Any]]:
    """`(seq, id, parent)` of every completion up to the watermark, in log order; then project and what is tied `by`."""
    c = COMPLETION.c
    named = (c.project, *(c[tie.value] for tie in by)) if by else ()
    at = 0
    while True:
        statement = select(c.seq, c.id, c.parent, *named).where(c.seq > at, c.seq <= log.watermark).order_by(c.seq)
        found = (await log.connection.execute(statement.limit(_LINKS))).all()
        await log.connection.rollback()
        if not found:
            return
        yield found
        at = found[-1][0]


class _Pace:
    """How many bodies to read at once: as many as weigh about `_BATCH_BYTES`, by what the last ones weighed."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.bodies = _FIRST_BODIES
        self._pipeline = pipeline
        self._seen_bytes = 0

    def told(self, bodies: int) -> None:
        """`bodies` more have gone through the pipeline."""
        each = (self._pipeline.seen_bytes - self._seen_bytes) // bodies + 1
        self._seen_bytes = self._pipeline.seen_bytes
        self.bodies = max(1, min(_BODIES, _BATCH_BYTES // each))


def _bunches(chains: Iterable[list[int]], pace: _Pace) -> Iterator[list[list[int]]]:
    """Chains in groups: of few heads, which are one a chain but for branches, and of few completions."""
    bunch: list[list[int]] = []
    size = 0
    for chain in chains:
        bunch.append(chain)
        size += len(chain)
        if len(bunch) >= pace.bodies or size >= _SELECTED:
            yield bunch
            bunch, size = [], 0
    if bunch:
        yield bunch


def _few(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while few := list(islice(rest, size)):
        yield few
