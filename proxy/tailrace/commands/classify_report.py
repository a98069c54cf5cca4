"""`tailrace classify report NAME`: how good the rules, the sources and their confidences are, by later labels.

Looks at the newest turns of the log, each with all that was said of it. What judges is a person's label, else an
audit's, else a model's; confidences are held against people alone.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from tailrace import settings_load
from tailrace.classify.calibration import area_under_roc, expected_calibration_error, reliability
from tailrace.classify.judging import agreements, coverage_curve, drift
from tailrace.classify.ready import Ready
from tailrace.classify.rules import Tally
from tailrace.commands.classify_chosen import Name, chosen
from tailrace.commands.classify_suspects import Stored, suspects
from tailrace.commands.logs_labels import said_of
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.query import Query, query_of
from tailrace.commands.reading import reading
from tailrace.commands.terminal import console, echo_json, one_line
from tailrace.labeller.bulk_log import Wanted, pages
from tailrace.labeller.subjects import Item
from tailrace.records import Json, Label, LabelMode, LabelSource, Origin
from tailrace.store import labels, read

_REFERENCE: Final = 30
"""Labels that the reference has at least: the first weeks that have so many together."""


@dataclass(slots=True)
class _Seen:
    """What is counted while turns pass by."""

    tally: Tally
    turns: int = 0
    shares: Counter[str] = field(default_factory=Counter)
    met: list[dict[str, str]] = field(default_factory=list)
    judged: dict[str, list[tuple[float | None, bool]]] = field(default_factory=dict)
    weeks: dict[str, Counter[str]] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)


def report(
    name: Name,
    query: Query = None,
    *,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of so many completions, the newest.")] = 50_000,
    most: Annotated[int, typer.Option("--suspects", min=0, max=10_000, help="Most suspect labels that are told.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Rules, sources and confidences against later labels; drift; labels that something contradicts."""
    settings = settings_load.load(config, os.environ)
    ready = chosen(settings, name)
    seen = asyncio.run(_look(ready, data_dir or settings.log.data_dir, query, last))
    told = _told(ready, seen, most)
    if as_json:
        echo_json(orjson.dumps(told))
        return
    for line in _lines(told):
        console().print(line, soft_wrap=True)


async def _look(ready: Ready, data_dir: Path, query: Sequence[str] | None, last: int) -> _Seen:
    seen = _Seen(Tally(ready.rules.labels))
    selection = read.Selection(origin=Origin.APP)
    expr = query_of(query)
    if expr is not None:
        selection = read.narrowed(selection, expr, now_us=time.time_ns() // 1000)
    async with reading(data_dir) as connection:
        high = await read.watermark(connection)
        wanted = Wanted(ready, selection.where, selection.origin, high, again=True, after_seq=max(0, high - last))
        async for items in pages(connection, wanted):
            known = await labels.history(connection, [item.row.id for item in items])
            await connection.rollback()
            for item in items:
                _count(ready, seen, item, [one for one in known.get(item.row.id, ()) if one.classifier == ready.name])
    return seen


def _count(ready: Ready, seen: _Seen, item: Item, said: Sequence[Label]) -> None:
    seen.turns += 1
    vote = ready.rules.vote(item.subject.text, before=item.subject.before)
    seen.tally.add(vote)
    by_source = _by_source(ready, said)
    judge = next((by_source[name] for name in ("human", "audit", "llm") if name in by_source), None)
    if judge is not None and isinstance(judge.label, str):
        seen.tally.judge(vote.fired, judge.label)
    counts = _counting(by_source, said)
    if counts is not None and counts.label is not None:
        seen.shares[counts.source] += 1
        week = datetime.fromtimestamp(item.row.started_us / 1e6, UTC).strftime("%G-W%V")
        seen.weeks.setdefault(week, Counter())[said_of(counts.label)] += 1
        if isinstance(counts.label, str) and counts.source != LabelSource.HUMAN:
            seen.stored.append(Stored(item.id, item.row.chain_key, item.subject, counts))
    words = {source: said_of(label.label) for source, label in by_source.items() if label.label is not None}
    if len(words) > 1:
        seen.met.append(words)
    if "human" in words:
        for source, label in by_source.items():
            if source != "human" and label.label is not None:
                seen.judged.setdefault(source, []).append((label.confidence, words[source] == words["human"]))


def _by_source(ready: Ready, said: Sequence[Label]) -> dict[str, Label]:
    """The newest label of each source: of this version, of people any. Audits are a source of their own."""
    found: dict[str, Label] = {}
    for label in said:
        if label.source == LabelSource.HUMAN:
            found["human"] = label
        elif label.version == ready.version and label.who is None:
            found["audit" if label.mode == LabelMode.AUDIT else str(label.source)] = label
    if "human" in found and found["human"].label is None:
        del found["human"]  # taken back
    return found


def _counting(by_source: dict[str, Label], said: Sequence[Label]) -> Label | None:
    word = next((one for one in reversed(said) if one.source == LabelSource.HUMAN or one.who is not None), None)
    if word is not None:
        return word
    live = (one for one in reversed(said) if one.mode == LabelMode.LIVE and one.label is not None)
    return next((one for one in live if one in by_source.values()), None)


def _told(ready: Ready, seen: _Seen, most: int) -> dict[str, Json]:
    weeks = dict(sorted(seen.weeks.items()))
    reference: Counter[str] = Counter()
    first: list[str] = []
    for week, counted in weeks.items():
        if reference.total() >= _REFERENCE:
            break
        reference += counted
        first.append(week)
    later = {week: counted for week, counted in weeks.items() if week not in first}
    labelled = seen.shares.total()
    return {
        "classifier": ready.name,
        "version": ready.version,
        "turns": seen.turns,
        "labelled": labelled,
        "coverage": labelled / seen.turns if seen.turns else None,
        "sources": {source: count / labelled for source, count in seen.shares.most_common()},
        "rules": _rules(ready, seen.tally),
        "agreement": [
            {"one": one.one, "other": one.other, "turns": one.turns, "agree": one.agree, "kappa": one.kappa}
            for one in agreements(seen.met)
        ],
        "confidence": {source: _confidence(judged) for source, judged in sorted(seen.judged.items())},
        "weeks": {week: dict(counted.most_common()) for week, counted in weeks.items()},
        "reference": first,
        "drift": [
            {
                "week": one.period, "labels": one.labels, "distance": one.distance, "low": one.low, "high": one.high,
                "chance": one.chance, "psi": one.stability, "drifted": one.drifted,
            }
            for one in drift(reference, later)
        ],
        "suspects": [
            {
                "id": str(one.completion), "label": one.label, "source": one.source, "by": one.by,
                "instead": one.instead, "doubt": one.doubt, "text": one.text[:300],
            }
            for one in suspects(ready, seen.stored, most)
        ],
    }  # fmt: skip


def _rules(ready: Ready, tally: Tally) -> list[dict[str, Json]]:
    out = tally.disabled(ready.settings.rule_accuracy)
    return [
        {
            "rule": index + 1,
            "label": tally.labels[index],
            "coverage": count.fired / tally.seen if tally.seen else None,
            "overlap": count.overlaps / count.fired if count.fired else None,
            "conflict": count.conflicts / count.fired if count.fired else None,
            "accuracy": count.accuracy,
            "judged": count.judged,
            "disabled": out.get(index),
        }
        for index, count in enumerate(tally.rules)
    ]


def _confidence(judged: Sequence[tuple[float | None, bool]]) -> dict[str, Json]:
    """A source against people; what has no confidence has no curve."""
    curve = [
        {"confidence": each.confidence, "right": each.right, "items": each.items, "low": each.low, "high": each.high}
        for each in reliability(judged)
    ]
    by_coverage = coverage_curve(judged)
    return {
        "judged": len(judged),
        "with_confidence": sum(confidence is not None for confidence, _ in judged),
        "accuracy": sum(right for _, right in judged) / len(judged) if judged else None,
        "ece": expected_calibration_error(judged),
        "auroc": area_under_roc(judged),
        "calibration": curve or None,
        "coverage": [
            {"coverage": coverage, "confidence": least, "accuracy": right} for coverage, least, right in by_coverage
        ]
        or None,
    }


def _lines(told: dict[str, Json]) -> Iterator[str]:
    yield f"{told['classifier']}, version {told['version']}: {told['labelled']:,} of {told['turns']:,} turns labelled"
    yield "by " + (", ".join(f"{source} {share:.1%}" for source, share in told["sources"].items()) or "nobody")
    for rule in told["rules"]:
        figures = (f"{what} {_percent(rule[what])}" for what in ("coverage", "overlap", "conflict", "accuracy"))
        why = f"; disabled: {rule['disabled']}" if rule["disabled"] else ""
        yield f"rule {rule['rule']} ({one_line(rule['label'])}): {', '.join(figures)} of {rule['judged']:,}{why}"
    for pair in told["agreement"]:
        kappa = "" if pair["kappa"] is None else f", kappa {pair['kappa']:.2f}"
        yield f"{pair['one']} and {pair['other']}: agree on {_percent(pair['agree'])} of {pair['turns']:,} turns{kappa}"
    for source, held in told["confidence"].items():
        ece, auroc = (("unknown" if held[name] is None else f"{held[name]:.3f}") for name in ("ece", "auroc"))
        yield f"{source} against people: {_percent(held['accuracy'])} of {held['judged']:,}; ECE {ece}, AUROC {auroc}"
        for point in held["coverage"] or ():
            if round(point["coverage"] * 100) % 25 == 0:
                least = f"confidence {point['confidence']:.2f} and above"
                yield f"  the surest {point['coverage']:.0%} ({least}): {_percent(point['accuracy'])} right"
    for week in told["drift"]:
        word = "drifted" if week["drifted"] else "as before"
        span = f"{week['low']:.2f} to {week['high']:.2f}"
        yield f"{week['week']}: {week['labels']:,} labels, distance {week['distance']:.2f} ({span}), {word}"
    for one in told["suspects"]:
        text = one_line(one["text"], chars=60)
        yield f"suspect {one['id']}: {one['label']} ({one['source']}), {one['by']} says {one['instead']}: {text}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"
