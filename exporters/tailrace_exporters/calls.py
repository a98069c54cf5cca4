"""What a recipe's calls need and cost: counted before the first one, held to a budget while they run. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tailrace.records import Json, Usage, UsageSource
from tailrace_exporters.asking import Ask
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Stage

_BYTES_PER_TOKEN = 4

Price = Callable[[str, Usage], float | None]
"""US dollars of a model's call; None where its price is not known."""


def models(recipe: Recipe) -> dict[Stage, str]:
    """The stages of a recipe that ask a model, and which."""
    judge, relabel, paraphrase = recipe.filter.judge, recipe.relabel, recipe.augment.paraphrase
    named = {Stage.JUDGE: judge, Stage.RELABEL: relabel, Stage.PARAPHRASE: paraphrase}
    return {stage: table.model for stage, table in named.items() if table is not None}


def expected(ask: Ask) -> Usage:
    """What a call will use, as far as that can be said before it."""
    return Usage(UsageSource.ESTIMATED, len(ask.body) // _BYTES_PER_TOKEN + 1, ask.output_tokens)


def used(answer: Json) -> Usage | None:
    """What a chat completion says that it used."""
    told = answer.get("usage")
    counts = [told.get(name) if isinstance(told, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    return Usage(UsageSource.PROVIDER, counts[0], counts[1])


class Purse:
    """Money for calls. What runs is held back, so that all calls together stay within the budget.

    A call is held back at what it is expected to use, and its answer can turn out longer: the last calls may pass the
    budget by that much, and no other is begun.
    """

    def __init__(self, budget_usd: float | None) -> None:
        self.spent_usd = 0.0
        self._budget_usd = budget_usd
        self._held_usd = 0.0

    def hold(self, usd: float) -> bool:
        """Hold `usd` back for a call, if there is as much."""
        if self._budget_usd is not None and self.spent_usd + self._held_usd + usd > self._budget_usd:
            return False
        self._held_usd += usd
        return True

    def settle(self, held_usd: float, paid_usd: float) -> None:
        """A call for which `held_usd` was held back has cost `paid_usd`."""
        self._held_usd -= held_usd
        self.spent_usd += paid_usd


@dataclass(slots=True)
class Need:
    """What one stage would ask."""

    calls: int = 0
    found: int = 0  # that have their answer in the log
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0  # None: a price is not known

    def add(self, ask: Ask, price: Price) -> None:
        """One more call."""
        usage = expected(ask)
        usd = price(ask.model, usage)
        self.calls += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cost_usd = None if usd is None or self.cost_usd is None else self.cost_usd + usd

    def as_json(self) -> dict[str, Json]:
        """For machines."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Estimate:
    """What an export would ask, by stage: at most, since a row that one stage drops is not shown to the next."""

    needs: dict[Stage, Need] = field(default_factory=dict)

    def of(self, stage: Stage) -> Need:
        """The need of a stage."""
        return self.needs.setdefault(stage, Need())

    @property
    def calls(self) -> int:
        """Calls in all."""
        return sum(need.calls for need in self.needs.values())

    def as_json(self) -> dict[str, Json]:
        """For machines."""
        return {stage.value: need.as_json() for stage, need in self.needs.items()}

    def told(self) -> list[str]:
        """In words, a line a stage."""
        lines = []
        for stage, need in self.needs.items():
            cost = "at a price that is not known" if need.cost_usd is None else f"{need.cost_usd:,.4f} US dollars"
            lines.append(
                f"{stage}: {need.calls:,} calls at most ({need.found:,} are answered in the log), about "
                f"{need.input_tokens:,} tokens in, {need.output_tokens:,} out, {cost}"
            )
        return lines
