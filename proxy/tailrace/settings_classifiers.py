"""The settings of `[classifiers.NAME]` and `[webhooks]`: what a user's turn is labelled by, and what a label does.

Owns the names a user types and what each task takes for granted; `settings_classifier_checks.py` knows what contradicts
what. Rules are expressions of RE2, which take time linear in the text whatever they and the text are: a pattern cannot
hold up the relay.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from tailrace.settings_table import Count, Seconds, Share, Table

NONE: Final = "none"
"""The label that is always possible: no other fits."""

Task = Literal["classification", "multilabel", "sentiment", "ner", "qa", "matching", "extraction"]
Source = Literal["rules", "cache", "student", "llm"]
Mode = Literal["off", "shadow", "live"]
Do = Literal["route", "webhook", "tag", "reply", "note"]

LABELS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "sentiment": {
            "positive": "pleased, grateful or approving",
            "negative": "displeased, critical or upset",
            "neutral": "neither, or both in equal parts",
        },
        "matching": {"match": "both are the same entity", "no_match": "they are different entities"},
        "qa": {"answered": "the question has an answer here"},
    }
)
"""The labels of tasks that bring their own, where a classifier names none."""

_EXPRESSION_BYTES: Final = 1 << 20


def compile_expression(text: str) -> Any:
    """`text` as RE2 compiles it.

    Raises:
        ValueError: it is no expression of RE2, or one of more than a MiB.
    """
    import re2  # noqa: PLC0415 3 MB that no process needs whose settings have no rule

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _EXPRESSION_BYTES
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as exc:
        why = exc.args[0].decode(errors="replace") if isinstance(exc, re2.error) else "no UTF-8"
        raise ValueError(f"an expression of RE2, which has no lookaround and no backreference ({why})") from exc


def _check(text: str) -> str:
    compile_expression(text)
    return text


Expression = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_check)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]


class AppliesTo(Table):
    """Which calls are classified. What is left out does not matter."""

    role: Literal["user", "tool", "assistant"] = "user"
    """Whose new turn it is: the user's, a tool's results, or the answer that the request came upon."""
    step: Annotated[str, Field(pattern=r"^\s*(>=|<=|==|!=|=|>|<)?\s*\d{1,6}\s*$")] | None = None
    """Of the chain, counted from 1: `>=2`, `1`."""
    models: tuple[str, ...] = ()
    """Names that the client asked for."""
    tags: dict[str, str] = Field(default_factory=dict)
    """All of them must stand on the call."""
    endpoints: tuple[Literal["chat.completions", "completions", "responses", "messages"], ...] = ()
    """Endpoints, by their words in the log."""
    projects: tuple[str, ...] = ()
    """Projects."""


class Context(Table):
    """What is seen of the conversation beside the turn itself. Measure before choosing."""

    turns: Annotated[int, Field(ge=0, le=50)] = 2
    """Turns before the user's, the newest ones."""
    chars: Annotated[int, Field(ge=0, le=100_000)] = 600
    """Most characters of them."""
    previous_label: bool = False
    """And the label of the user's turn before."""
    text_chars: Annotated[int, Field(ge=1, le=100_000)] = 4000
    """Most characters of the turn itself; of a longer one its beginning and its end are seen."""


class Rule(Table):
    """A labelling function. All the conditions that it has must hold. Its expressions are RE2's."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    label: Words
    """What it says."""
    any: tuple[Expression, ...] = ()
    """At least one is found in the text."""
    all: tuple[Expression, ...] = ()
    """Each is found in the text."""
    not_: Annotated[tuple[Expression, ...], Field(alias="not")] = ()
    """None is found in the text."""
    exact: tuple[Words, ...] = ()
    """The text is one of these, whatever its case and the space and the punctuation around it."""
    role: Literal["assistant", "tool"] | None = None
    """Who had the word right before: it only counts after a turn of theirs."""


class Examples(Table):
    """Which gold items the model is shown."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    from_: Annotated[Path, Field(alias="from")]
    """A gold file: JSON lines, or CSV with a header; `text` and `label` (`labels`, `entities`, `answer`, …) each."""
    select: Literal["fixed", "similar", "diverse", "similar_diverse"] = "similar_diverse"
    """The first ones, those nearest to the text, those most unlike each other, or near and unlike."""
    count: Annotated[int, Field(ge=0, le=100)] = 8
    """How many."""


class Llm(Table):
    """How a model is asked."""

    model: Words
    """Through the proxy's own routing: an alias, `provider/model`, or a model of the default provider."""
    instructions: Path | None = None
    """A file of your own words, put before the labels."""
    examples: Examples | None = None
    """Not set: none."""
    reasoning: bool = False
    """It thinks first, and answers after that."""
    documents: Path | None = None
    """A folder of `.md` and `.txt` files; the passages that fit the text are shown."""
    passages: Annotated[int, Field(ge=1, le=20)] = 3
    """How many passages of the documents."""
    embeddings: str | None = None
    """A model of embeddings, through the proxy, by which near examples and passages are put in order; else by words."""
    output: Literal["schema", "tool", "text"] = "schema"
    """How the answer is held to the labels: a JSON schema, a tool's call, or words alone for providers without both."""
    logprobs: bool = True
    """Ask for the tokens' probabilities, which confidence comes from. Reasoning models refuse them."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Not set: the provider's own."""
    max_tokens: Count | None = None
    """Most tokens of the answer; not set: the provider's own limit."""


class Action(Table):
    """What a label does. Only live sources do anything."""

    on: Words
    """The label; `none` is one."""
    min_confidence: Share = 0.9
    """Below it, and where a model's label has no confidence at all, nothing happens."""
    do: Do
    """`route` to a model, `reply` with a text, add a `note` before the user's turn, `tag` the call, or a `webhook`."""
    target: Words | None = None
    """Of `route`: the model that takes this call."""
    text: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    """Of `reply` and `note`."""
    url: Words | None = None
    """Of `webhook`; its host must stand in `webhooks.hosts`."""
    tag: Words | None = None
    """Of `tag`: the tag's name; the label is its value."""
    dry_run: bool = False
    """Only log what would have been done."""


class Modes(Table):
    """How far each source may go: `off`, `shadow` (its labels are logged and do nothing) or `live`."""

    rules: Mode = "live"
    """The labelling functions."""
    cache: Mode = "live"
    """Labels given again for the very same text and context."""
    student: Mode = "live"
    """The trained student; it goes live by itself once it keeps `target_agreement`."""
    llm: Mode = "live"
    """The model."""


class Classifier(Table):
    """What a user's new turn is labelled by."""

    task: Task = "classification"
    """What is asked of the text."""
    when: Literal["before", "after"] = "after"
    """Before the call goes to its provider, and then it may route or answer it, or after it, from the log."""
    mode: Mode = "live"
    """`off`, `shadow`: labels are logged and do nothing, or `live`. No source goes further than this."""
    modes: Modes = Modes()
    applies_to: AppliesTo = AppliesTo()
    context: Context = Context()
    labels: dict[str, str] = Field(default_factory=dict)
    """Each label with its definition (an entity's type, an attribute); `none` is always possible. Order is kept."""
    question: str | None = None
    """Of `qa`: what is asked about the text."""
    glossary: dict[str, str] = Field(default_factory=dict)
    """Words of your trade with their meaning; those found in the text are shown to the model."""
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] = 400
    """With `when = "before"`: then the call goes on unlabelled; its label follows."""
    cascade: Annotated[tuple[Source, ...], Field(min_length=1)] = ("rules", "cache", "student", "llm")
    """Who is asked, in this order, until one knows; a source left out is off."""
    target_agreement: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """How often the student must say what the model says before it may answer alone."""
    audit_share: Share = 0.05
    """Share of the chains of which the model labels one turn, after the answer, as a judge of others. 0: no student."""
    audit_after_s: Annotated[float, Field(ge=0)] = 300
    """How long nothing must have been added to a chain before one of its turns may be audited."""
    rule_accuracy: Share = 0.8
    """A rule that is surely less often right than this, by later labels, disables itself."""
    rules: tuple[Rule, ...] = ()
    """Labelling functions; the majority wins, then the first."""
    llm: Llm | None = None
    """Not set: no model is asked."""
    actions: tuple[Action, ...] = ()
    """What the labels do."""

    def definitions(self) -> dict[str, str]:
        """Every label that can come out, in order, with its definition; `none` last unless it was placed elsewhere."""
        named = self.labels or LABELS.get(self.task, {})
        return {**named} if NONE in named else {**named, NONE: "none of the others"}

    def mode_of(self, source: Source) -> Mode:
        """How far `source` may go here."""
        if source not in self.cascade:
            return "off"
        order: tuple[Mode, ...] = ("off", "shadow", "live")
        return min(self.mode, getattr(self.modes, source), key=order.index)


class Webhooks(Table):
    """How actions call webhooks."""

    hosts: tuple[str, ...] = ()
    """`host` or `host:port`: the only places that are called. No redirect is followed."""
    secret: SecretStr | None = None
    """`env:NAME` or `file:/path`: what calls are signed with (HMAC-SHA256, as Standard Webhooks has it)."""
    timeout_s: Seconds = 10
    """For one try."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    """Tries in all, before it is marked as failed."""
    backoff_s: Seconds = 2
    """The wait after the first failed try; doubled with each."""
    backoff_max_s: Seconds = 600
    """Where the doubling ends."""
