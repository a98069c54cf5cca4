"""Trains the student of a version of a classifier and holds it to its guarantee; each step is logged with its reason.

    enough new labels ─▶ train (in a thread) ─▶ judge by the audits ─▶ released: the relay's file is replaced
    audits of answered turns ─▶ the running test ─▶ demoted: the file is taken away

Decides nothing itself: `classify.student.states` does. A crash loses a training, never a state.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.ready import Ready
from tailrace.classify.student import matrix
from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Rows, train
from tailrace.classify.student.guarantee import Audit, Consistency, Promise, Release, grid, judge, out_of_reach
from tailrace.classify.student.place import current_file, forget, numbered_file
from tailrace.classify.student.serve import Student
from tailrace.classify.student.states import (
    Audited,
    Enabled,
    Event,
    Fitted,
    Judged,
    Unreachable,
    Waits,
    advance,
)
from tailrace.classify.student.terms import judges_needed, labels_needed
from tailrace.classify.written import new_id
from tailrace.clock import Clock
from tailrace.journal.journal import Journal
from tailrace.labeller.lessons import LessonBook, Lessons
from tailrace.labeller.standing import Kept, begun_anew, standing_file
from tailrace.records import StudentChange
from tailrace.records import StudentState as State
from tailrace.store.rebuild import Rebuilder

EVERY_S: Final = 2.0

log = structlog.get_logger("tailrace.labeller")


class Tutor:
    """One version's."""

    def __init__(self, ready: Ready, clock: Clock, data_dir: Path) -> None:
        self._ready = ready
        self._clock = clock
        self._data_dir = data_dir
        self._file = standing_file(data_dir, ready)
        self._kept = self._file.read()
        self._book = LessonBook(ready)
        self._is_tidy = False  # the relay's file may be one that a crash left
        self._promise = Promise(ready.settings.target_agreement)

    async def step(self, connection: AsyncConnection, _: Rebuilder, journal: Journal) -> bool:
        """Looks at what has come; never more to do at once. Raises LogUnavailable: a step could not be logged."""
        await self._take(journal, Enabled(self._ready.version), newest_seq=0)
        if self._kept.standing.state is not State.REFUSED and await self._book.read(connection):
            kept = self._kept
            await self._look(
                self._book.lessons(since_seq=kept.since_seq, shadow_until_seq=kept.shadow_until_seq), journal
            )
        await asyncio.sleep(EVERY_S)
        return False

    async def _look(self, found: Lessons, journal: Journal) -> None:
        consistency = Consistency(*found.again)
        if reason := out_of_reach(self._promise, consistency):
            await self._take(journal, Unreachable(reason), newest_seq=found.newest_seq)
            return
        epoch = self._kept.standing.epoch
        await self._watch(found, journal)
        if self._kept.standing.epoch != epoch:
            return  # demoted: what was found are the audits of before, and no student is judged by those again
        labels, judges = len(found.items), len(found.judges)
        needed = Waits(
            labels,
            labels_needed(self._kept.labels_at_last_look),
            judges,
            judges_needed(self._promise, self._kept.standing.looks),
        )
        if labels < needed.labels_needed or judges < needed.judges_needed:
            await self._take(journal, needed, newest_seq=found.newest_seq)
            return
        await self._fit(found, journal)

    async def _watch(self, found: Lessons, journal: Journal) -> None:
        """The running test, over the new audits of turns that the released student answers."""
        kept = self._kept
        if kept.standing.state is not State.LIVE:
            return
        new = [each for each in found.judges if each.seq > max(kept.seen_seq, kept.shadow_until_seq or 0)]
        if not new:
            return
        student = await asyncio.to_thread(Student.load, current_file(self._data_dir, self._ready.name))
        said = [(student.say(each.subject), each.label) for each in new]
        agreed = tuple(one.labels == (label,) for one, label in said if one.alone)
        self._kept = replace(kept, seen_seq=new[-1].seq)
        if agreed:
            await self._take(journal, Audited(agreed), newest_seq=found.newest_seq)
        else:
            self._file.put(self._kept)

    async def _fit(self, found: Lessons, journal: Journal) -> None:
        serial = (self._kept.standing.fitted or 0) + 1
        rows, judged = await asyncio.to_thread(self._trained, found, serial)
        await self._take(journal, Fitted(serial, len(found.items)), newest_seq=found.newest_seq)
        look = self._kept.standing.looks + 1
        audits, spread = judged
        outcome = judge(audits, grid(spread, self._promise.step), self._promise, look)
        judged_as = Judged(outcome, len(audits), sum(audit.agreed for audit in audits))
        await self._take(journal, judged_as, newest_seq=found.newest_seq, rows=rows)
        self._kept = replace(self._kept, labels_at_last_look=len(found.items))
        self._file.put(self._kept)

    def _trained(self, found: Lessons, serial: int) -> tuple[Rows, tuple[list[Audit], list[float]]]:
        """For a thread: a student, on the disk, and what it says of the turns that it is judged by."""
        labels, features = tuple(self._ready.settings.definitions()), Features()
        rows = train(found.items, labels, features)
        header = self._header(rows, serial, len(found.items))
        path = numbered_file(self._data_dir, self._ready.name, self._ready.version, serial)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        matrix.write(path, header, rows.weights, rows.bias)
        released = self._kept.standing.released
        of_released = numbered_file(self._data_dir, self._ready.name, self._ready.version, released or serial)
        forget(path.parent, spared={path, of_released})
        student = Student.load(path)
        said = [(student.say(each.subject), each.label) for each in found.judges]
        audits = [Audit(one.labels[0], one.confidence, one.labels == (label,)) for one, label in said]
        return rows, (audits, [student.say(subject).confidence for subject in found.spread])

    def _header(self, rows: Rows, serial: int, trained: int) -> matrix.Header:
        return matrix.Header(
            self._ready.version, serial, rows.labels, Features(), temperature=rows.temperature, trained=trained
        )

    async def _take(self, journal: Journal, event: Event, *, newest_seq: int, rows: Rows | None = None) -> None:
        """One event of the state machine: what it leads to, in the log, on the disk, and for the relay."""
        before = self._kept.standing
        after = advance(before, event, target=self._promise.target)
        if after == before and self._is_tidy:
            return
        kept = begun_anew(self._kept, after, newest_seq)
        if after.state is State.LIVE and before.state is not State.LIVE:
            kept = replace(kept, shadow_until_seq=newest_seq, seen_seq=newest_seq)
        current = current_file(self._data_dir, self._ready.name)
        if after.released is None:
            await asyncio.to_thread(current.unlink, missing_ok=True)
        self._is_tidy = True
        is_news = after.reason != before.reason and not isinstance(event, Waits)  # which comes with every label
        if after.state != before.state or is_news or isinstance(event, Judged):
            await journal.labels([self._change(kept, event)])
            log.info("student", classifier=self._ready.name, state=after.state, why=after.reason)
        released, release = after.released, after.release
        if rows is not None and release is not None and released is not None and released != before.released:
            header = replace(
                self._header(rows, released, after.labels),
                threshold=release.threshold,
                withheld=release.withheld,
            )
            await asyncio.to_thread(matrix.write, current, header, rows.weights, rows.bias)
        if kept != self._kept:
            self._kept = kept
            self._file.put(kept)

    def _change(self, kept: Kept, event: Event) -> StudentChange:
        standing = kept.standing
        release = standing.release
        counts = {"labels": standing.labels, "looks": standing.looks, "missing": standing.missing}
        if release is not None:
            counts |= {"audits": release.audits}
        if isinstance(event, Judged):  # the newest, which need not be the one that answers
            counts |= {"fitted": standing.fitted, "judged": event.judged, "agreed": event.agreed}
            if isinstance(event.outcome, Release):
                counts |= {"proven_percent": round(event.outcome.coverage * 100)}
        number = standing.released or standing.fitted or 0
        return StudentChange(
            id=new_id(self._clock),
            at_us=self._clock.now_us(),
            classifier=self._ready.name,
            version=self._ready.version,
            number=number,
            state=standing.state,
            reason=standing.reason,
            threshold=None if release is None else release.threshold,
            coverage=None if release is None else release.coverage,
            counts={name: count for name, count in counts.items() if count is not None},
            file=None if release is None else str(current_file(Path(), self._ready.name)),
        )
