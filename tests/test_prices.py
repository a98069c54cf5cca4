"""What a completion costs: the user's price, the published one, or unknown; and estimates marked as such."""

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from genai_prices import Usage as Counts
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from tailrace.prices import Linear, Prices
from tailrace.records import Usage, UsageSource
from tailrace.settings import Price, Provider, Settings
from tailrace.writer.prepare import prepare
from tests.bench.made import BORN_US, conversations

PROVIDERS = {
    "openai": Provider(base_url="https://api.openai.com/v1"),
    "claude": Provider(base_url="https://api.anthropic.com/v1", dialect="anthropic"),
    "google": Provider(base_url="https://generativelanguage.googleapis.com/v1beta", dialect="gemini"),
    "own": Provider(base_url="http://127.0.0.1:8000/v1"),
}
MODELS = [
    ("openai", "gpt-5-mini", "openai"),
    ("openai", "gpt-4o-audio-preview", "openai"),
    ("claude", "claude-sonnet-4-5", "anthropic"),  # with tiers
    ("google", "gemini-2.5-pro", "google"),  # with tiers
]


def cost(
    usage: Usage, provider: str, model: str, *, served: str | None = None, settings: Settings | None = None
) -> float | None:
    prices = Prices(settings or Settings(providers=PROVIDERS))
    return prices.cost_usd(usage, provider=provider, model=model, served=served, at_us=BORN_US)


@pytest.mark.parametrize(("provider", "model", "published"), MODELS)
@pytest.mark.parametrize("tokens", [1_000, 150_000, 400_000])
def test_published_prices_are_those_of_genai_prices(provider: str, model: str, published: str, tokens: int) -> None:
    usage = Usage(UsageSource.PROVIDER, tokens, 500, cached_tokens=tokens // 4)
    theirs = calc_price(
        Counts(input_tokens=tokens, output_tokens=500, cache_read_tokens=tokens // 4), model, provider_id=published
    ).total_price
    ours = cost(usage, provider, model)
    assert ours is not None
    assert Decimal(ours) == pytest.approx(theirs)


def test_a_served_name_is_more_exact_than_the_asked_one() -> None:
    usage = Usage(UsageSource.PROVIDER, 1000, 1000)
    assert cost(usage, "openai", "my-alias", served="gpt-5-mini-2025-08-07") == cost(usage, "openai", "gpt-5-mini")


@pytest.mark.parametrize(("provider", "model"), [("own", "gpt-5-mini"), ("openai", "nonesuch"), ("sim", "echo")])
def test_what_is_unknown_has_no_price(provider: str, model: str) -> None:
    assert cost(Usage(UsageSource.PROVIDER, 1000, 1000), provider, model) is None


def test_without_counts_there_is_no_price() -> None:
    assert cost(Usage(), "openai", "gpt-5-mini") is None


def test_the_configured_price_comes_first_and_the_providers_own_before_the_models() -> None:
    settings = Settings(
        providers=PROVIDERS,
        prices={
            "gpt-5-mini": Price(input_usd_per_mtok=1, output_usd_per_mtok=2),
            "own/gpt-5-mini": Price(input_usd_per_mtok=0, output_usd_per_mtok=0),
            "echo": Price(input_usd_per_mtok=3, output_usd_per_mtok=3),
        },
    )
    usage = Usage(UsageSource.PROVIDER, 1_000_000, 500_000)
    assert cost(usage, "openai", "gpt-5-mini", settings=settings) == 2.0
    assert cost(usage, "own", "gpt-5-mini", settings=settings) == 0.0
    assert cost(usage, "sim", "echo", settings=settings) == 4.5


@given(st.builds(Usage, *(st.just(UsageSource.PROVIDER), *(st.none() | st.integers(0, 10**6) for _ in range(7)))))
def test_no_kind_of_token_is_priced_twice(usage: Usage) -> None:
    flat = Linear(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)(usage)
    assert flat is None or flat >= 0
    parts = (
        (usage.cached_tokens or 0)
        + (usage.cache_write_tokens or 0)
        + max(0, (usage.audio_tokens or 0) - (usage.output_audio_tokens or 0))
    )
    if flat is not None and parts <= (usage.input_tokens or 0):
        out = max(usage.output_tokens or 0, usage.output_audio_tokens or 0)
        assert flat * 1e6 == pytest.approx((usage.input_tokens or 0) + out)


def test_an_answer_without_counts_is_estimated_and_says_so() -> None:
    closed = next(conversations(1, 1))[0]
    answer = orjson.loads(closed.answer)
    del answer["usage"]
    item = prepare(replace(closed, answer=orjson.dumps(answer)))
    usage = item.answer.usage
    assert usage.source == UsageSource.ESTIMATED
    said = len(answer["choices"][0]["message"]["content"])
    assert usage.output_tokens == pytest.approx(said / 4, rel=0.3)
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    assert usage.input_tokens > usage.output_tokens
