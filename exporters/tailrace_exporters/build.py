"""One export, from a recipe and a store to files with their manifest: what `export`, `--dry-run` and `verify` share."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import collector
from tailrace.errors import WorkFailed
from tailrace.records import Json
from tailrace.store import read
from tailrace.store.query import Marks
from tailrace_exporters import checks
from tailrace_exporters.asking import Asker, nobody
from tailrace_exporters.calls import models
from tailrace_exporters.card import card
from tailrace_exporters.engines import local
from tailrace_exporters.engines.local_answers import LoggedAnswers
from tailrace_exporters.files import Files
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import Beside, Format, Written
from tailrace_exporters.manifest import DIGEST, MANIFEST, digest_line, manifest, watermark
from tailrace_exporters.pipeline import DROPPED, LINEAGE
from tailrace_exporters.recipe import Recipe, recipe_hash
from tailrace_exporters.scrub.canary import Canary
from tailrace_exporters.surroundings import Surroundings

SHARD: Final = re.compile(r"-\d{5}$")
"""What a shard's name has behind the split's."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was made: the manifest's bytes, and its counted part."""

    manifest: bytes
    report: dict[str, Json]
    watermark: int


async def latest(connection: AsyncConnection) -> Marks:
    """The watermark of an export that begins now."""
    found = await read.marks(connection)
    await connection.rollback()
    return found


@dataclass(frozen=True, slots=True)
class Models:
    """Who answers for the stages that need a model, and what is read for it."""

    answers: LoggedAnswers
    asker: Asker


async def build(
    log: local.Log,
    recipe: Recipe,
    text: str,
    surroundings: Surroundings,
    files: Files,
    *,
    progress: local.Progress,
    asking: Models | None = None,
) -> Built:
    """Run `recipe` (whose text is `text`) over `log` into `files`, manifest included.

    `asking` is needed where the recipe asks models.

    Raises:
        WorkFailed: the store is damaged, the disk failed, or the counts do not add up.
    """
    for path in (LINEAGE, DROPPED):
        files.touch(path)
    asker = nobody if asking is None else asking.asker
    with collector.sparing():
        pipeline = await local.run(log, recipe, surroundings, files, progress=progress, asker=asker)
    report = pipeline.report.content(pipeline.ledger, recipe.split.shares, recipe.write.training_usd_per_million)
    report |= pipeline.facts
    sizes = {path: (tally.lines, tally.size_bytes) for path, tally in files.tallies.items()}
    report["warnings"] += checks.limits(sizes)
    for path, words in _beside(recipe, files):
        _lines(files, path, words)
    if asking is not None and models(recipe):
        report["answers"] = asking.answers.content()
    for path, words in card(recipe.name, watermark(log.marks), report).items():
        _lines(files, path, words)
    content = manifest(
        name=recipe.name,
        recipe=text,
        recipe_sha256=recipe_hash(text),
        inputs=surroundings.inputs,
        marks=log.marks,
        report=report,
        files=dict(files.tallies),
    )
    files.write(MANIFEST, content)
    files.write(DIGEST, digest_line(content))
    _holds_nothing(files, pipeline.canary)
    return Built(content, report, log.watermark)


def _beside(recipe: Recipe, files: Files) -> Iterator[tuple[str, str]]:
    """The files that targets want beside their data."""
    for name in recipe.write.formats:
        target = FORMATS[name]
        data = {
            path.removeprefix(f"{name}/"): _written(files, path, target)
            for path in sorted(files.tallies)
            if path.startswith(f"{name}/")
        }
        for path, content in target.beside(Beside(recipe.name, data)).items():
            text = content if isinstance(content, str) else orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
            yield f"{name}/{path}", text


def _written(files: Files, path: str, target: Format) -> Written:
    split = SHARD.sub("", PurePosixPath(path).stem)
    rows = files.tallies[path].lines - bool(target.head)
    return Written(split, rows, files.finish(path))


def _holds_nothing(files: Files, canary: Canary | None) -> None:
    """Raises:
    WorkFailed: a file holds a value that was found in some row.
    """
    if canary is None:
        return
    for path, file in files.written():
        for line, kind in canary.search(file):
            raise WorkFailed(
                f"{path}:{line}: holds a value that was found elsewhere in the log ({kind.value}), and would not have "
                "been told here; leave the completion out with [select] where"
            )


def _lines(files: Files, path: str, words: str) -> None:
    for line in words.removesuffix("\n").split("\n"):
        files.write(path, line.encode() + b"\n")
