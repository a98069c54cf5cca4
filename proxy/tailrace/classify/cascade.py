"""One classifier at work in one process: rules, cache and student at once, then the model; the first to know decides.

    at_once ─▶ rules ▸ cache ▸ student ─┬─ one that is live knows ─▶ Said
                                        └─ nobody does ─▶ ask ─▶ the model, once more where it missed the list ─▶ Said

What a source says in shadow stands beside what was decided and decides nothing. Owns the cache and the count of the
rules' votes; both are of this process, bounded, and made anew after a restart. Never raises for what a text, a model or
a provider says.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson

from tailrace.classify.complete import Complete
from tailrace.classify.embeddings import EmbeddingCache
from tailrace.classify.learned import NOTHING
from tailrace.classify.ready import Ready
from tailrace.classify.rules import Tally
from tailrace.classify.tasks import TASKS
from tailrace.classify.tasks.answer import reading_of
from tailrace.classify.tasks.build import corrected
from tailrace.classify.tasks.task import Brief, Reading
from tailrace.classify.turn import Subject
from tailrace.records import LabelMode, LabelSource, LabelValue, Origin
from tailrace.settings_classifiers import Source

CACHED: Final = 50_000
"""Labels that a process remembers of each classifier; at the limit the longest unused one goes."""
UNANSWERED: Final = "unanswered"
"""The error of a label whose model gave no answer."""
_MOST_NOTE: Final = 500


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of a text. `value` is None where it failed, and `error` is the kind of the failure."""

    source: LabelSource
    value: LabelValue | None
    confidence: float | None = None
    mode: LabelMode = LabelMode.LIVE
    error: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What the sources that need no model say."""

    said: Said | None
    shadows: tuple[Said, ...] = ()


class Answer(Protocol):
    """What a student says of a turn. `alone`: it may answer by itself."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def confidence(self) -> float: ...
    @property
    def alone(self) -> bool: ...


class Student(Protocol):
    """A trained student as it is served."""

    def say(self, subject: Subject) -> Answer:
        """The labels of a turn."""


class Cascade:
    """The sources of one classifier. `student` and `learned` may be swapped at any time."""

    def __init__(self, ready: Ready, student: Student | None = None) -> None:
        self.ready = ready
        self.student = student
        self.tally = Tally(ready.rules.labels)
        self._cached: OrderedDict[bytes, tuple[LabelValue, float | None]] = OrderedDict()
        self._single = TASKS[ready.settings.task].single
        self._vectors: EmbeddingCache | None = None
        self.learned = NOTHING

    @property
    def asks_model(self) -> bool:
        """Whether the model may decide."""
        return self.ready.brief is not None and self.ready.settings.mode_of("llm") == "live"

    def at_once(self, subject: Subject) -> AtOnce:
        """What is known without a model; some 10 µs, with a student some 100."""
        known: Said | None = None
        shadows: list[Said] = []
        for source in self.ready.settings.cascade:
            mode = self.ready.settings.mode_of(source)
            if mode == "off" or (known is not None and mode == "live"):
                continue
            said = self._ask_quick(source, subject)
            if said is None:
                continue
            if mode == "live" and said.mode is LabelMode.LIVE:
                known = said
            else:
                shadows.append(replace(said, mode=LabelMode.SHADOW))
        return AtOnce(known, tuple(shadows))

    async def ask(self, subject: Subject, models: Complete, *, source: str | None, private: bool = False) -> Said:
        """What the model says. `source` is the completion on whose account it is asked."""
        brief = self.ready.brief
        assert brief is not None, "no model is asked"
        request = await self._request(subject, models)
        done = await models.complete(request, origin=Origin.CLASSIFIER, source=source, private=private)
        if done.answer is None:
            return Said(LabelSource.LLM, None, error=UNANSWERED, note=(done.failure or "")[:_MOST_NOTE])
        reading = reading_of(brief, subject, done.answer)
        if reading.correctable:
            again = corrected(request, brief, reading.said)
            done = await models.complete(again, origin=Origin.CLASSIFIER, source=source, private=private)
            if done.answer is not None:
                reading = reading_of(brief, subject, done.answer)
        return self._decided(brief, subject, reading)

    async def _request(self, subject: Subject, models: Complete) -> dict[str, Any]:
        llm = self.ready.settings.llm
        if llm is None or llm.embeddings is None:
            return self.ready.body(subject)
        if self._vectors is None:
            self._vectors = EmbeddingCache(models.embed, llm.embeddings)
        return await self.ready.body_by_meaning(subject, self._vectors)

    def _decided(self, brief: Brief, subject: Subject, reading: Reading) -> Said:
        if reading.error is not None:
            return Said(LabelSource.LLM, None, error=reading.error)
        value = value_of(brief, reading)
        confidence = self.learned.calibration(reading.confidence)
        self._remember(subject, value, confidence)
        return Said(LabelSource.LLM, value, confidence, note=_note(reading, confidence))

    def _ask_quick(self, source: Source, subject: Subject) -> Said | None:
        match source:
            case "rules":
                return self._by_rules(subject)
            case "cache":
                return self._by_cache(subject)
            case "student":
                return self._by_student(subject)
        return None

    def _by_rules(self, subject: Subject) -> Said | None:
        vote = self.ready.rules.vote(subject.text, before=subject.before, without=self.learned.disabled)
        self.tally.add(vote)
        if vote.label is None:
            return None
        note = orjson.dumps({"rules": [index + 1 for index in vote.fired], "conflict": vote.conflict}).decode()
        value = vote.label if self._single else (vote.label,)
        return Said(LabelSource.RULE, value, note=note)

    def _by_cache(self, subject: Subject) -> Said | None:
        key = self.ready.key(subject)
        known = self._cached.get(key)
        if known is None:
            return None
        self._cached.move_to_end(key)
        return Said(LabelSource.CACHE, *known)

    def _by_student(self, subject: Subject) -> Said | None:
        if self.student is None:
            return None
        said = self.student.say(subject)
        if not said.alone:
            return None
        return Said(LabelSource.STUDENT, said.labels[0] if self._single else said.labels, said.confidence)

    def _remember(self, subject: Subject, value: LabelValue, confidence: float | None) -> None:
        if self.ready.settings.mode_of("cache") == "off":
            return
        self._cached[self.ready.key(subject)] = (value, confidence)
        if len(self._cached) > CACHED:
            self._cached.popitem(last=False)


def _note(reading: Reading, confidence: float | None) -> str | None:
    """The model's reasoning; and its own confidence, where a calibration made another of it."""
    told: dict[str, Any] = {}
    if confidence != reading.confidence:
        told["raw"] = reading.confidence
    if reading.reasoning:
        told["reasoning"] = reading.reasoning[:_MOST_NOTE]
    return orjson.dumps(told).decode() if told else None


def value_of(brief: Brief, reading: Reading) -> LabelValue:
    """A reading as it is stored: a label, several labels, or JSON (spans, an answer, attributes)."""
    if reading.value is not None:
        return reading.value
    if reading.spans:
        return [{"label": s.label, "text": s.text, "start": s.start, "end": s.end} for s in reading.spans]
    return reading.labels[0] if brief.task.single else reading.labels


def labels_of(value: LabelValue) -> tuple[str, ...]:
    """The words of a label's value that an action may be set on."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple):
        return value
    spans = value if isinstance(value, list) else []
    found = dict.fromkeys(span["label"] for span in spans if isinstance(span, dict) and "label" in span)
    if isinstance(value, dict):
        found = dict.fromkeys(value)
    return tuple(found)
