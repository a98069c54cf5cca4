"""Completions as lines of a table. Pure: rows, answers and a width in, styled lines out.

On a terminal the least needed columns go until the answer has room, and a line is cut at the edge. In a pipe all
columns stay and no cell but the answer is cut: the lines are for `grep` and `awk`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tailrace.commands.speech import choices_of, complaint, spoken
from tailrace.commands.terminal import escaped, lasting, local_time, one_line
from tailrace.records import Json, Status
from tailrace.store.read import Filed

_STYLES: Final[dict[str, str]] = {
    Status.OK: "green",
    Status.CLIENT_CLOSED: "yellow",
    Status.REFUSED: "magenta",
    Status.TAILRACE_ERROR: "bold red",
}
_ANSWER_CHARS: Final = 200
_SHORT_CHARS: Final = (13, 18)  # of an id: 12 digits are its millisecond, 16 have 12 of its random bits too


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as the table shows it."""

    row: Filed
    id: str
    chain: str
    answer: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column; the one of the lowest `worth` is left out first."""

    name: str
    cells: int
    worth: int
    cell: Callable[[Entry], str]
    right: bool = False

    def padded(self, text: str) -> str:
        """`text` filled up to the column's width; never cut."""
        gap = " " * (self.cells - cell_len(text))
        return gap + text if self.right else text + gap


def style_of(status: str) -> str:
    """How a status looks on a terminal."""
    return _STYLES.get(status, "red")


def short_ids(ids: Iterable[bytes]) -> dict[bytes, str]:
    """The shortest beginnings, equally long, by which `ids` can be told apart."""
    texts = {id_: str(UUID(bytes=id_)) for id_ in ids}
    for chars in _SHORT_CHARS:
        if len({text[:chars] for text in texts.values()}) == len(texts):
            return {id_: text[:chars] for id_, text in texts.items()}
    return texts


def tokens(row: Filed) -> str:
    """Tokens in and out; an unknown count is a question mark."""
    counts = (row.input_tokens, row.output_tokens)
    return "/".join("?" if count is None else str(count) for count in counts)


def told(row: Filed, message: Json | None, envelope: Json | None) -> str:
    """What was answered: the first choice's `message`, or what the rest of the answer says; before it, what failed."""
    said = [message] if message is not None else choices_of(row.endpoint, envelope)
    text = " ".join(spoken(choice) for choice in said)
    reason = failure(row, envelope)
    if not text or (reason and reason != row.status):
        text = f"({reason}) {text}" if reason else text
    return one_line(text, chars=_ANSWER_CHARS)


def failure(row: Filed, envelope: Json | None) -> str:
    """Why a completion did not end well: the HTTP status, and the error's words or its code. Empty where it did."""
    if row.status == Status.OK:
        return ""
    status = str(row.http_status) if row.http_status is not None and row.http_status >= 400 else ""
    return ": ".join(word for word in (status, complaint(envelope) or row.error) if word)


COLUMNS: Final = (
    Column("time", 19, 6, lambda entry: local_time(entry.row.started_us)),
    Column("id", _SHORT_CHARS[0], 9, lambda entry: entry.id),
    Column("status", 14, 8, lambda entry: escaped(entry.row.status)),
    Column("model", 20, 5, lambda entry: one_line(entry.row.model)),
    Column("provider", 10, 1, lambda entry: escaped(entry.row.provider)),
    Column("step", 4, 4, lambda entry: str(entry.row.step), right=True),
    Column("chain", _SHORT_CHARS[0], 2, lambda entry: entry.chain),
    Column("tokens", 11, 3, lambda entry: tokens(entry.row), right=True),
    Column("duration", 8, 7, lambda entry: lasting(entry.row.duration_us), right=True),
    Column("answer", 20, 9, lambda entry: entry.answer),
)


def columns_for(width: int | None) -> tuple[Column, ...]:
    """The columns for a terminal of `width` cells; all of them where it is None."""
    kept = list(COLUMNS)
    while width is not None and len(kept) > 3 and sum(column.cells + 1 for column in kept) > width:
        kept.remove(min(kept, key=lambda column: column.worth))
    return tuple(kept)


def header(width: int | None) -> Text:
    """The names of the columns."""
    columns = columns_for(width)
    return Text(" ".join(column.padded(column.name) for column in columns).rstrip(), style="bold")


def lines(rows: Sequence[Filed], answers: Mapping[int, str], width: int | None) -> list[Text]:
    """A line for each row, for a terminal of `width` cells or a pipe (None); what each `told`, by `seq`."""
    ids, chains = short_ids(row.id for row in rows), short_ids(row.chain_key for row in rows)
    columns = columns_for(width)
    return [
        _line(Entry(row, ids[row.id], chains[row.chain_key], answers.get(row.seq, "")), columns, width) for row in rows
    ]


def _line(entry: Entry, columns: Sequence[Column], width: int | None) -> Text:
    line, left = Text(), width
    for column in columns:
        text = column.cell(entry)
        if left is not None:
            text = _fitted(text, left if column is columns[-1] else column.cells)
            left -= max(cell_len(text), column.cells) + 1
        style = style_of(entry.row.status) if column.name == "status" else ""
        line.append(column.padded(text), style).append(" ")
    line.rstrip()
    return line


def _fitted(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else set_cell_size(text, max(cells - 1, 0)) + "…"
