"""An engine without a store, and logs for hypothesis to draw: chains with branches, retries and parents filed late."""

from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import strategies as st

from tailrace_exporters.asking import Asker, nobody
from tailrace_exporters.assemble import Fold
from tailrace_exporters.files import Files, NoFiles
from tailrace_exporters.pipeline import Pipeline
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Placed, Unit
from tailrace_exporters.split import Forest
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.ties import values_of
from tests.exporters.logged import Call, after, opened

Log = Mapping[int, tuple[Call, int | None]]
"""Completions and their parents' `seq`, by `seq`."""


def forest_of(log: Log, watermark: int, recipe: Recipe) -> Forest:
    """The chains as of `watermark`, told by the links of the whole log."""
    by = recipe.split.by
    forest = Forest(watermark, recipe.seed, recipe.split.shares, ties=len(by))
    for seq in sorted(log):
        if seq <= watermark:
            call, parent = log[seq]
            named = (getattr(call, tie.value) for tie in by)
            forest.add(seq, call.id, parent, values_of("default", *named))
    while forest.missing:
        seq = min(forest.missing)
        forest.add_later(seq, log[seq][1])
    forest.grow()
    return forest


def export(
    log: Log,
    recipe: Recipe,
    *,
    watermark: int | None = None,
    files: Files | None = None,
    asker: Asker = nobody,
    environ: Mapping[str, str] = MappingProxyType({}),
    folder: Path = Path(),
) -> tuple[Pipeline, list[Placed]]:
    """What the local engine does, over values. `folder`: where the recipe's own files lie."""
    end = max(log, default=0) if watermark is None else watermark
    forest = forest_of(log, end, recipe)
    placed: list[Placed] = []
    pipeline = Pipeline(
        recipe, Surroundings(folder, environ), forest, files or NoFiles(), asker=asker, look=placed.append
    )
    pipeline.ledger.log = forest.count
    calls = [log[seq][0] for seq in sorted(log) if seq <= end]
    if recipe.assemble.unit is Unit.STEP:
        for call in calls:
            if pipeline.admit(call):
                driven(pipeline.take(pipeline.step(call, call.exchange)))
    else:
        for call in calls:
            if pipeline.admit(call):
                forest.mark(call.seq)
        for chain in forest.chains():
            fold = folded([log[seq][0] for seq in chain], {seq: forest.above(seq) for seq in chain})
            driven(pipeline.take(pipeline.fold(fold)))
    pipeline.end()
    return pipeline, placed


def driven(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits for anything."""
    with pytest.raises(StopIteration):
        work.send(None)


def folded(members: Sequence[Call], above: Mapping[int, int | None]) -> Fold:
    """A chain's members, each given its exchange when it asks for it."""
    by_seq = {member.seq: member for member in members}
    fold = Fold(members, above)
    while heads := fold.heads():
        fold.take({head.seq: by_seq[head.seq].exchange for head in heads})
    return fold


@st.composite
def logs(draw: st.DrawFn, *, late: bool = True) -> Log:
    """A log whose words repeat, so that answers, retries and whole conversations do; with `late`, in any order."""
    size = draw(st.integers(1, 9))
    order = draw(st.permutations(range(1, size + 1))) if late else range(1, size + 1)
    words = st.sampled_from(("a", "b"))
    made: list[tuple[Call, int | None]] = []
    for seq in order:
        over = draw(st.one_of(st.none(), st.sampled_from(made))) if made else None
        question, answer = draw(words), draw(words)
        if over is None:
            made.append((opened(seq, question, answer), None))
        else:
            made.append((after(over[0], question, seq=seq, answer=answer), over[0].seq))
    return {call.seq: (call, parent) for call, parent in made}
