"""What the parts of Tailrace pass to each other: values, closed word lists and ids. No I/O, no clock, no randomness.

The words here are the words of the store, of the query language and of the docs. A word that is stored is never
renamed; a test asserts that each stands in the documentation.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

Json = Any
"""What orjson.loads returns: dict, list, str, int, float, bool or None. `Any` stands only here, at the JSON edge."""

DEFAULT_PROJECT: Final = "default"
"""The project of every call while no Tailrace keys exist."""

CACHE: Final = "cache"
"""The provider of an answer that Tailrace gave again."""

TAILRACE: Final = "tailrace"
"""The provider of an answer that Tailrace gave itself, because a label's action says so."""

TEMPLATE_TAG: Final = "tailrace_template"
"""The tag of a completion whose provider was sent its request without a template's static text: the template's id."""


class Status(StrEnum):
    """How a completion ended, seen from the client. One word a row."""

    OK = "ok"  # the whole answer was sent, a model's refusal included
    CLIENT_CLOSED = "client_closed"  # the client left before the end
    PROVIDER_ERROR = "provider_error"  # an error status, or an error inside a stream
    PROVIDER_TIMEOUT = "provider_timeout"  # one of the clocks ran out
    PROVIDER_TRUNCATED = "provider_truncated"  # the answer stopped before its end
    REFUSED = "refused"  # by Tailrace, before any provider was called
    INTERRUPTED = "interrupted"  # the relay died during the call
    TAILRACE_ERROR = "tailrace_error"  # our own fault


class UsageSource(StrEnum):
    """Where token counts come from."""

    PROVIDER = "provider"
    PARTIAL = "partial"  # the provider's, of an answer that did not end
    ESTIMATED = "estimated"
    NONE = "none"


class Origin(StrEnum):
    """On whose behalf a completion was made. Queries, recipes and classifiers see `app` unless told otherwise."""

    APP = "app"
    CLASSIFIER = "classifier"
    EXPERIMENT = "experiment"
    EXPORT = "export"
    SHADOW = "shadow"
    REPLAY = "replay"


class LinkKind(StrEnum):
    """How the link from a completion to its parent was made."""

    EXACT = "exact"  # the client named the parent (`previous_response_id`)
    SESSION = "session"  # same conversation so far, same session or user
    INFERRED = "inferred"  # same conversation so far, and only one completion has it
    AMBIGUOUS = "ambiguous"  # same conversation so far, several completions have it; the likeliest was taken


class Relation(StrEnum):
    """What a completion is to the chain it stands in."""

    START = "start"  # no recorded answer in its request
    CONTINUE = "continue"  # the first continuation of its parent
    BRANCH = "branch"  # a further continuation of the same parent, with other words
    RETRY = "retry"  # the same prompt after the same parent again


class LabelSource(StrEnum):
    """Who or what decided on a label."""

    RULE = "rule"
    CACHE = "cache"  # the same text in the same context was labelled before, by the same version
    STUDENT = "student"
    LLM = "llm"
    HUMAN = "human"  # outranks all others
    PROPAGATED = "propagated"  # from a near-duplicate
    IMPORTED = "imported"


class LabelMode(StrEnum):
    """Whether a label counts."""

    LIVE = "live"  # it does, and may act
    SHADOW = "shadow"  # it stands beside the one that does, to compare
    AUDIT = "audit"  # drawn at random after the answer, to hold the student to its guarantee


class Do(StrEnum):
    """What an action does."""

    ROUTE = "route"
    WEBHOOK = "webhook"
    TAG = "tag"
    REPLY = "reply"
    NOTE = "note"


class Outcome(StrEnum):
    """How far an action has come."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"  # and is not tried again
    RETRIED = "retried"  # failed, and is tried again


class StudentState(StrEnum):
    """Whether a student may answer alone."""

    OFF = "off"
    TRAINING = "training"  # there are too few labels yet
    SHADOW = "shadow"
    LIVE = "live"
    DEMOTED = "demoted"  # was live, and the traffic has drifted
    REFUSED = "refused"  # what was asked of it is out of any student's reach


class Endpoint(StrEnum):
    """The parsed endpoints; what else passes through is `other`."""

    CHAT = "chat.completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts by kind; None is unknown, never 0."""

    source: UsageSource = UsageSource.NONE
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None  # of the input, read from the provider's cache
    reasoning_tokens: int | None = None  # of the output
    audio_tokens: int | None = None  # of both
    cache_write_tokens: int | None = None  # of the input, written to the provider's cache
    output_audio_tokens: int | None = None  # of the audio tokens, those of the output


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one provider. A completion has one for each try; `n` counts from 1."""

    n: int
    at_us: int  # Unix time, microseconds
    provider: str
    model: str  # as sent to the provider
    outcome: str  # a Status word, or `unknown` where the relay died during the call
    http_status: int | None = None
    error: str | None = None  # an error code of `errors.Code`
    duration_us: int | None = None
    detail: str | None = None  # the beginning of an error's body, where another attempt followed it


@dataclass(frozen=True, slots=True)
class Start:
    """The START record's header: what is known before the provider is called. The body beside it is the client's."""

    at_us: int  # Unix time, microseconds
    project: str
    endpoint: str
    provider: str  # of the first attempt
    model: str  # as the client asked for it
    sent_model: str  # as sent to the provider at the first attempt
    stream: bool
    step: int  # assistant turns once this call has answered, so 1 for a first turn
    origin: str = Origin.APP
    key: str | None = None  # id of the client's Tailrace key, or a keyed hash of the provider key it brought
    session: str | None = None
    user: str | None = None
    tags: dict[str, str] | None = None
    config: str | None = None  # hash of the settings in force
    dialect: str = "openai"  # of the first attempt's provider
    source: str | None = None  # id of the completion that this one copies: shadow, replay, an answer from the cache
    external_id: str | None = None  # the caller's own id of this call
    trace: str | None = None
    omits: str | None = None  # what is not logged: `request`, `answer` or `both`
    reserved_tokens: int | None = None  # what the key's limits counted it with, to be settled when it is filed
    reserved_micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """The ATTEMPT record's header: attempt `n` >= 2 begins; `previous` says how the one before it ended."""

    n: int
    at_us: int
    provider: str
    model: str
    previous: Attempt
    dialect: str = "openai"


@dataclass(frozen=True, slots=True)
class End:
    """The END record's header. The body beside it is the rest of the answer's bytes, after all PART records."""

    at_us: int
    status: str  # a Status word
    last: Attempt | None  # how the last attempt ended; None where no provider was called
    http_status: int | None  # what the client was answered
    error: str | None = None  # an error code of `errors.Code`
    content_type: str | None = None
    content_encoding: str | None = None
    provider_request_id: str | None = None
    answer_bytes: int = 0  # of the provider's answer, all parts
    first_byte_us: int | None = None  # from the request's arrival to the provider's first body byte
    duration_us: int = 0
    template: str | None = None  # id of the one whose static text the last attempt's provider was not sent
    overhead_us: int | None = None  # duration without the time spent waiting for the provider or the client


@dataclass(frozen=True, slots=True)
class Closed:
    """A completion as the journal gives it back: all its records in order, bodies joined."""

    id: UUID
    owner: str  # the relay worker's incarnation
    stamp: int  # of the START record; orders completions over all workers
    end_stamp: int | None  # of the END record; None where the relay died first
    start: Start
    request: bytes
    retries: tuple[Retried, ...]
    answer: bytes
    end: End | None  # None: the relay died during the call


@dataclass(frozen=True, slots=True)
class Amended:
    """How a completion that was `Closed` before ended after all: its answer was cut because END was not yet durable."""

    id: UUID
    stamp: int
    end: End


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody thought of an answer. `target` names the completion: by our id, the provider's, or the caller's."""

    id: str  # the caller's idempotency key, or a hash of what was said
    at_us: int
    project: str
    key: str | None
    target: str
    source: str  # who says so: `user`, `developer`, a judge's name, …
    score: float | None = None
    thumb: str | None = None  # `up` or `down`
    text: str | None = None
    correction: Json | None = None  # the message that the answer should have been
    tags: dict[str, str] | None = None


LabelValue = Json
"""A label; the labels, as a tuple of strings, of a text that may have several; else what was found, as JSON."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a classifier, or a person, says of the user's new turn in a completion's request. None of these is ever
    changed or deleted: what counts is a person's newest label, else the newest one that is live."""

    id: UUID  # version 7, its own: the same label filed again is the same
    completion: UUID
    at_us: int
    classifier: str
    version: str  # of the classifier: a hash over what changes the meaning of its labels
    source: str  # a LabelSource word
    label: LabelValue | None = None  # None: it could not be labelled, `error` says why
    mode: str = LabelMode.LIVE  # always, where a person says it
    confidence: float | None = None  # a calibrated probability; None is unknown, never 0
    latency_us: int | None = None
    error: str | None = None  # the kind of an answer that was not on the list; never the answer's words
    note: str | None = None  # such as the rules that fired
    who: str | None = None  # the person whose word it is, or on whose word another's label counts again


@dataclass(frozen=True, slots=True)
class Action:
    """What was done, or is to be, because of a label. One record each time its outcome changes."""

    id: UUID  # version 7, of this record
    completion: UUID
    at_us: int
    classifier: str
    version: str
    label: str  # that caused it
    do: str  # a Do word
    key: str  # names the action: records of one action share it, and no two actions of a completion do
    outcome: str  # an Outcome word
    target: str | None = None  # the model, the host, the tag, …
    dry_run: bool = False
    attempts: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """What a version of a classifier is. Only the first one of a version is kept."""

    at_us: int
    classifier: str
    version: str
    definition: Json


@dataclass(frozen=True, slots=True)
class StudentChange:
    """A step of a student's state machine: one record for each transition, with its reason."""

    id: UUID  # version 7, of this record
    at_us: int
    classifier: str
    version: str  # of the classifier
    number: int  # of the student among those of the classifier
    state: str  # a StudentState word
    reason: str
    threshold: float | None = None  # of its confidence, from which on it answers alone
    coverage: float | None = None  # share of texts at or above the threshold
    counts: dict[str, int] | None = None  # what the decision rests on: audits, errors, …
    file: str | None = None  # the student's matrix, inside the data folder


Labelled = Label | Action | Definition | StudentChange
"""What the classifiers write down."""


class ChangeKind(StrEnum):
    """What an administrator did."""

    KEY_CREATED = "key_created"
    KEY_CHANGED = "key_changed"
    KEY_REVOKED = "key_revoked"


@dataclass(frozen=True, slots=True)
class Change:
    """Something an administrator did: a row of the audit, never changed, and what follows from it."""

    id: UUID  # version 7: the same change filed again is the same
    at_us: int
    who: str  # the admin key's id, or `command:` and the user that ran it
    what: str  # a ChangeKind word
    about: str  # the id of what was changed
    details: Json  # its whole new state, of a key


@dataclass(frozen=True, slots=True)
class Gap:
    """Calls that passed without being logged, because the user chose `on_log_failure = "serve"`."""

    at_us: int
    owner: str
    calls: int
    reason: str


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes of the journal, or a completion, that could not be filed; kept whole for a person to look at."""

    at_us: int
    where: str  # segment file and offset, or the step that failed
    reason: str
    raw: bytes
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A message as chains see it: role, text and tool calls, without what clients lose when they echo it."""

    role: str
    text: str
    calls: tuple[tuple[str, str], ...] = field(default=())  # (tool name, canonical arguments)
