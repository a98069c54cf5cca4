"""What the commands say to a person: the counts of an export, the formats, a row with its training marks. Pure."""

from collections.abc import Callable, Iterator, Mapping

from rich.text import Text

from tailrace.commands.speech import speaker, spoken
from tailrace.commands.terminal import escaped, many_lines
from tailrace.records import Json
from tailrace_exporters.canonical import canonical
from tailrace_exporters.formats.base import Format
from tailrace_exporters.rows import Placed, Row


class Look:
    """Collects the first rows that a pipeline writes, as JSON."""

    def __init__(self, seen: list[Json], rows: int, render: Callable[[Row], Json] | None = None) -> None:
        """`render` gives what becomes `rendered` of each row."""
        self._seen = seen
        self._rows = rows
        self._render = render

    def __call__(self, placed: Placed) -> None:
        """One more row."""
        if len(self._seen) < self._rows:
            more = {} if self._render is None else {"rendered": self._render(placed.row)}
            self._seen.append(canonical(placed) | more)


def report(content: Mapping[str, Json]) -> Iterator[str]:
    """The counted part of a manifest, as lines."""
    for stage in content["stages"]:
        yield f"{stage['stage']:>9}  {stage['in']:>9,} in  {stage['out']:>9,} out{_dropped(stage)}"
    for name, counts in content["formats"].items():
        yield f"{name}: {counts['out']:,} rows{_dropped(counts)}"
        for rule, count in counts["converted"].items():
            yield f"{'':11}converted in {count:,} rows: {rule}"
    splits = ", ".join(f"{name} {split['rows']:,}" for name, split in content["splits"].items())
    yield f"{content['rows']['count']:,} rows: {splits}"
    for warning in content["warnings"]:
        yield f"warning: {warning}"


def formats(known: Mapping[str, Format]) -> Iterator[str]:
    """The formats, with what each converts and refuses."""
    for name, each in known.items():
        yield f"{name}: {each.about}"
        yield from (f"  converts  {rule}: {meaning}" for rule, meaning in each.rules.items())
        yield from (f"  refuses   {reason}: {meaning}" for reason, meaning in each.reasons.items())


def origin(value: Json) -> Text:
    """Of a canonical row, where it comes from."""
    return Text(escaped(f"── {value['split']}  chain {value['chain']}  {', '.join(value['teacher'])}"), style="bold")


def row(value: Json) -> Iterator[Text]:
    """A canonical row: a line a message, what is learned of it marked and in colour."""
    yield origin(value)
    for message, learned in zip(value["messages"], value["train"], strict=True):
        mark = "learn" if learned else "     "
        for number, line in enumerate(many_lines(spoken(message))):
            head = escaped(speaker(message)) if number == 0 else ""
            yield Text(f"{mark} {head:>10}  {line}", style="green" if learned else "")
    if value["tools"]:
        yield Text(f"{'':5} {'tools':>10}  {len(value['tools'])}", style="dim")


def _dropped(counts: Mapping[str, Json]) -> str:
    parts = [f"{count:,} {reason}" for reason, count in counts.get("dropped", {}).items()]
    if counts.get("folded"):
        parts.insert(0, f"{counts['folded']:,} folded into the others' rows")
    if counts.get("made"):
        parts.insert(0, f"{counts['made']:,} made")
    return f"  ({', '.join(parts)})" if parts else ""
