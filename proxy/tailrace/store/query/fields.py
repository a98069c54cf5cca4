"""What may be asked of a completion: one line a field, with the column it reads and its meaning for the docs.

Namespaces are the part before the first dot. `tags.` is open (any name the application sends), and so are the names of
classifiers in `label.NAME` and `next.label.NAME`; the others are closed.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, func
from sqlmodel import SQLModel

from tailrace.records import Do, Endpoint, LabelSource, LinkKind, Origin, Outcome, Relation, Status, UsageSource
from tailrace.store import tables as _tables  # noqa: F401  (importing it fills the metadata)
from tailrace.store.query import beside

COMPLETION: Final = SQLModel.metadata.tables["completion"]
CHAIN: Final = SQLModel.metadata.tables["chain"]
TAGS: Final = "tags."
LABEL: Final = "label."
NEXT: Final = "next."


class Kind(StrEnum):
    """How a field's values are written and compared. The words stand in the docs."""

    TEXT = "text"
    WORD = "word"  # of a closed list
    NUMBER = "number"
    FLAG = "true/false"
    DURATION = "duration"
    TIME = "time"
    ID = "id"
    LABEL = "label"  # of several, any may be equal
    DOCUMENT = "document"  # there or not; JSON has no order and many spellings


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the language."""

    name: str
    kind: Kind
    column: ColumnElement[object]
    nullable: bool
    meaning: str
    words: tuple[str, ...] = ()
    among: beside.Among | None = None
    """For a column of another table: the rows beside a completion, any of which may be meant."""


def _of(name: str, kind: Kind, column: str, meaning: str, words: Iterable[str] = ()) -> Field:
    """A field of the completion, or, with a dotted name, of its chain."""
    found = (CHAIN if "." in name else COMPLETION).c[column]
    return Field(name, kind, found, bool(found.nullable), meaning, tuple(words))


def _beside(name: str, kind: Kind, among: beside.Among, meaning: str, words: Iterable[str] = ()) -> Field:
    """A field of the rows beside a completion. It is unknown where there is none."""
    column = among.table.c[name.rpartition(".")[2]]
    return Field(name, kind, column, nullable=True, meaning=meaning, words=tuple(words), among=among)


FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        _of("id", Kind.ID, "id", "our id, `x-tailrace-id`, or its first 8 or more digits"),
        _of("seq", Kind.NUMBER, "seq", "number in order of filing"),
        _of("started", Kind.TIME, "started_us", "when the request came"),
        _of("status", Kind.WORD, "status", "how it ended, seen from the client", Status),
        _of("error", Kind.TEXT, "error", "the error's code"),
        _of("http_status", Kind.NUMBER, "http_status", "what the client was answered"),
        _of("model", Kind.TEXT, "model", "as the client asked for it"),
        _of("served_model", Kind.TEXT, "served_model", "as the provider names the model that answered"),
        _of("provider", Kind.TEXT, "provider", "the table under `[providers]`, or `sim`"),
        _of("attempts", Kind.NUMBER, "attempts", "calls of providers it took"),
        _of("endpoint", Kind.WORD, "endpoint", "which of the parsed endpoints, or `other`", Endpoint),
        _of("dialect", Kind.TEXT, "dialect", "what the provider speaks, where it is not OpenAI's"),
        _of("stream", Kind.FLAG, "stream", "whether a stream was asked for"),
        _of("finish_reason", Kind.TEXT, "finish_reason", "why the model stopped: `stop`, `length`, `tool_calls`, …"),
        _of("step", Kind.NUMBER, "step", "which answer of its conversation, from 1"),
        _of("relation", Kind.WORD, "relation", "what it is to its chain", Relation),
        _of("link_kind", Kind.WORD, "link_kind", "how its link to its parent was made", LinkKind),
        _of("children", Kind.NUMBER, "children", "completions that continue it"),
        _of("chain.id", Kind.ID, "key", "the id of its chain's first completion"),
        _of("chain.steps", Kind.NUMBER, "steps", "the longest step of its chain"),
        _of("chain.completions", Kind.NUMBER, "completions", "completions in its chain"),
        _of("project", Kind.TEXT, "project", "whose it is"),
        _of("key", Kind.TEXT, "key", "the client's key: its id, or a keyed hash"),
        _of("session", Kind.TEXT, "session", "the session that the client named"),
        _of("user", Kind.TEXT, "user", "the user that the client named"),
        _of("origin", Kind.WORD, "origin", "on whose behalf; `app` unless the query asks for this field", Origin),
        _of("source", Kind.ID, "source", "the completion it copies: as a shadow, a replay, from the cache"),
        _of("external_id", Kind.TEXT, "external_id", "the caller's own id of the call"),
        _of("trace", Kind.TEXT, "trace", "the trace that the client named"),
        _of("omits", Kind.WORD, "omits", "which body is not kept, by the client's wish", ("request", "answer", "both")),
        _of("config", Kind.TEXT, "config", "hash of the settings in force"),
        _of("answer_id", Kind.TEXT, "answer_id", "the id inside the answer (`chatcmpl-…`)"),
        _of("request_id", Kind.TEXT, "request_id", "the provider's `x-request-id`"),
        _of("input_tokens", Kind.NUMBER, "input_tokens", "of the prompt"),
        _of("output_tokens", Kind.NUMBER, "output_tokens", "of the answer"),
        _of("cached_tokens", Kind.NUMBER, "cached_tokens", "of the prompt, read from the provider's cache"),
        _of("cache_write_tokens", Kind.NUMBER, "cache_write_tokens", "of the prompt, written to the provider's cache"),
        _of("reasoning_tokens", Kind.NUMBER, "reasoning_tokens", "of the answer, spent on reasoning"),
        _of("audio_tokens", Kind.NUMBER, "audio_tokens", "of both"),
        _of("output_audio_tokens", Kind.NUMBER, "output_audio_tokens", "of the answer"),
        _of("usage_source", Kind.WORD, "usage_source", "where the token counts come from", UsageSource),
        _of("cost_usd", Kind.NUMBER, "cost_usd", "US dollars; unknown is NULL, never 0"),
        _of("duration_ms", Kind.DURATION, "duration_us", "from the request to the last byte"),
        _of("first_byte_ms", Kind.DURATION, "first_byte_us", "from the request to the answer's first byte"),
        _of("overhead_ms", Kind.DURATION, "overhead_us", "of the duration, what Tailrace took"),
        _beside("feedback.score", Kind.NUMBER, beside.FEEDBACK, "a score that somebody gave it"),
        _beside("feedback.thumb", Kind.WORD, beside.FEEDBACK, "a thumb that somebody gave it", ("up", "down")),
        _beside("feedback.text", Kind.TEXT, beside.FEEDBACK, "what somebody wrote of it"),
        _beside("feedback.source", Kind.TEXT, beside.FEEDBACK, "who said something of it"),
        _beside("feedback.correction", Kind.DOCUMENT, beside.FEEDBACK, "what it should have been, as somebody says"),
        _beside("action.do", Kind.WORD, beside.ACTION, "what a classifier's action did, or is to do", Do),
        _beside("action.outcome", Kind.WORD, beside.ACTION, "how far an action has come", Outcome),
        _beside("action.label", Kind.LABEL, beside.ACTION, "the label that caused an action"),
        _beside("action.classifier", Kind.TEXT, beside.ACTION, "whose label caused an action"),
        _beside("action.target", Kind.TEXT, beside.ACTION, "where an action went: a model, a host, a tag"),
        _beside("action.dry_run", Kind.FLAG, beside.ACTION, "whether an action was only written down"),
    )
}
LABEL_FIELDS: Final[dict[str, tuple[Kind, str, str, tuple[str, ...]]]] = {
    "": (Kind.LABEL, "text", "the label that counts: a person's, else the newest live one", ()),
    "confidence": (Kind.NUMBER, "confidence", "its calibrated probability, where known", ()),
    "source": (Kind.WORD, "source", "who or what decided on it", tuple(LabelSource)),
    "version": (Kind.TEXT, "version", "the version of the classifier", ()),
    "error": (Kind.TEXT, "error", "what was wrong with the answer behind it", ()),
    "who": (Kind.TEXT, "who", "the person who gave it", ()),
}
"""The fields of `label.NAME`, and of `next.label.NAME` on the completion that follows, by what comes after NAME."""
NAMESPACES: Final = ("chain", "tags", "label", "next", "action", "feedback")
_CLASSIFIER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def find(name: str) -> Field | None:
    """The field of that name; any `tags.NAME` is one, and so are the labels of any classifier."""
    if name.startswith(TAGS):
        return _tag(name)
    own = name.removeprefix(NEXT)
    return _label(name, own[len(LABEL) :]) if own.startswith(LABEL) else FIELDS.get(name)


def _label(name: str, inner: str) -> Field | None:
    classifier, _, part = inner.partition(".")
    found = LABEL_FIELDS.get(part)
    if found is None or inner.endswith(".") or _CLASSIFIER.fullmatch(classifier) is None:
        return None
    kind, column, meaning, words = found
    among = beside.labels(classifier, of_next=name.startswith(NEXT))
    return Field(name, kind, among.table.c[column], nullable=True, meaning=meaning, words=words, among=among)


def _tag(name: str) -> Field | None:
    inner = name[len(TAGS) :]
    # A JSON path has no escape for these in every SQLite that we meet, and no client needs them in a name.
    if not inner or any(char in '"\\' or not char.isprintable() for char in inner):
        return None
    column: ColumnElement[object] = func.json_extract(COMPLETION.c.tags, f'$."{inner}"')
    return Field(name, Kind.TEXT, column, nullable=True, meaning="a tag that the client sent")


def closest(word: str, among: Iterable[str]) -> str | None:
    """The one of `among` that was most likely meant by `word`."""
    lowered = {each.lower(): each for each in among}
    found = difflib.get_close_matches(word.lower()[:64], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def missing(name: str) -> str:
    """Why `find` knows no such field, and what was likely meant."""
    space, dot, _ = name.partition(".")
    if space.lower() == "tags":
        return (
            'a tag is written tags.NAME or tags."NAME", without quotes, backslashes or control characters in the name'
        )
    if space in ("label", "next"):
        parts = ", ".join(part for part in LABEL_FIELDS if part)
        return f"a label is written label.NAME, or next.label.NAME, and may be followed by one of .{{{parts}}}"
    if dot and space not in NAMESPACES:
        return f"there are no {space[:40]!r} fields: those of a completion have no dot, or begin with " + ", ".join(
            f"{each}.…" for each in NAMESPACES
        )
    if dot:
        return f"the fields of {space} are " + ", ".join(field for field in FIELDS if field.startswith(f"{space}."))
    meant = closest(name, FIELDS)
    return f"did you mean {meant}?" if meant else "the fields are " + ", ".join([*FIELDS, "tags.NAME"])
