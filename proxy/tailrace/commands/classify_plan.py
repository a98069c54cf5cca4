"""What a bulk run will ask, what that will cost and how long it will take: told before the first call.

Rules and repeated texts are counted exactly. Tokens are those of requests that are really built, of a sample; the
words of an answer and the time that it takes are those of the model's latest labels in the log, where there are any.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.cascade import Cascade
from tailrace.classify.turn import Subject
from tailrace.commands.classify_chosen import asks_model
from tailrace.errors import Refused, UserError
from tailrace.prices import Prices
from tailrace.records import Json, Origin, Status, Usage, UsageSource
from tailrace.relay.routing import plan
from tailrace.settings import Settings
from tailrace.store import read
from tailrace.store.query.fields import COMPLETION

_SAMPLE: Final = 64
_SEEN: Final = 200_000
"""Texts that are told apart from repeated ones."""
_LATEST: Final = 200
_LOOKED_AT: Final = 50_000
_BYTES_PER_TOKEN: Final = 4
_ANSWER_TOKENS: Final = 12
_REASONING_TOKENS: Final = 150


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's latest labels: the answers' tokens and how long a call took."""

    output_tokens: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run amounts to."""

    items: int
    by_rules: int
    repeated: int  # the same text in the same context stood before
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None  # None: the model has no price
    time_s: float | None  # None: the model has not labelled lately

    def as_json(self) -> dict[str, Json]:
        """For machines."""
        return {name: getattr(self, name) for name in self.__slots__}

    def told(self) -> str:
        """In words."""
        if not self.calls:
            return f"{self.items:,} turns; no model is asked."
        cost = "at a price that is not known" if self.cost_usd is None else f"about {self.cost_usd:,.4f} US dollars"
        time = "" if self.time_s is None else f", {max(1, round(self.time_s)):,} s"
        known = f" ({self.by_rules:,} by rules, {self.repeated:,} repeated)" if self.by_rules or self.repeated else ""
        return (
            f"{self.items:,} turns{known}, {self.calls:,} calls: about {self.input_tokens:,} tokens in, "
            f"{self.output_tokens:,} out, {cost}{time}."
        )


@dataclass(slots=True)
class Planner:
    """Looks at the texts of a run before it, one after the other."""

    cascade: Cascade
    items: int = 0
    by_rules: int = 0
    repeated: int = 0
    calls: int = 0
    _bytes: list[int] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)

    def look(self, subject: Subject) -> None:
        """One more text."""
        self.items += 1
        ready = self.cascade.ready
        quick = self.cascade.at_once(subject).said
        self.by_rules += quick is not None
        if not asks_model(ready):
            return
        if quick is not None and ready.settings.mode_of("llm") == "live":
            return
        if ready.settings.mode_of("cache") == "live" and self._stood_before(ready.key(subject)):
            self.repeated += 1
            return
        self.calls += 1
        if len(self._bytes) < _SAMPLE:
            self._bytes.append(len(orjson.dumps(ready.body(subject))))

    def call_usage(self, measured: Measured | None) -> Usage:
        """What one call uses."""
        llm = self.cascade.ready.settings.llm
        guessed = _REASONING_TOKENS if llm is not None and llm.reasoning else _ANSWER_TOKENS
        out = guessed if measured is None else measured.output_tokens
        into = fmean(self._bytes) / _BYTES_PER_TOKEN if self._bytes else 0
        return Usage(UsageSource.ESTIMATED, round(into), max(1, round(out)))

    def estimate(self, price: Callable[[Usage], float | None], measured: Measured | None, concurrency: int) -> Estimate:
        """All of it together."""
        usage = self.call_usage(measured)
        cost = price(usage) if self.calls else 0.0
        return Estimate(
            items=self.items,
            by_rules=self.by_rules,
            repeated=self.repeated,
            calls=self.calls,
            input_tokens=self.calls * (usage.input_tokens or 0),
            output_tokens=self.calls * (usage.output_tokens or 0),
            cost_usd=None if cost is None else cost * self.calls,
            time_s=None if measured is None else self.calls * measured.latency_s / concurrency,
        )

    def _stood_before(self, key: bytes) -> bool:
        if key in self._seen:
            return True
        if len(self._seen) < _SEEN:
            self._seen.add(key)
        return False


class Price:
    """What a model costs, by the first provider that takes its calls."""

    def __init__(self, settings: Settings, model: str, *, now_us: int, of: str = "the classifier's model") -> None:
        """`of`: what the model is to the user. Raises UserError: no provider has such a model."""
        try:
            self._target = plan(settings, model, b"").targets[0]
        except Refused as refused:
            raise UserError(f"{of}: {refused.message}") from refused
        self._prices = Prices(settings)
        self._now_us = now_us

    def __call__(self, usage: Usage) -> float | None:
        """US dollars; None where the price is unknown."""
        target = self._target
        return self._prices.cost_usd(
            usage, provider=target.provider, model=target.model, served=None, at_us=self._now_us
        )


async def measured(connection: AsyncConnection, model: str) -> Measured | None:
    """How the model has labelled lately; None where it has not."""
    high = await read.watermark(connection)
    lately = read.Selection(
        (COMPLETION.c.model == model) & (COMPLETION.c.status == Status.OK.value),
        after_seq=max(0, high - _LOOKED_AT), origin=Origin.CLASSIFIER, order=read.Order.NEWEST_FIRST, limit=_LATEST,
    )  # fmt: skip
    rows = await read.page(connection, lately)
    times = [row.duration_us for row in rows if row.duration_us is not None]
    if not times:
        return None
    out = [row.output_tokens for row in rows if row.output_tokens is not None]
    return Measured(fmean(out) if out else _ANSWER_TOKENS, median(times) / 1e6)
