"""The store's tables. Owns their shape and nothing else; `migrations/` holds how a store gets there.

    message ◀── node ◀──── completion ──▶ chain        one message is stored once, however many steps repeat it
                             │  ▲
           shape ◀───────────┤  ├── attempt            one row per call of a provider
     (params, context,       │  ├── choice             further choices of `n > 1`
      answer envelope)       │  └── raw                bytes where the parts cannot be proven to rebuild them
                             └─ id (UUIDv7), seq (order of filing: the watermark of an export)

Ids inside the store are integers, handed out by the one writer: a reference then takes 2 to 5 bytes where a hash would
take 16, and pages fill in order where random keys leave a third of them empty. Content is found by its hash
(`message.hash`, `shape.hash`: BLAKE2b-128 keyed by project, so nothing is shared or inferable between projects) or by
its path (`node`: parent and message). Bodies are JSON, as it is or as a zstd frame; a zstd frame begins with `(`, which
no JSON does. Times are microseconds since 1970 on the journal's clock, durations microseconds, unknown is NULL.
"""

from typing import ClassVar, Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

_WITHOUT_ROWID = {"sqlite_with_rowid": False}


class Message(SQLModel, table=True):
    """One distinct message or tool schema of a project: canonical JSON."""

    __tablename__: ClassVar[str] = "message"

    id: int = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    body: bytes


class Node(SQLModel, table=True):
    """One distinct path of non-system messages: the path `parent` and then `message`. 0 is the empty path."""

    __tablename__: ClassVar[str] = "node"
    __table_args__ = (Index("node_path", "parent", "message", unique=True),)

    id: int = Field(primary_key=True)
    parent: int
    message: int


class Shape(SQLModel, table=True):
    """One distinct frame of a request or an answer: JSON that most calls of an application have in common."""

    __tablename__: ClassVar[str] = "shape"

    id: int = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    body: bytes


class Chain(SQLModel, table=True):
    """One conversation. `key` is the id of its first completion and its name outside the store."""

    __tablename__: ClassVar[str] = "chain"

    id: int = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    project: str
    started_us: int = Field(sa_type=BigInteger)
    last_us: int = Field(sa_type=BigInteger)
    completions: int
    steps: int


class CompletionRow(SQLModel, table=True):
    """One client request. A column for every field that anyone filters or sorts by.

    `link_answer` and `link_pair` (half a hash) are what a continuation will look for; `link_parent` is what this one
    awaits, NULL once the completion with that conversation is found (see `chains.links`).
    """

    __tablename__: ClassVar[str] = "completion"
    __table_args__ = (
        Index("completion_chain", "chain"),
        Index("completion_link_answer", "link_answer", "children", sqlite_where=text("link_answer IS NOT NULL")),
        Index("completion_link_pair", "link_pair", sqlite_where=text("link_pair IS NOT NULL")),
        Index("completion_awaited", "link_parent", sqlite_where=text("link_parent IS NOT NULL")),
        Index("completion_session", "session", sqlite_where=text("session IS NOT NULL")),
        Index("completion_user", "user", sqlite_where=text('"user" IS NOT NULL')),
        Index("completion_answer_id", text("substr(answer_id, -8)"), sqlite_where=text("answer_id IS NOT NULL")),
        Index("completion_external_id", "external_id", sqlite_where=text("external_id IS NOT NULL")),
        Index("completion_source", "source", sqlite_where=text("source IS NOT NULL")),
    )

    seq: int = Field(primary_key=True)
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    started_us: int = Field(sa_type=BigInteger)
    duration_us: int | None = Field(default=None, sa_type=BigInteger)
    first_byte_us: int | None = Field(default=None, sa_type=BigInteger)
    overhead_us: int | None = Field(default=None, sa_type=BigInteger)
    project: str
    key: str | None = None
    endpoint: str
    origin: str
    provider: str
    model: str
    served_model: str | None = None
    status: str
    error: str | None = None
    http_status: int | None = None
    finish_reason: str | None = None
    stream: bool
    attempts: int
    step: int
    chain: int
    parent: int | None = None
    relation: str
    link_kind: str | None = None
    children: int = 0
    link_answer: bytes | None = None
    link_parent: bytes | None = None
    link_pair: bytes | None = None
    params: int
    context: int | None = None
    prompt_node: int
    answer_node: int | None = None
    answer_shape: int | None = None
    answer_values: bytes | None = None
    answer_id: str | None = None
    request_id: str | None = None
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    audio_tokens: int | None = Field(default=None, sa_type=BigInteger)
    usage_source: str
    cost_usd: float | None = None
    session: str | None = None
    user: str | None = None
    tags: str | None = None
    config: str | None = None
    cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_audio_tokens: int | None = Field(default=None, sa_type=BigInteger)
    dialect: str | None = None
    source: bytes | None = None
    external_id: str | None = None
    trace: str | None = None
    omits: str | None = None


class Choice(SQLModel, table=True):
    """A further choice (`index` >= 1) of a completion with `n > 1`."""

    __tablename__: ClassVar[str] = "choice"
    __table_args__ = (Index("choice_link", "link_answer"), _WITHOUT_ROWID)

    completion: int = Field(primary_key=True)
    index: int = Field(primary_key=True)
    node: int
    finish_reason: str | None = None
    link_answer: bytes | None = None


class AttemptRow(SQLModel, table=True):
    """One call of one provider."""

    __tablename__: ClassVar[str] = "attempt"
    __table_args__ = (_WITHOUT_ROWID,)

    completion: int = Field(primary_key=True)
    n: int = Field(primary_key=True)
    started_us: int = Field(sa_type=BigInteger)
    provider: str
    model: str
    outcome: str
    http_status: int | None = None
    error: str | None = None
    duration_us: int | None = Field(default=None, sa_type=BigInteger)
    detail: str | None = None


class Feedback(SQLModel, table=True):
    """What somebody thought of an answer. `completion` is NULL until the one that `target` names is filed."""

    __tablename__: ClassVar[str] = "feedback"
    __table_args__ = (
        Index("feedback_completion", "completion", sqlite_where=text("completion IS NOT NULL")),
        Index("feedback_waiting", "target", sqlite_where=text("completion IS NULL")),
    )

    seq: int = Field(primary_key=True)
    id: str = Field(unique=True)
    at_us: int = Field(sa_type=BigInteger)
    project: str
    key: str | None = None
    target: str
    completion: int | None = None
    source: str
    score: float | None = None
    thumb: str | None = None
    text: str | None = None
    correction: bytes | None = None
    tags: str | None = None


class LabelRow(SQLModel, table=True):
    """What a classifier or a person says of a completion's new turn. Never changed; which counts, `rank` says.

    `completion` is an id and no number, as a label may be filed before its completion. `text` is what queries compare:
    the label, several labels with a line each, or the JSON of what was found; `value` is the label as JSON.
    """

    __tablename__: ClassVar[str] = "label"
    __table_args__ = (
        Index("label_completion", "completion", "classifier", "rank"),
        Index("label_classifier", "classifier", "mode"),
        Index("label_human", "classifier", sqlite_where=text("source = 'human'")),
    )

    seq: int = Field(primary_key=True)
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    at_us: int = Field(sa_type=BigInteger)
    completion: bytes
    classifier: str
    version: str
    source: str
    mode: str
    rank: int
    text: str | None = None
    value: bytes | None = None
    confidence: float | None = None
    latency_us: int | None = Field(default=None, sa_type=BigInteger)
    error: str | None = None
    note: str | None = None
    who: str | None = None


class ActionRow(SQLModel, table=True):
    """What was done, or was to be, because of a label: a row each time its outcome changed, and the newest counts."""

    __tablename__: ClassVar[str] = "action"
    __table_args__ = (
        Index("action_completion", "completion", "key"),
        Index("action_open", "at_us", sqlite_where=text("do = 'webhook' AND outcome IN ('planned', 'retried')")),
    )

    seq: int = Field(primary_key=True)
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    at_us: int = Field(sa_type=BigInteger)
    completion: bytes
    classifier: str
    version: str
    label: str
    do: str
    key: str
    outcome: str
    target: str | None = None
    dry_run: bool
    attempts: int
    error: str | None = None


class ClassifierVersion(SQLModel, table=True):
    """One version of a classifier, and when it was first met. `definition` is JSON, NULL until it is told."""

    __tablename__: ClassVar[str] = "classifier_version"
    __table_args__ = (_WITHOUT_ROWID,)

    name: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    first_us: int = Field(sa_type=BigInteger)
    definition: bytes | None = None


class StudentRow(SQLModel, table=True):
    """A transition of a student's state machine; the newest of a classifier is its state."""

    __tablename__: ClassVar[str] = "student"
    __table_args__ = (Index("student_classifier", "classifier"),)

    seq: int = Field(primary_key=True)
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    at_us: int = Field(sa_type=BigInteger)
    classifier: str
    version: str
    number: int
    state: str
    reason: str
    threshold: float | None = None
    coverage: float | None = None
    counts: str | None = None
    file: str | None = None


class Raw(SQLModel, table=True):
    """The bytes of a `request` or an `answer` whose parts cannot be proven to rebuild it, and why."""

    __tablename__: ClassVar[str] = "raw"
    __table_args__ = (_WITHOUT_ROWID,)

    completion: int = Field(primary_key=True)
    side: str = Field(primary_key=True)
    reason: str
    body: bytes


class GapRow(SQLModel, table=True):
    """Calls that passed without being logged, by the user's choice."""

    __tablename__: ClassVar[str] = "gap"

    id: int | None = Field(default=None, primary_key=True)
    at_us: int = Field(sa_type=BigInteger)
    owner: str
    calls: int
    reason: str


class DeadLetter(SQLModel, table=True):
    """What could not be filed: raw bytes, from where, and why."""

    __tablename__: ClassVar[str] = "dead_letter"

    id: int | None = Field(default=None, primary_key=True)
    at_us: int = Field(sa_type=BigInteger)
    completion: bytes | None = None
    source: str
    reason: str
    raw: bytes


class ApiKey(SQLModel, table=True):
    """A key as it stands after the last change of it. `state` is `keys.key_json`; a revoked key stays."""

    __tablename__: ClassVar[str] = "api_key"

    id: str = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    changed_us: int = Field(sa_type=BigInteger)
    state: bytes


class Audit(SQLModel, table=True):
    """What administrators did, a row each, only ever added to."""

    __tablename__: ClassVar[str] = "audit"

    seq: int = Field(primary_key=True)
    id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    at_us: int = Field(sa_type=BigInteger)
    who: str
    what: str
    about: str
    details: bytes


class Migration(SQLModel, table=True):
    """Which numbered migrations this store has."""

    __tablename__: ClassVar[str] = "migration"

    number: int = Field(primary_key=True)
    name: str
    applied_us: int = Field(sa_type=BigInteger)


TABLES: Final = SQLModel.metadata.tables
"""The tables by name, for batch statements."""
