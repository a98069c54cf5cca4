"""`tailrace classify status [NAME]`: how far each classifier is: versions, labels, failures, student, webhooks."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import datadir, settings_load
from tailrace.classify.ready import load
from tailrace.commands.classify_chosen import known
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import reading
from tailrace.commands.terminal import console, echo_json, iso_utc, one_line
from tailrace.labeller.cursor import cursor
from tailrace.records import Do, Json, LabelMode, StudentChange
from tailrace.settings import Settings
from tailrace.store import classifiers, read

_HISTORY = 10
_COMPARED = 20
_STEPS = 500
"""Steps of which the newest students' figures are taken; each look at one is a step."""


def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One classifier; by default all.")] = None,
    *,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """How far each classifier is: versions, labels by source, failures, its student, audits, webhooks."""
    settings = settings_load.load(config, os.environ)
    if name is not None:
        known(settings, name)
    names = [name] if name is not None else list(settings.classifiers)
    told = asyncio.run(_told(settings, data_dir or settings.log.data_dir, names))
    if as_json:
        for one in told:
            echo_json(orjson.dumps(one))
        return
    lines = [line for one in told for line in (*_lines(one), "")] or ["no classifier is set up"]
    for line in lines:
        console().print(line, soft_wrap=True)


async def _told(settings: Settings, data_dir: Path, names: list[str]) -> list[dict[str, Json]]:
    async with reading(data_dir) as connection:
        return [await _one(settings, data_dir, connection, name) for name in names]


async def _one(settings: Settings, data_dir: Path, connection: AsyncConnection, name: str) -> dict[str, Json]:
    classifier = settings.classifiers[name]
    version = load(name, classifier).version
    counts = await classifiers.counts(connection, name)
    by_version: dict[str, Counter[tuple[str, str]]] = {}
    for count in counts:
        if count.label is not None:
            by_version.setdefault(count.version, Counter())[count.mode, count.source] += count.count
    versions = [
        {
            "version": one.version,
            "first": iso_utc(one.first_us),
            "in_force": one.version == version,
            "labels": [
                {"mode": mode, "source": source, "count": count}
                for (mode, source), count in by_version.get(one.version, Counter()).most_common()
            ],
        }
        for one in await classifiers.versions(connection, name)
    ]
    audits = sum(count.count for count in counts if count.mode == LabelMode.AUDIT and count.version == version)
    labels: Counter[str] = Counter()
    for count in counts:
        if count.label is not None and count.version == version and count.mode == LabelMode.LIVE:
            labels[count.label] += count.count
    steps = await classifiers.students(connection, name, limit=_STEPS)
    return {
        "classifier": name,
        "task": classifier.task,
        "when": classifier.when,
        "mode": classifier.mode,
        "version": version,
        "versions": versions,
        "labels": dict(labels.most_common()),
        "failures": [
            {"version": of, "source": source, "error": error, "count": count}
            for of, source, error, count in await classifiers.failures(connection, name)
        ],
        "audits": audits,
        "student": [_step(change) for change in steps[:_HISTORY]],
        "students": _students(steps),
        "follower": await _follower(data_dir, connection, f"{name}-{version}"),
        "webhooks": _webhooks(await classifiers.action_counts(connection, name)),
    }


async def _follower(data_dir: Path, connection: AsyncConnection, name: str) -> dict[str, Json]:
    at = cursor(data_dir, name).read()
    high = await read.watermark(connection)
    return {"runs": datadir.holder(data_dir) is not None, "at": at, "behind": None if at is None else max(0, high - at)}


def _webhooks(counts: Sequence[classifiers.ActionCount]) -> dict[str, Json]:
    by_outcome = {one.outcome: one.count for one in counts if one.do == Do.WEBHOOK and not one.dry_run}
    open_ = by_outcome.get("planned", 0) + by_outcome.get("retried", 0)
    return {"open": open_, "failed": by_outcome.get("failed", 0), "done": by_outcome.get("done", 0)}


def _step(change: StudentChange) -> dict[str, Json]:
    return {
        "at": iso_utc(change.at_us),
        "number": change.number,
        "version": change.version,
        "state": change.state,
        "reason": change.reason,
        "threshold": change.threshold,
        "coverage": change.coverage,
        "counts": change.counts,
    }


def _students(steps: Sequence[StudentChange]) -> list[dict[str, Json]]:
    """Each student as it was judged, the newest first. `coverage`: what it was proven to answer; 0: nothing yet."""
    judged = [(step, step.counts) for step in steps if step.counts and "judged" in step.counts]
    return [
        {
            "version": step.version,
            "number": counts["fitted"],
            "at": iso_utc(step.at_us),
            "labels": counts["labels"],
            "judged": counts["judged"],
            "agreement": counts["agreed"] / counts["judged"] if counts["judged"] else None,
            "coverage": counts.get("proven_percent", 0) / 100,
        }
        for step, counts in judged[:_COMPARED]
    ]


def _lines(one: dict[str, Json]) -> Iterator[str]:
    yield f"{one['classifier']}  {one['task']}, {one['when']}, {one['mode']}, version {one['version']}"
    for version in one["versions"]:
        parts = [f"{each['count']:,} {each['source']}{_mode(each['mode'])}" for each in version["labels"]]
        here = " (in force)" if version["in_force"] else ""
        yield f"  version {version['version']}{here} since {version['first']}: {', '.join(parts) or 'no labels'}"
    if one["labels"]:
        yield "  labels: " + one_line(", ".join(f"{label} {count:,}" for label, count in one["labels"].items()))
    for each in one["failures"]:
        error = one_line(each["error"] or "unknown")
        yield f"  failed: {each['count']:,} by {each['source']} of version {each['version']} ({error})"
    yield f"  audits: {one['audits']:,} of this version"
    yield from _student(one["student"])
    yield from _compared(one["students"])
    yield f"  labeller: {_place(one['follower'])}"
    hooks = one["webhooks"]
    if any(hooks.values()):
        yield f"  webhooks: {hooks['done']:,} done, {hooks['open']:,} open, {hooks['failed']:,} failed"


def _student(steps: list[dict[str, Json]]) -> Iterator[str]:
    if not steps:
        yield "  student: none yet"
        return
    first, *earlier = steps
    yield f"  student {first['number']}: {first['state']}, {one_line(first['reason'])}"
    for step in earlier:
        yield f"    before, {step['at']}: student {step['number']} {step['state']}, {one_line(step['reason'])}"


def _compared(students: list[dict[str, Json]]) -> Iterator[str]:
    for each in students:
        agreement = "unknown" if each["agreement"] is None else f"{each['agreement']:.1%}"
        yield (
            f"    version {each['version']} student {each['number']:>3}: {each['labels']:>6,} labels, agrees "
            f"{agreement} over {each['judged']:,} judged turns, proven for {each['coverage']:.0%} of the traffic"
        )


def _place(follower: dict[str, Json]) -> str:
    runs = "" if follower["runs"] else ", and `tailrace serve` does not run"
    if follower["behind"] is None:
        return f"has not begun with this version{runs}"
    return f"{follower['behind']:,} completions behind{runs}" if follower["behind"] else f"has read all{runs}"


def _mode(mode: str) -> str:
    return "" if mode == LabelMode.LIVE else f" ({mode})"
