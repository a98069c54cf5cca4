"""`tailrace classify review NAME`: a person labels turn after turn, one key each; every answer is kept before the next.

An answer that is undone was given all the same: what counted before is written anew, on the person's word, and counts.
"""

import asyncio
import getpass
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from tailrace import settings_load
from tailrace.classify.ready import Ready
from tailrace.classify.tasks import TASKS
from tailrace.classify.written import new_id
from tailrace.commands.classify_chosen import Name, chosen
from tailrace.commands.classify_import import import_
from tailrace.commands.classify_keeping import keeping
from tailrace.commands.classify_keys import keys, need_terminal
from tailrace.commands.classify_queue import QueueOrder, queue
from tailrace.commands.keeping import Keeper
from tailrace.commands.logs_labels import told
from tailrace.commands.options import Config, DataDir
from tailrace.commands.query import Query, query_of
from tailrace.commands.reading import reading
from tailrace.commands.speech import messages_of, speaker, spoken
from tailrace.commands.terminal import console, local_time, many_lines, one_line
from tailrace.errors import UserError
from tailrace.labeller.subjects import Item
from tailrace.records import Json, Label, LabelSource, Origin
from tailrace.store import labels, read
from tailrace.store.rebuild import Rebuilder

KEYS: Final = "123456789abcdefghijklmnoprtvwxyz"
"""Of the labels, in their order; `s`, `u` and `q` are taken."""

_TURNS: Final = 8
_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer, and what counted before it."""

    item: Item
    before: Label | None


def review(
    name: Name,
    query: Query = None,
    *,
    order: Annotated[QueueOrder, typer.Option(help="Which turns come first.")] = QueueOrder.MARGIN,
    limit: Annotated[int, typer.Option(min=1, max=2000, help="Most turns.")] = 100,
    who: Annotated[str, typer.Option(help="Who labels; by default who runs this.")] = "",
    labels_from: Annotated[
        Path | None, typer.Option("--labels-from", readable=False, help="A file of answers, instead of a terminal.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Label turns by hand: each is shown in its chain, and takes one key."""
    if labels_from is not None:
        import_(name, labels_from, as_human=True, who=who, as_json=False, config=config, data_dir=data_dir)
        return
    settings = settings_load.load(config, os.environ)
    ready = chosen(settings, name)
    if not TASKS[ready.settings.task].single or len(ready.settings.definitions()) > len(KEYS):
        raise UserError(f"{name}: its labels do not fit one key each; export, label the file, and import it --as-human")
    need_terminal()
    folder = data_dir or settings.log.data_dir
    selection = read.Selection(origin=Origin.APP)
    expr = query_of(query)
    if expr is not None:
        selection = read.narrowed(selection, expr, now_us=time.time_ns() // 1000)

    async def work() -> None:
        async with keeping(settings, folder, name) as keeper:
            async with reading(folder) as connection:
                waiting = await queue(connection, ready, selection, order, limit)
            with keys() as typed:
                await _Review(ready, folder, keeper, who or getpass.getuser(), console()).run(waiting, typed)

    asyncio.run(work())


class _Review:
    """One sitting."""

    def __init__(self, ready: Ready, data_dir: Path, keeper: Keeper, who: str, out: Console) -> None:
        self._ready = ready
        self._data_dir = data_dir
        self._keeper = keeper
        self._who = who
        self._out = out
        self._labels = dict(zip(KEYS, ready.settings.definitions(), strict=False))
        self._done: list[_Answered] = []
        self._now: dict[UUID, Label | None] = {}

    async def run(self, waiting: list[Item], typed: Iterator[str]) -> None:
        """Shows turn after turn until all are answered, or `q`."""
        at = 0
        while at < len(waiting):
            await self._show(waiting[at], f"{at + 1} of {len(waiting)}")
            key = self._next_key(typed)
            if key is None:
                break
            if key == "u":
                at -= await self._undo(waiting, at)
            elif key == "s":
                at += 1
            else:
                await self._answer(waiting[at], self._labels[key])
                at += 1
        self._out.print(f"{len(self._done):,} labelled; {len(waiting) - at:,} left.")

    def _next_key(self, typed: Iterator[str]) -> str | None:
        for key in typed:
            if key in self._labels or key in {"s", "u"}:
                return key
            if key == "q":
                return None
            if key in {"?", "h"}:
                self._help()
        return None

    async def _answer(self, item: Item, label: str) -> None:
        before = await self._counting(item)
        ready = self._ready
        said = Label(
            new_id(self._keeper.clock), item.id, self._keeper.clock.now_us(), ready.name, ready.version,
            LabelSource.HUMAN, label, who=self._who,
        )  # fmt: skip
        await self._keeper.put(said)
        self._now[item.id] = said
        self._done.append(_Answered(item, before))

    async def _undo(self, waiting: list[Item], at: int) -> int:
        """How far to go back."""
        if not self._done:
            self._out.print("there is nothing to undo")
            return 0
        last = self._done.pop()
        ready, clock = self._ready, self._keeper.clock
        if last.before is None:
            said = Label(
                new_id(clock), last.item.id, clock.now_us(), ready.name, ready.version, LabelSource.HUMAN, None,
                error="withdrawn", who=self._who,
            )  # fmt: skip
        else:
            said = replace(
                last.before, id=new_id(clock), at_us=clock.now_us(), who=last.before.who or self._who, note="undone"
            )
        await self._keeper.put(said)
        self._now[last.item.id] = last.before
        return at - waiting.index(last.item)

    async def _counting(self, item: Item) -> Label | None:
        """The label that counts, those included that are on their way into the store."""
        if item.id in self._now:
            return self._now[item.id]
        async with reading(self._data_dir) as connection:
            found = await labels.counting(connection, [item.row.id])
        return found.get(item.row.id, {}).get(self._ready.name)

    async def _show(self, item: Item, place: str) -> None:
        async with reading(self._data_dir) as connection:
            (exchange,) = await Rebuilder(connection).exchanges([item.row])
        out = self._out
        out.rule(Text(f"{place}  {item.id}  {local_time(item.row.started_us)}"))
        for line in shown(item.row.endpoint, exchange.request):
            out.print(Text(line), soft_wrap=True)
        now = await self._counting(item)
        if now is not None:
            out.print(Text(f"  now: {one_line(told(now))}", "green"))
        choices = "  ".join(f"[{key}] {one_line(label)}" for key, label in self._labels.items())
        out.print(Text(f"{choices}  [s] skip  [u] undo  [q] quit  [?] help", "bold"))

    def _help(self) -> None:
        for key, (label, meaning) in zip(KEYS, self._ready.settings.definitions().items(), strict=False):
            self._out.print(Text(f"  {key}  {one_line(label)}: {one_line(meaning)}"), soft_wrap=True)
        self._out.print(Text("  s  skip, u  undo the last answer, q  quit: what is answered is kept"))


def shown(endpoint: str, request: Json) -> Iterator[str]:
    """The end of a conversation as a person reads it: nothing in it can move the cursor."""
    messages = messages_of(endpoint, request)
    if len(messages) > _TURNS:
        yield f"… {len(messages) - _TURNS} before"
    for message in messages[-_TURNS:]:
        lines = many_lines(spoken(message))
        yield f"{one_line(speaker(message))}: {lines[0]}"
        yield from (f"    {line}" for line in lines[1:_LINES])
        if len(lines) > _LINES:
            yield f"    … {len(lines) - _LINES} lines more"
