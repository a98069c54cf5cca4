"""The values that pass between the stages. No I/O, nothing of the store but what a completion is.

Completion (+ Exchange) ── filter, assemble ──▶ Row ── stages ──▶ Row ── dedupe, split ──▶ Placed ── formats ──▶ lines
                └──────────────┴─────────────────────────┴───────────────────┴────────────┴──▶ Dropped, with its reason
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tailrace.records import Json
from tailrace.store.rebuild import Exchange as Exchange  # noqa: PLC0414 - the stages know it as theirs


class Unit(StrEnum):
    """What becomes one row."""

    CHAIN = "chain"  # a conversation
    STEP = "step"  # an answer, with all that the model saw before it


class Train(StrEnum):
    """Which of a conversation's answers are learned."""

    ALL = "all"
    LAST = "last"


class Tie(StrEnum):
    """What may hold rows together beside their chain; the words are columns of the store."""

    USER = "user"
    SESSION = "session"


class Kind(StrEnum):
    """What a trainer does with a row."""

    CONVERSATION = "conversation"  # learns the marked answers
    PREFERENCE = "preference"  # learns to prefer the last message to another one in its place
    JUDGED = "judged"  # learns the last message, or to avoid it


class Stage(StrEnum):
    """Where a completion or a row can be made or dropped; the words of the ledger, in order."""

    FILTER = "filter"
    ASSEMBLE = "assemble"
    MINE = "mine"
    CHECK = "check"
    JUDGE = "judge"
    RELABEL = "relabel"
    PRUNE = "prune"
    PARAPHRASE = "paraphrase"
    SCRUB = "scrub"
    DEDUPE = "dedupe"
    NEAR = "near"
    DECONTAMINATE = "decontaminate"
    SPLIT = "split"
    AUGMENT = "augment"
    POLICY = "policy"
    BALANCE = "balance"
    WRITE = "write"


class Completion(Protocol):
    """What the stages read of a logged completion; a row of the store is one."""

    @property
    def seq(self) -> int: ...
    @property
    def id(self) -> bytes: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def omits(self) -> str | None: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def served_model(self) -> str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def link_answer(self) -> bytes | None: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def usage_source(self) -> str: ...
    @property
    def cost_usd(self) -> float | None: ...
    @property
    def started_us(self) -> int: ...
    @property
    def tags(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Labelled:
    """The label of one classifier that counts for the user's new turn in the head's request."""

    classifier: str
    label: Json
    confidence: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known against, or for, the last message of a row that is no plain conversation."""

    reason: str
    """How it came to be known: a word of the miner's."""
    confidence: float | None
    wanted: bool = True
    """Whether the last message is how the model should answer; always so beside a `rejected` one."""
    rejected: Json | None = None
    """The message that is not to be preferred, in a row of kind `preference`."""
    rejected_by: tuple[Completion, ...] = ()
    """The completions that gave it."""


@dataclass(frozen=True, slots=True)
class Made:
    """One thing that was done to a row's words: a row with any is synthetic or rewritten, and says so."""

    stage: Stage
    by: str
    """`provider/model` of the generator; the id of the template that was pruned; …"""
    answers: tuple[bytes, ...] = ()
    """Ids of the completions, in the log, that gave the new words."""
    depth: int = 0
    """Generations of models between the row's words and the logged ones; 0 where no model wrote them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A canonical row: a conversation in OpenAI's shape, tool arguments as text, and what is learned of it."""

    head: Completion
    """The completion whose request and answer the conversation is."""
    messages: Sequence[Json]
    tools: Json | None
    response_format: Json | None
    parallel_tool_calls: Json | None
    train: tuple[bool, ...]
    """For each message whether it is learned; only recorded answers are."""
    learned: tuple[Completion, ...]
    """The completions that gave the learned answers, in the conversation's order; the head among them."""
    context: tuple[Completion, ...] = ()
    """Those that gave the other recorded answers in it: learned in another row, or not at all."""
    kind: Kind = Kind.CONVERSATION
    judgement: Judgement | None = None
    """There where the kind is `preference` or `judged`."""
    labels: tuple[Labelled, ...] = ()
    """By classifier name; empty where nothing in the recipe asks for labels."""
    balance: str | None = None
    """What `[balance]` goes by; None where the recipe has none, or the row has no such value."""
    made: tuple[Made, ...] = ()
    tags: Json | None = None
    """The head's, as they may be shown."""
    chain: bytes = b""
    """Id of the completion that the chain starts with; there for the stages that scrub."""
    alike: bytes | None = None
    """What duplicates are known by in place of the content, where scrubbing gave equal rows different pseudonyms."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A row with its hash and its split."""

    row: Row
    hash: bytes
    split: str
    chain: bytes
    """Id of the completion that the chain starts with."""
    group: bytes
    """Id of the first completion, in log order, of all that must stand in one split with this row."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What does not go on, and why."""

    stage: Stage
    reason: str
    completions: tuple[Completion, ...]
    """Those it costs: before a row is made each is counted, afterwards the one row is."""
    pointer: str | None = None
    """JSON pointer into the canonical row, where a part of it is the reason."""
    by: str | None = None
    """What it met, where something else is the reason."""


def teacher(completion: Completion) -> str:
    """Which model gave the answer: `provider/model`, as the provider names it where it does."""
    return f"{completion.provider}/{completion.served_model or completion.model}"


def teachers(row: Row) -> list[str]:
    """Whose words are learned from a row, sorted: those of its learned answers, and of models that made new ones."""
    generators = (made.by for made in row.made if made.answers)
    answered_again = any(made.stage is Stage.RELABEL for made in row.made)  # then only the new answer is learned
    logged = () if answered_again else row.learned
    return sorted({*(teacher(completion) for completion in logged), *generators})


def id_text(raw: bytes) -> str:
    """A completion's id as people see it: a UUID."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
