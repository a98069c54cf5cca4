"""The stages in their order, over whatever an engine reads: what comes in is counted, what goes out is written.

    completion ── admit ──▶ step, or fold a chain ──▶ take: stages ▸ dedupe ▸ stages ▸ split ▸ stages ──▶ lines, lineage
                    └──────────────┴────────────────────────────────┴─────────────────────────────┴──▶ dropped.jsonl

Owns the order and the bookkeeping, not the rules: those stand in the stages. Reads nothing; an engine brings the rows.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tailrace.records import Json
from tailrace_exporters import assemble
from tailrace_exporters.asking import Asker, nobody
from tailrace_exporters.canonical import made_as_json
from tailrace_exporters.dedupe import Twins, content_of, row_hash
from tailrace_exporters.files import Files
from tailrace_exporters.filter import refuse
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.ledger import Ledger
from tailrace_exporters.lines import json_line
from tailrace_exporters.mine import Member, miner
from tailrace_exporters.near import NEAR, Near
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.report import Report
from tailrace_exporters.rows import Completion, Dropped, Exchange, Kind, Placed, Row, Stage, Unit, id_text, teachers
from tailrace_exporters.scrub import Scrub
from tailrace_exporters.scrub.canary import Canary
from tailrace_exporters.split import SPLIT_CONFLICT, Forest
from tailrace_exporters.stages import AFTER_DEDUPE, AFTER_SPLIT, BEFORE_DEDUPE, RowStage, Telling, wanted
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.terms import terms_of

LINEAGE: Final = "lineage.jsonl"
DROPPED: Final = "dropped.jsonl"
UNENCODABLE: Final = "unencodable"
DUPLICATE: Final = "duplicate"


Look = Callable[[Placed], None]


@dataclass(frozen=True, slots=True)
class _Hashed:
    """A row with the hash of its content, that by which duplicates are known, and the head that stands for them all."""

    row: Row
    hash: bytes
    twin_hash: bytes
    written: int


class Pipeline:
    """One export under way: give it completions, then rows, then `end` it."""

    def __init__(
        self,
        recipe: Recipe,
        surroundings: Surroundings,
        forest: Forest,
        files: Files,
        *,
        asker: Asker = nobody,
        look: Look | None = None,
    ) -> None:
        """`asker` answers for the stages that need a model; `look` is shown each row that is written."""
        self._before = wanted(BEFORE_DEDUPE, recipe, surroundings)
        self._after = wanted(AFTER_DEDUPE, recipe, surroundings)
        self._placed = wanted(AFTER_SPLIT, recipe, surroundings)
        self._near = None if recipe.dedupe.near is None else Near(recipe.dedupe.near)
        self._miner = miner(recipe)
        mine = () if self._miner is None else (Stage.MINE,)
        near = () if self._near is None else (Stage.NEAR,)
        before = (Stage.FILTER, Stage.ASSEMBLE, *mine, *self._before)
        after = (Stage.DEDUPE, *near, *self._after, Stage.SPLIT, *self._placed)
        self.ledger = Ledger((*before, *after), recipe.write.formats)
        self.report = Report(terms_of(recipe, surroundings))
        self.seen_bytes = 0
        """Of the content of all rows, dropped ones too: how heavy they are."""
        self._recipe = recipe
        self._students = recipe.select.students if recipe.select.teacher_only else ()
        self._forest = forest
        self._files = files
        self._asker = asker
        self._look = look
        self._twins = Twins()
        self._in_file: dict[tuple[str, str], int] = {}
        self._follows = recipe.assemble.unit is Unit.STEP  # a chain's row changes as the chain grows, an answer's never

    @property
    def facts(self) -> dict[str, Json]:
        """What the stages have to say beyond the ledger, for the manifest."""
        stages = [*self._before.values(), *self._after.values(), *self._placed.values()]
        return {key: fact for stage in stages if isinstance(stage, Telling) for key, fact in stage.facts().items()}

    @property
    def canary(self) -> Canary | None:
        """What no file may hold, where anything was looked for."""
        stage = self._before.get(Stage.SCRUB)
        return stage.canary if isinstance(stage, Scrub) else None

    def admit(self, completion: Completion) -> bool:
        """A selected completion: may its answer be learned?"""
        self.ledger.selected += 1
        count = self.ledger.stages[Stage.FILTER]
        count.came += 1
        reason = refuse(completion, self._recipe.filter, self._students)
        if reason is not None:
            self._drop(Dropped(Stage.FILTER, reason, (completion,)))
            return False
        count.went += 1
        return True

    def step(self, completion: Completion, exchange: Exchange) -> list[Row]:
        """One admitted completion as a row of its own, or none."""
        count = self.ledger.stages[Stage.ASSEMBLE]
        count.came += 1
        row = assemble.step(completion, exchange)
        if isinstance(row, Dropped):
            self._drop(row)
            return []
        count.went += 1
        self._beside_mined(1)
        return [row]

    def fold(self, fold: assemble.Fold) -> list[Row]:
        """One chain's admitted completions, all settled, as rows."""
        rows, dropped = fold.rows(self._recipe.assemble.train)
        count = self.ledger.stages[Stage.ASSEMBLE]
        count.came += fold.size
        count.went += len(rows)
        count.folded += fold.size - len(rows) - sum(len(drop.completions) for drop in dropped)
        for drop in dropped:
            self._drop(drop)
        self._beside_mined(len(rows))
        return rows

    @property
    def mines(self) -> bool:
        """Whether some format takes what chains say about their answers."""
        return self._miner is not None

    def mine(self, members: Sequence[Member]) -> list[Row]:
        """What one chain says about its answers, as rows; those of the chain itself must have come before."""
        assert self._miner is not None
        count, rows = self.ledger.stages[Stage.MINE], list[Row]()
        for found in self._miner.rows(members):
            count.made += 1
            if isinstance(found, Dropped):
                self._drop(found)
            else:
                rows.append(found)
        count.went += len(rows)
        return rows

    def _beside_mined(self, rows: int) -> None:
        """Assembled rows pass the miner as they are."""
        if self._miner is not None:
            self.ledger.stages[Stage.MINE].came += rows
            self.ledger.stages[Stage.MINE].went += rows

    async def take(self, rows: Sequence[Row]) -> None:
        """Assembled rows, through all that follows."""
        if Stage.SCRUB in self._before:
            rows = [replace(row, chain=self._forest.chain(row.head.seq)) for row in rows]
        for name, stage in self._before.items():
            rows = [row async for row in self._through(name, stage, rows)]
        names = list(self._placed)
        for row in rows:  # one by one: what becomes of a row decides on what is a duplicate after it
            hashed = self._dedupe(row)
            if hashed is None:
                continue
            placed = await self._compare(hashed)
            if placed is None:
                self._vacate(hashed)
                continue
            if self._near is not None:
                self._near.keep(row)
            self._place(placed, names)

    async def _compare(self, hashed: "_Hashed") -> Placed | None:
        """The row, which repeats none, with its split; None where it goes no further."""
        near = () if self._near is None else self._near_rows(hashed.row, self._near)
        if near is None:
            return None
        for name, stage in self._after.items():
            if not [row async for row in self._through(name, stage, [hashed.row])]:
                return None
        return self._split(hashed, near)

    def _near_rows(self, row: Row, near: Near) -> Sequence[int] | None:
        """The heads of the rows that it must stand in one split with; None where one of them stands for it."""
        count = self.ledger.stages[Stage.NEAR]
        count.came += 1
        found = near.kept(row)
        if found and self._follows:
            self._forest.follow(row.head.seq, found[0])
        if found and near.keeps_first:
            self._drop(Dropped(Stage.NEAR, NEAR, row.learned, by=id_text(self._forest.id(found[0]))))
            return None
        count.went += 1
        return found

    def ending(self) -> Iterator[None]:
        """All rows have come: write what was held back, one row at a time, and hold the counts together.

        Raises:
            WorkFailed: the counts do not add up.
        """
        names = list(self._placed)
        for n, name in enumerate(names):
            for left in self._placed[name].end():
                self._passed(name, left, names[n + 1 :])
                yield
        self.ledger.check()

    def end(self) -> None:
        """As `ending`, all at once."""
        for _ in self.ending():
            pass

    async def _through(self, name: Stage, stage: RowStage, rows: Sequence[Row]) -> AsyncIterator[Row]:
        count = self.ledger.stages[name]
        asks = [stage.asks(row) for row in rows]
        wants = [ask for some in asks for ask in some]
        answers = await self._asker(wants) if wants else {}
        for row in rows:
            came = 0
            for found in stage.take(row, answers):
                came += 1
                if isinstance(found, Dropped):
                    self._drop(found)
                else:
                    count.went += 1
                    yield found
            count.came += 1
            count.made += came - 1

    def _dedupe(self, row: Row) -> "_Hashed | None":
        count = self.ledger.stages[Stage.DEDUPE]
        count.came += 1
        try:
            content = content_of(row)
        except TypeError:  # orjson's own error is one
            self._drop(Dropped(Stage.DEDUPE, UNENCODABLE, row.learned))
            return None
        self.seen_bytes += len(content)
        hash_, seq = row_hash(content), row.head.seq
        twin_hash = row.alike or hash_
        twin = self._twins.first(twin_hash, seq)
        if twin is not None and self._follows and row.kind is Kind.CONVERSATION:
            self._forest.follow(seq, twin)
        written = seq if twin is None else self._twins.written(twin_hash, seq, twin)
        if self._recipe.dedupe.exact and written != seq:
            self._drop(Dropped(Stage.DEDUPE, DUPLICATE, row.learned))
            return None
        count.went += 1
        return _Hashed(row, hash_, twin_hash, written)

    def _vacate(self, hashed: "_Hashed") -> None:
        """The row goes nowhere: an equal one that comes later is no duplicate of anything."""
        if hashed.written == hashed.row.head.seq:
            self._twins.vacate(hashed.twin_hash)

    def _split(self, hashed: "_Hashed", near: Sequence[int]) -> Placed | None:
        count, seq = self.ledger.stages[Stage.SPLIT], hashed.row.head.seq
        count.came += 1
        name = self._forest.split(seq, hashed.written, *near)
        if name is None:
            self._drop(Dropped(Stage.SPLIT, SPLIT_CONFLICT, hashed.row.learned))
            return None
        count.went += 1
        return Placed(hashed.row, hashed.hash, name, self._forest.chain(seq), self._forest.group(seq))

    def _place(self, placed: Placed, names: Sequence[Stage]) -> None:
        """Give a row to the first of the stages `names`, or write it where none is left."""
        if not names:
            self._row(placed)
            return
        self.ledger.stages[names[0]].came += 1
        for found in self._placed[names[0]].take(placed):
            self._passed(names[0], found, names[1:])

    def _passed(self, name: Stage, found: Placed | Dropped, names: Sequence[Stage]) -> None:
        if isinstance(found, Dropped):
            self._drop(found)
            return
        self.ledger.stages[name].went += 1
        self._place(found, names)

    def _row(self, placed: Placed) -> None:
        kind = placed.row.kind
        self.ledger.kinds[kind] += 1
        names = (name for name in self._recipe.write.formats if kind in FORMATS[name].kinds)
        lines = {name: self._project(name, placed) for name in names}
        self.report.row(placed, tuple(name for name, line in lines.items() if line is not None))
        self._write(LINEAGE, _lineage(placed, lines))
        if self._look is not None:
            self._look(placed)

    def _project(self, name: str, placed: Placed) -> str | None:
        """Write the row in one format; returns `file:line`, or None where the format cannot carry it."""
        count, target = self.ledger.formats[name], FORMATS[name]
        count.came += 1
        try:
            line = target.project(placed.row)
            data = [target.encode(value) for value in (line.value, *line.more)]
        except UnfitError as unfit:
            self._drop(Dropped(Stage.WRITE, unfit.reason, placed.row.learned, unfit.pointer), name)
            return None
        except (
            TypeError
        ):  # arguments that are text in the row and an object in the line can hold what orjson does not take
            self._drop(Dropped(Stage.WRITE, UNENCODABLE, placed.row.learned), name)
            return None
        count.went += 1
        self.ledger.rules[name].update(line.rules)
        path = self._path(name, placed.split)
        if target.head and path not in self._files.tallies:
            self._files.write(path, target.head)
        numbers = [self._files.write(path, each) for each in data]
        return f"{path}:{numbers[0]}"

    def _path(self, name: str, split: str) -> str:
        target, shard_rows = FORMATS[name], self._recipe.write.shard_rows
        called = target.split_names.get(split, split)
        if called in self._recipe.split.shares:
            called = split  # another split has that name
        if shard_rows is None or not target.is_sharded:
            return f"{name}/{called}{target.suffix}"
        index = self._in_file.get((name, split), 0)
        self._in_file[name, split] = index + 1
        return f"{name}/{called}-{index // shard_rows:05}{target.suffix}"

    def _drop(self, dropped: Dropped, name: str | None = None) -> None:
        count = self.ledger.stages[dropped.stage] if name is None else self.ledger.formats[name]
        rows = dropped.stage not in (Stage.FILTER, Stage.ASSEMBLE)
        count.dropped[dropped.reason] += 1 if rows else len(dropped.completions)
        line: dict[str, Json] = {"stage": dropped.stage.value, "reason": dropped.reason}
        if name is not None:
            line["format"] = name
        if dropped.pointer is not None:
            line["pointer"] = dropped.pointer
        if dropped.by is not None:
            line["by"] = dropped.by
        line["completions"] = [id_text(completion.id) for completion in dropped.completions]
        self._write(DROPPED, line)

    def _write(self, path: str, value: Json) -> None:
        self._files.write(path, json_line(value))


def _lineage(placed: Placed, lines: Mapping[str, str | None]) -> Json:
    row = placed.row
    return {
        "row": placed.hash.hex(),
        "split": placed.split,
        "chain": id_text(placed.chain),
        "group": id_text(placed.group),
        "learned": [id_text(completion.id) for completion in row.learned],
        "context": [id_text(completion.id) for completion in row.context],
        "teacher": teachers(row),
        "lines": dict(lines),
        **_told(row),
    }


def _told(row: Row) -> dict[str, Json]:
    """What only some rows have to say: that they are no plain conversation, or not as they were logged."""
    told: dict[str, Json] = {}
    if row.judgement is not None:
        told["kind"] = row.kind.value
        told["reason"] = row.judgement.reason
        told["confidence"] = row.judgement.confidence
        told["rejected"] = [id_text(completion.id) for completion in row.judgement.rejected_by]
    if row.made:
        told["made"] = made_as_json(row)
    return told
