"""What a completion cost. The configured price first, else genai-prices' (its data is in its wheel), else unknown.

genai-prices reckons a call in 110 µs. So what it says of a model is kept, and a price that is linear in the tokens, as
nearly all are, is multiplied here; one with tiers is still reckoned there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tailrace.bounded import Bounded
from tailrace.records import Usage
from tailrace.settings import SIMULATED, Price, Settings

_MILLION: Final = 1e6
_DAY_US: Final = 86_400_000_000
_KNOWN: Final = 4096

Reckon = Callable[[Usage], float | None]


@dataclass(frozen=True, slots=True)
class Linear:
    """US dollars a million tokens, by kind. What of the input is cached or audio is priced as such, not twice."""

    input: float
    output: float
    cached: float
    cache_write: float
    input_audio: float
    output_audio: float

    def __call__(self, usage: Usage) -> float | None:
        """US dollars for `usage`; None where it has no counts."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        audio_out = usage.output_audio_tokens or 0
        audio_in = max(0, (usage.audio_tokens or 0) - audio_out)
        plain_in = max(0, (usage.input_tokens or 0) - cached - written - audio_in)
        plain_out = max(0, (usage.output_tokens or 0) - audio_out)
        dollars = (
            plain_in * self.input
            + cached * self.cached
            + written * self.cache_write
            + audio_in * self.input_audio
            + plain_out * self.output
            + audio_out * self.output_audio
        )
        return dollars / _MILLION


class Prices:
    """The prices in force. Not for use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: Bounded[tuple[str, str, int], tuple[Reckon | None]] = Bounded(_KNOWN)

    def cost_usd(self, usage: Usage, *, provider: str, model: str, served: str | None, at_us: int) -> float | None:
        """What `usage` of a provider's `model` cost at the time `at_us`; None where that is unknown.

        `served` is the model as the provider named it in its answer, which is more exact.
        """
        if provider == SIMULATED and not self._settings.prices:
            return None
        key = (provider, served or model, at_us // _DAY_US)
        known = self._known.get(key)
        if known is None:
            known = (self._find(provider, model, served, at_us),)
            self._known.put(key, known)
        return None if known[0] is None else known[0](usage)

    def _find(self, provider: str, model: str, served: str | None, at_us: int) -> Reckon | None:
        for name in (model, served):
            price = None if name is None else self._settings.price_of(provider, name)
            if price is not None:
                return _configured(price)
        table = self._settings.providers.get(provider)
        if table is None:
            return None
        for name in (served, model):
            found = None if name is None else _published(name, table.base_url, at_us)
            if found is not None:
                return found
        return None


def _configured(price: Price) -> Linear:
    into, out = price.input_usd_per_mtok, price.output_usd_per_mtok

    def either(value: float | None, default: float) -> float:
        return default if value is None else value

    return Linear(
        input=into,
        output=out,
        cached=either(price.cached_input_usd_per_mtok, into),
        cache_write=either(price.cache_write_usd_per_mtok, into),
        input_audio=either(price.input_audio_usd_per_mtok, into),
        output_audio=either(price.output_audio_usd_per_mtok, out),
    )


def _published(model: str, base_url: str, at_us: int) -> Reckon | None:
    """What genai-prices says of the model of the provider at `base_url`."""
    from genai_prices import data_snapshot  # noqa: PLC0415 - 11 MB that a writer without priced calls does not need

    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    try:
        _, info = data_snapshot.get_snapshot().find_provider_model(model, None, None, base_url)
        prices = info.get_prices(at)
    except LookupError:  # a provider or a model that it does not know
        return None
    values = {name: getattr(prices, name, None) for name in _FIELDS}
    if values["input_mtok"] is None and values["output_mtok"] is None:
        return None
    if any(value is not None and not isinstance(value, Decimal) for value in values.values()):
        return lambda usage: _tiered(prices, usage)
    return _linear(values)


_FIELDS: Final = (
    "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "input_audio_mtok", "output_audio_mtok",
)  # fmt: skip


def _linear(values: Mapping[str, Decimal | None]) -> Linear:
    def of(name: str, default: float) -> float:
        value = values[name]
        return default if value is None else float(value)

    into, out = of("input_mtok", 0.0), of("output_mtok", 0.0)
    return Linear(
        input=into,
        output=out,
        cached=of("cache_read_mtok", into),
        cache_write=of("cache_write_mtok", into),
        input_audio=of("input_audio_mtok", into),
        output_audio=of("output_audio_mtok", out),
    )


def _tiered(prices: Any, usage: Usage) -> float | None:
    from genai_prices import Usage as Counts  # noqa: PLC0415 - as above

    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    audio_out = usage.output_audio_tokens or 0
    counts = Counts(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=usage.cached_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
        input_audio_tokens=max(0, (usage.audio_tokens or 0) - audio_out),
        output_audio_tokens=audio_out,
    )
    return float(prices.calc_price(counts)["total_price"])
