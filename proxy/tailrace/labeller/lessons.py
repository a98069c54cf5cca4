"""What a student learns from and what it is judged by, read from the log; never the same chain for both.

    chains ─┬─ drawn (`classify.student.terms`) ─▶ one random turn each, audited or labelled in shadow ─▶ judging
            │    └─ all their labels ─▶ the confidences by which the thresholds are laid out
            └─ the others ─▶ the labels of the model and of people ─▶ training

While it is in shadow the model labels every turn anyway, so that an audit costs nothing: the drawn turn's own label is
one. Once it is live only the audits that were asked for count, since the model is then asked about hard turns only; so
of the chains that begin then, those that are not audited teach.
What a rule or the cache answered never comes to the student: an audit of it, an easy turn mostly, says nothing of those
that do.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.audit import is_audited, place
from tailrace.classify.ready import Ready
from tailrace.classify.student.fit import Item
from tailrace.classify.student.terms import judging_share
from tailrace.classify.turn import Subject
from tailrace.labeller.subjects import is_for, labels_before, turn_of
from tailrace.records import Label, LabelMode, LabelSource
from tailrace.store import labels
from tailrace.store.labels import Labelled, Page

MOST: Final = 50_000
"""Labels that are held, the newest."""
_TAUGHT: Final = (LabelSource.HUMAN, LabelSource.IMPORTED, LabelSource.LLM)
_WRITTEN_AS: Final = {"rules": LabelSource.RULE, "cache": LabelSource.CACHE, "llm": LabelSource.LLM}


@dataclass(frozen=True, slots=True)
class Judge:
    """A turn by which the student is judged, and what the model said of it."""

    seq: int  # of the label
    subject: Subject
    label: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """`spread`: turns of drawn chains, labelled or not. `again`: how often the model, asked afresh, said the same."""

    items: list[Item]
    judges: list[Judge]
    spread: list[Subject]
    again: tuple[int, int]  # the same, of so many asked twice
    newest_seq: int


@dataclass(frozen=True, slots=True)
class _Note:
    """One label, as far as a student needs it."""

    seq: int
    completion: bytes
    chain: bytes
    subject: Subject
    label: str
    by_model: bool
    comes_to_it: bool  # no rule and no cache answered the turn


class LessonBook:
    """What was read so far, the newest; each look reads only what is new."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        cascade = ready.settings.cascade
        self._before_it = {_WRITTEN_AS[source] for source in cascade[: cascade.index("student")]}
        self._taught: OrderedDict[bytes, _Note] = OrderedDict()  # by completion: a later label stands for it
        self._audits: OrderedDict[bytes, _Note] = OrderedDict()
        self._cursors = {False: 0, True: 0}

    async def read(self, connection: AsyncConnection) -> bool:
        """Takes in what was filed since; whether there was anything."""
        before = dict(self._cursors)
        for audits, notes in ((False, self._taught), (True, self._audits)):
            is_last = False
            while not is_last:
                page = await self._page(connection, audits=audits)
                for note in await self._notes(connection, page.items):
                    notes.pop(note.completion, None)
                    notes[note.completion] = note
                while len(notes) > MOST:
                    notes.popitem(last=False)
                self._cursors[audits], is_last = page.cursor, page.is_last
                await connection.rollback()
        return self._cursors != before

    def lessons(self, *, since_seq: int, shadow_until_seq: int | None) -> Lessons:
        """What all of it amounts to."""
        judging = self._judging(shadow_until_seq)
        items: list[Item] = []
        drawn: dict[bytes, list[_Note]] = {}
        for note in self._taught.values():
            if note.chain in judging:
                drawn.setdefault(note.chain, []).append(note)
            else:
                items.append(Item(note.subject, (note.label,), note.chain))
        asked = [
            note
            for note in self._audits.values()
            if note.comes_to_it and note.chain in judging and note.seq > since_seq
        ]
        audited = {note.chain for note in self._audits.values()}
        free = (self._free(some, since_seq, shadow_until_seq) for chain, some in drawn.items() if chain not in audited)
        judges = sorted((*asked, *(note for note in free if note is not None)), key=lambda note: note.seq)
        own = {note.completion: note.label for note in self._taught.values() if note.by_model}
        same = [own[note.completion] == note.label for note in self._audits.values() if note.completion in own]
        return Lessons(
            items=items,
            judges=[Judge(note.seq, note.subject, note.label) for note in judges],
            spread=[note.subject for some in drawn.values() for note in some],
            again=(sum(same), len(same)),
            newest_seq=max((note.seq for note in (*self._taught.values(), *self._audits.values())), default=0),
        )

    def _judging(self, shadow_until_seq: int | None) -> set[bytes]:
        """The chains that judge. One that began in shadow goes on as it began."""
        began: dict[bytes, int] = {}
        for note in (*self._taught.values(), *self._audits.values()):
            began[note.chain] = min(note.seq, began.get(note.chain, note.seq))
        share = {
            in_shadow: judging_share(self._ready.settings.audit_share, in_shadow=in_shadow)
            for in_shadow in (True, False)
        }
        return {
            chain
            for chain, seq in began.items()
            if is_audited(chain, self._ready.version, share[shadow_until_seq is None or seq <= shadow_until_seq])
        }

    def _free(self, some: Sequence[_Note], since_seq: int, shadow_until_seq: int | None) -> _Note | None:
        """The drawn turn of a chain, where the model's own label of it was given while the student was in shadow."""
        note = min(some, key=lambda each: place(each.completion, self._ready.version))
        is_shadow = shadow_until_seq is None or note.seq <= shadow_until_seq
        return note if note.by_model and is_shadow and note.seq > since_seq else None

    async def _page(self, connection: AsyncConnection, *, audits: bool) -> Page[Labelled]:
        name, version, after = self._ready.name, self._ready.version, self._cursors[audits]
        if audits:
            return await labels.audits(connection, name, after_seq=after, version=version)
        return await labels.training(connection, name, after_seq=after, version=version, sources=_TAUGHT)

    async def _notes(self, connection: AsyncConnection, some: Sequence[Labelled]) -> list[_Note]:
        ready, found = self._ready, []
        wanted = [one for one in some if is_for(ready.settings, one.completion)]
        before = await labels_before(connection, ready, [one.completion for one in wanted])
        known = await labels.history(connection, [one.completion.id for one in wanted])
        for one in wanted:
            subject = self._subject(one, before)
            if subject is not None and isinstance(one.label.label, str):
                row, by_model = one.completion, one.label.source == LabelSource.LLM
                is_new = not any(self._is_answered(label) for label in known.get(row.id, ()))
                found.append(_Note(one.seq, row.id, row.chain_key, subject, one.label.label, by_model, is_new))
        return found

    def _is_answered(self, label: Label) -> bool:
        """Whether by this label the turn was answered before it came to the student."""
        ready = self._ready
        return (label.classifier, label.version, label.mode) == (
            ready.name,
            ready.version,
            LabelMode.LIVE,
        ) and label.source in self._before_it

    def _subject(self, one: Labelled, before: dict[int, str]) -> Subject | None:
        settings = self._ready.settings
        subject = turn_of(settings, one.completion, one.request)
        if subject is None or not settings.context.previous_label:
            return subject
        parent = one.completion.parent
        return replace(subject, previous=None if parent is None else before.get(parent))
