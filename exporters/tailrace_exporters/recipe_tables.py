"""The tables of a recipe: their keys, what each means, and what stands where nothing is said. Values, nothing else."""

import difflib
import json
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, field_validator, model_validator

from tailrace.errors import QueryError
from tailrace.records import Status
from tailrace.store.query import compile_where, parse
from tailrace.store.query.fields import LABEL, NEXT, find, missing
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.rows import Tie, Train, Unit

_US: Final = 10**6


def _moment(value: object) -> object:
    """Microseconds since 1970 from a date or a time, written as TOML's own or in quotes; UTC where no zone is given."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as exc:
            raise ValueError('a date such as "2026-10-01" or a time such as "2026-10-01T12:00:00Z"') from exc
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(aware.timestamp()) * _US + aware.microsecond
    raise ValueError('a date such as "2026-10-01" or a time such as "2026-10-01T12:00:00Z"')


Moment = Annotated[int, BeforeValidator(_moment)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Model = Annotated[str, Field(min_length=1, max_length=256)]
"""A model as the proxy knows it: a name, an alias, or `provider/model`."""
SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Table(BaseModel):
    """A TOML table: frozen, and a key that is not one of ours is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Select(Table):
    """Which completions of the log."""

    where: str | None = None
    """A query, as `tailrace logs` takes it; without it every completion. `origin = app` unless it asks for `origin`."""
    since: Moment | None = None
    """Started at this date or time (UTC) or later."""
    until: Moment | None = None
    """Started before this date or time."""
    students: tuple[str, ...] = ()
    """Shell patterns over `provider/model`, such as `local/*`: the models that were trained from this log."""
    teacher_only: StrictBool = False
    """No answers of `students`: a model does not learn from its own kind."""

    @model_validator(mode="after")
    def _names_students(self) -> "Select":
        if self.teacher_only and not self.students:
            raise ValueError(
                '!teacher_only leaves out the models trained from this log; name them: students = ["local/*"]'
            )
        return self

    @field_validator("where")
    @classmethod
    def _compiles(cls, where: str | None) -> str | None:
        if where is not None and where.strip():
            try:
                compile_where(parse(where))
            except QueryError as exc:
                raise ValueError(f"!{exc}") from exc
            return where
        return None


class Assemble(Table):
    """What becomes a row, and what is learned of it."""

    unit: Unit = Unit.CHAIN
    """`chain`: one conversation a row. `step`: one answer a row, with all that the model saw before it."""
    train: Train = Train.ALL
    """`all`: every selected answer of the conversation. `last`: its last answer only (always so with `step`)."""


class OffScale(StrEnum):
    """What becomes of a row whose judge gave no score of the scale."""

    DROP = "drop"
    KEEP = "keep"


class Judge(Table):
    """A model's opinion of each row, from 1 to 5."""

    model: Model
    rubric: str
    """A file beside the recipe that says what the scores mean."""
    keep_at_least: Annotated[int, Field(ge=1, le=5)] = 4
    """Rows with a lower score are dropped, as `score:N`."""
    off_scale: OffScale = OffScale.DROP
    """Of a row whose judge answered something else than a score: `drop` it as `off_scale`, or `keep` it."""


class Filter(Table):
    """Which answers may be learned; each one that may not is counted with its reason."""

    finish: tuple[Word, ...] = ("stop", "tool_calls")
    """Finish reasons; `none` stands for an answer without one."""
    status: tuple[Status, ...] = (Status.OK,)
    """How the completion ended. With anything but `ok`, answers that were cut are learned as if they were whole."""
    obeys_schema: StrictBool = Field(default=False, alias="schema")
    """The answer obeys its own `response_format`, and the arguments of its tool calls their tool's parameters."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of a row: as the provider counted them, else by `tokenizer`, else a quarter of its characters."""
    tokenizer: str | None = None
    """A `tokenizer.json` beside the recipe, for rows whose provider did not count."""
    judge: Judge | None = None
    """Each row is scored by a model against a rubric, and kept from a score on."""

    @model_validator(mode="after")
    def _counts_for_something(self) -> "Filter":
        if self.tokenizer is not None and self.max_tokens is None:
            raise ValueError("!tokenizer counts rows for max_tokens; give max_tokens, or leave tokenizer out")
        return self


class Secrets(StrEnum):
    """What becomes of a row that holds a secret."""

    REFUSE = "refuse"  # it ends the export
    DROP = "drop"
    MASK = "mask"


class Personal(StrEnum):
    """What becomes of e-mail addresses, telephones, cards and account numbers."""

    KEEP = "keep"
    MASK = "mask"
    PSEUDONYM = "pseudonym"


class Scope(StrEnum):
    """Within what a value has one pseudonym."""

    CHAIN = "chain"
    DATASET = "dataset"


class Scrub(Table):
    """What must not be learned; the table is there where it is asked for."""

    secrets: Secrets = Secrets.REFUSE
    """API keys, tokens, private keys, passwords: `refuse` ends the export, `drop` the row, `mask` replaces them."""
    personal: Personal = Personal.MASK
    """E-mail addresses, telephones, cards, account numbers: `pseudonym` puts others of the same shape there."""
    addresses: StrictBool = False
    """Public IP addresses are personal, too."""
    key: str | None = None
    """Of pseudonyms: `env:NAME` or `file:/path`. At least 16 characters; the same key gives the same pseudonyms."""
    scope: Scope = Scope.CHAIN
    """`chain`: a value has one pseudonym in a conversation, and another elsewhere. `dataset`: one everywhere."""

    @model_validator(mode="after")
    def _has_its_key(self) -> "Scrub":
        if (self.personal is Personal.PSEUDONYM) != (self.key is not None):
            raise ValueError(
                '!pseudonyms need a key, and nothing else does: personal = "pseudonym", key = "env:TAILRACE_SCRUB_KEY"'
            )
        return self


class Keep(StrEnum):
    """Which of rows that are nearly the same go on."""

    FIRST = "first"
    ALL = "all"  # in one split


class Near(Table):
    """Rows that say nearly the same; the table is there where it is asked for."""

    jaccard: Annotated[float, Field(ge=0.6, le=1)]
    """How alike, from 0 to 1: what both say, of all that either says. It must hold of turns and of answers."""
    keep: Keep = Keep.FIRST
    """`first`: a row that is near an earlier one goes. `all`: both stay, in one split."""


class Dedupe(Table):
    """Rows that say the same."""

    exact: StrictBool = True
    """Of rows with equal messages, tools and training marks, keep the first in log order."""
    near: Near | None = None
    """What becomes of rows that say nearly the same; they are not looked for without it."""


class Decontaminate(Table):
    """What models are tested with must not be learned; the table is there where it is asked for."""

    against: Annotated[tuple[str, ...], Field(min_length=1)]
    """Eval sets beside the recipe: JSON lines, CSV, or the folder of an export that has a test split."""
    ngram: Annotated[int, Field(ge=3, le=100)] = 13
    """How many words in a row a row may not share with an item."""


class PrunedBy(Table):
    """By which templates rows are pruned; the table is there where it is asked for."""

    file: str
    """A file of `tailrace export templates`, beside the recipe."""
    prune: StrictBool = True
    """Rows go on without the static text of their template. Without it they are only counted."""


class Balance(Table):
    """No value too often; the table is there where it is asked for."""

    by: str
    """A field of the query language, of the row's last completion: `label.NAME`, `next.label.NAME`, `tags.NAME`, …"""
    max_ratio: Annotated[float, Field(ge=1)] = 3.0
    """In each split no value has more rows than so many times those of the rarest one."""

    @field_validator("by")
    @classmethod
    def _is_a_field(cls, by: str) -> str:
        field = find(by)
        if field is None:
            raise ValueError(f"!unknown field {json.dumps(by)}; {missing(by)}")
        if field.among is not None and not by.removeprefix(NEXT).startswith(LABEL):
            raise ValueError(f"!a completion may have several of {by}; give a field of which it has one")
        return by


class Split(Table):
    """Names of splits and their shares, which add up to 1; their order matters to the assignment."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[SplitName, Annotated[float, Field(gt=0, le=1)]] = Field(init=False)

    by: tuple[Tie, ...] = ()
    """What must not be in two splits, beside a chain: the rows of a `user`, of a `session`."""

    @property
    def shares(self) -> dict[str, float]:
        """By name, in order; all rows are in `train` where the recipe says nothing."""
        return self.__pydantic_extra__ or {"train": 1.0}

    @model_validator(mode="after")
    def _is_whole(self) -> "Split":
        total = sum(self.shares.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"!the shares add up to {total:.9g}; make them add up to 1")
        if len(set(self.by)) < len(self.by):
            raise ValueError("!by names the same twice; name each once")
        return self


class TeacherTerms(StrEnum):
    """What becomes of a row whose teacher's terms forbid training with its words."""

    STRICT = "strict"  # it ends the export
    WARN = "warn"  # the manifest says so


class Policy(Table):
    """Whose words may be learned, by a dated table of providers' terms and models' licences."""

    teacher_terms: TeacherTerms = TeacherTerms.WARN
    """`strict`: a row that its teacher's terms forbid ends the export. `warn`: the manifest says so."""
    table: str | None = None
    """A file beside the recipe with entries that come before the shipped table's (`terms.toml`)."""


class Write(Table):
    """What is written."""

    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("openai-chat",)
    """Targets; `tailrace export formats` lists them."""
    shard_rows: Annotated[int, Field(ge=1)] | None = None
    """Most rows in a file; `train-00000.jsonl`, `train-00001.jsonl`, … instead of `train.jsonl`."""

    training_usd_per_million: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """What a target asks for a million training tokens, by format: the manifest then says what one epoch costs."""

    @model_validator(mode="after")
    def _prices_what_is_written(self) -> "Write":
        for name in self.training_usd_per_million:
            if name not in self.formats:
                raise ValueError(f"!training_usd_per_million: {json.dumps(name)} is not among the formats written")
        return self

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            if name not in FORMATS:
                raise ValueError(f"!unknown format {json.dumps(name)}; {closest(name, list(FORMATS))}")
        if len(set(formats)) < len(formats):
            raise ValueError("!a format is named twice; name each once")
        return formats


def closest(name: str, known: list[str]) -> str:
    """What a person who typed `name` meant, or all there is."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known here are: {', '.join(known)}"
