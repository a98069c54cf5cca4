"""The dataset card: what a person reads before training on an export, with its plots. Pure, from what was counted.

Says nothing that tells one run from another, so it is proven byte for byte like every other file of the export.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tailrace.records import Json
from tailrace_exporters.plot import bars

CARD: Final = "card.md"
_MOST_BARS: Final = 24
_MOST_DAYS: Final = 31
_MARKUP: Final = str.maketrans({"\\": "\\\\", "|": "\\|", "[": "\\[", "<": "&lt;"})


def card(name: str, watermark: Mapping[str, int], report: Mapping[str, Json]) -> dict[str, str]:
    """The card and its plots, by path. `report` is the manifest's counted part."""
    plots = dict(_plots(report))
    lines = [
        f"# {_line(name)}",
        "",
        f"{report['rows']['count']:,} rows, exported by Tailrace from a log up to its completion {watermark['seq']:,}.",
        "`manifest.json` has the recipe, every count and every file's hash; `lineage.jsonl` leads from each row to its",
        "completions; `dropped.jsonl` has what was left out, and why. `tailrace export verify` makes it all again.",
        "",
        *_section("Splits", _splits(report)),
        *_section("Files", _formats(report)),
        *_section("Whose words are learned", _teachers(report)),
        *_section("Labels", _labels(report)),
        *_section("What was done to the words", _made(report)),
        *_section("What was left out", _stages(report)),
        *_section("How the rows are distributed", [f"![{title}]({path})" for path, (title, _) in plots.items()]),
        *_section("Warnings", [f"- {_line(warning)}" for warning in report["warnings"]]),
        *_section("Limits", _LIMITS),
    ]
    return {CARD: "\n".join(lines).rstrip("\n") + "\n"} | {path: plot for path, (_, plot) in plots.items()}


_LIMITS: Final = (
    "- Answers are those of the teachers above, as they were given: right or wrong, with their manner and biases.",
    "- Rows come from one application's users; who they are, and what they agreed to, the log does not know.",
    "- Token counts are the providers'. Where a provider gave none, the row is counted apart, never as nothing.",
)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"## {title}"
        yield ""
        yield from lines
        yield ""


def _splits(report: Mapping[str, Json]) -> list[str]:
    rows = [
        (name, f"{split['rows']:,}", f"{split['tokens']['conversation']:,}", f"{split['tokens']['learned']:,}")
        for name, split in report["splits"].items()
    ]
    return _table(("split", "rows", "tokens", "of them learned"), rows)


def _formats(report: Mapping[str, Json]) -> list[str]:
    rows = []
    for name, counts in report["formats"].items():
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in counts["dropped"].items())
        converted = ", ".join(f"{rule} in {count:,}" for rule, count in counts["converted"].items())
        cost = f"{counts['training_usd']:,.2f} USD" if "training_usd" in counts else "—"
        rows.append(
            (f"`{name}/`", f"{counts['out']:,}", f"{counts['tokens']['conversation']:,}", cost, converted, dropped)
        )
    return _table(("target", "rows", "tokens", "an epoch", "converted", "refused"), rows)


def _teachers(report: Mapping[str, Json]) -> list[str]:
    rows = []
    for name, count in report["teachers"].items():
        term = report["terms"][name]
        source = f"{term['source']}{', read ' + term['checked'] if term['checked'] else ''}" if term["source"] else ""
        rows.append((f"`{name}`", f"{count:,}", term["verdict"], term["says"], source))
    cost = report["answers_cost"]
    told = f"The learned answers cost {cost['usd']:,.2f} USD when they were made"
    told += f" ({cost['without_cost']:,} of unknown cost left out)." if cost["without_cost"] else "."
    if cost["without_cost"] == sum(report["teachers"].values()):
        told = "What the learned answers cost is unknown."
    return [*_table(("teacher", "answers", "terms", "what they say", "source"), rows), "", told, "No legal advice."]


def _labels(report: Mapping[str, Json]) -> list[str]:
    lines: list[str] = []
    for name, by_split in report["labels"].items():
        words = dict.fromkeys(label for counts in by_split.values() for label in counts)
        rows = [(label, *(f"{counts.get(label, 0):,}" for counts in by_split.values())) for label in words]
        lines += [f"### {_line(name)}", "", *_table(("label", *by_split), rows), ""]
    return lines


def _made(report: Mapping[str, Json]) -> list[str]:
    return [
        f"- {count:,} rows went through `{stage}`; the lineage says what was done to each"
        for stage, count in report["made"].items()
    ]


def _stages(report: Mapping[str, Json]) -> list[str]:
    rows = []
    for stage in report["stages"]:
        why = [f"{count:,} {reason}" for reason, count in stage.get("dropped", {}).items()]
        if stage.get("folded"):
            why.insert(0, f"{stage['folded']:,} folded into the others' rows")
        if stage.get("made"):
            why.insert(0, f"{stage['made']:,} made")
        rows.append((stage["stage"], f"{stage['in']:,} {stage['unit']}", f"{stage['out']:,}", ", ".join(why)))
    return _table(("stage", "in", "out", "why"), rows)


def _plots(report: Mapping[str, Json]) -> Iterator[tuple[str, tuple[str, str]]]:
    shape = report["shape"]
    wanted = [
        ("length", "Tokens of a row (below)", shape["tokens_below"]),
        ("answers", "Learned answers in a row", shape["learned_answers"]),
        ("time", "When the rows' last calls were made (UTC)", _by_month(shape["started"])),
        ("teacher", "Learned answers by teacher", report["teachers"]),
    ]
    for number, (name, by_split) in enumerate(report["labels"].items()):
        sums: dict[str, int] = {}
        for counts in by_split.values():
            for label, count in counts.items():
                sums[label] = sums.get(label, 0) + count
        wanted.append((f"label-{number}", f"Labels of {name}", dict(sorted(sums.items(), key=lambda item: -item[1]))))
    for file, title, values in wanted:
        if values:
            yield f"plots/{file}.svg", (_line(title), bars(_line(title), _few(values)))


def _few(values: Mapping[str, int]) -> dict[str, int]:
    """The first of them, the rest as one."""
    if len(values) <= _MOST_BARS:
        return dict(values)
    items = list(values.items())
    rest = items[_MOST_BARS - 1 :]
    return dict(items[: _MOST_BARS - 1]) | {f"{len(rest):,} others": sum(count for _, count in rest)}


def _by_month(days: Mapping[str, int]) -> dict[str, int]:
    """As they are, or by month or year where they are many."""
    sums = dict(days)
    for digits in (7, 4):
        if len(sums) <= _MOST_DAYS:
            break
        coarse: dict[str, int] = {}
        for day, count in days.items():
            coarse[day[:digits]] = coarse.get(day[:digits], 0) + count
        sums = coarse
    return sums


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(_line(cell) for cell in row)} |" for row in cells]


def _line(text: str) -> str:
    """Text that stays inside its line and table cell and is no markup, whatever a label or a model's name holds."""
    flat = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    return flat.translate(_MARKUP)
