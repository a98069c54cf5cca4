"""`tailrace logs chain ID`: a conversation as a tree, each answer once, branches and retries under what they repeat.

The main line runs down the page; a branch or a retry stands one level in, after the completion that it competes with.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from uuid import UUID

from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands import logs_json, logs_labels
from tailrace.commands.logs_labels import Beside
from tailrace.commands.logs_show import said
from tailrace.commands.logs_table import failure, short_ids, style_of
from tailrace.commands.speech import choices_of, messages_of, since_last_answer
from tailrace.commands.terminal import escaped, lasting, one_line
from tailrace.records import Json, Relation
from tailrace.store import read
from tailrace.store.read import Filed
from tailrace.store.rebuild import Exchange, Rebuilder

MAX_COMPLETIONS: Final = 1000
_BATCH: Final = 50  # a request holds the whole conversation so far: few at a time
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Place:
    """A completion's place in the tree: how far in it stands."""

    row: Filed
    level: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A completion in its place, with what it is about."""

    place: Place
    beside: Beside
    exchange: Exchange


def tree(rows: Sequence[Filed]) -> list[Place]:
    """The completions of a chain, given in order of filing, in the order they are shown."""
    known = {row.seq for row in rows}
    children: dict[int | None, list[Filed]] = defaultdict(list)
    for row in rows:
        children[row.parent if row.parent in known else None].append(row)
    # Not by recursion: a conversation may be longer than the stack is deep.
    waiting = [(children[None], 0)]
    places: list[Place] = []
    while waiting:
        siblings, level = waiting.pop()
        if siblings:
            main, *others = siblings
            places.append(Place(main, level))
            waiting.append((children[main.seq], level))
            waiting.extend(([other], level + 1) for other in reversed(others))
    return places


async def turns(connection: AsyncConnection, places: Sequence[Place]) -> AsyncIterator[Turn]:
    """The completions of `places` with their requests and answers, some at a time."""
    rebuilder = Rebuilder(connection)
    rest = iter(places)
    while some := list(islice(rest, _BATCH)):
        rows = [place.row for place in some]
        beside = await logs_labels.load(connection, rows)
        for place, exchange in zip(some, await rebuilder.exchanges(rows), strict=True):
            yield Turn(place, beside, exchange)


async def json_turns(connection: AsyncConnection, places: Sequence[Place]) -> AsyncIterator[Json]:
    """For machines: a completion a line, in the order of the tree."""
    parents = await read.names(connection, logs_json.parents_of(place.row for place in places))
    async for turn in turns(connection, places):
        yield logs_json.turn(turn.place.row, parents, turn.beside, turn.exchange)


def title(rows: Sequence[Filed]) -> Text:
    """The chain's name and counts."""
    first = rows[0]
    text = f"chain {UUID(bytes=first.chain_key)}  {first.chain_completions} completions, {first.chain_steps} steps"
    cut = f"; the first {len(rows)} of them" if len(rows) < first.chain_completions else ""
    return Text(text + cut, "bold")


def names(rows: Sequence[Filed]) -> dict[bytes, str]:
    """Short ids of the chain's completions."""
    return short_ids(row.id for row in rows)


def lines(turn: Turn, ids: dict[bytes, str]) -> Iterator[Text]:
    """A turn for a person: how it stands in the chain, its labels, what was said since the last answer, the answer."""
    row, level = turn.place.row, turn.place.level
    bar = "  │ " * level
    yield Text(bar).append_text(_caption(turn, ids[row.id]))
    for line in turn.beside.lines(row.id):
        yield Text(f"{bar}     ").append_text(line)
    new = [] if row.relation == Relation.RETRY else since_last_answer(messages_of(row.endpoint, turn.exchange.request))
    for message in [*new, *choices_of(row.endpoint, turn.exchange.answer)]:
        for line in said(message, _INDENT):
            yield Text(bar).append_text(line)


def _caption(turn: Turn, id_text: str) -> Text:
    row = turn.place.row
    caption = Text(f"{row.step:>3}. ", "bold")
    if row.relation in (Relation.BRANCH, Relation.RETRY):
        caption.append(f"{row.relation} ", "bold magenta")
    caption.append(escaped(row.status), style_of(row.status))
    reason = failure(row, turn.exchange.answer)
    error = f" ({one_line(reason)})" if reason and reason != row.status else ""
    return caption.append(f"{error}  {lasting(row.duration_us)}  {id_text}", "dim")
