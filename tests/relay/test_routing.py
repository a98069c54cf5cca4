"""Routing: which provider and model a name leads to, and that a conversation stays with its target."""

from collections import Counter
from math import sqrt
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import Code, Refused
from tailrace.relay.routing import Plan, choose_route, plan, plan_to, rank_targets, route_to, sticky_key
from tailrace.settings import (
    Cache,
    Cooldown,
    Fallback,
    ModelAlias,
    Provider,
    Retry,
    Routing,
    Settings,
    Shadow,
    Simulator,
    Target,
    Timeouts,
)

PROVIDERS = {
    "openai": Provider(base_url="https://api.openai.test/v1"),
    "groq": Provider(base_url="https://groq.test/openai/v1", timeout=Timeouts(total_s=7), max_concurrency=9),
}


def settings(**changes: object) -> Settings:
    return Settings.model_validate({"providers": PROVIDERS, **changes})


@pytest.mark.parametrize(
    ("model", "provider", "sent"),
    [
        ("gpt-5", "openai", "gpt-5"),
        ("groq/llama-3.3-70b", "groq", "llama-3.3-70b"),
        ("groq/meta/llama", "groq", "meta/llama"),
        ("sim/echo", "sim", "sim/echo"),
        ("ft:gpt-5:acme/x", "openai", "ft:gpt-5:acme/x"),
        ("groq/", "openai", "groq/"),
    ],
)
def test_names_lead_to_providers(model: str, provider: str, sent: str) -> None:
    route = choose_route(settings(), model, b"")
    assert (route.provider, route.model) == (provider, sent)


def test_alias_wins_and_brings_its_clocks() -> None:
    alias = ModelAlias(
        targets=(Target(provider="groq", model="m"),), timeout=Timeouts(total_s=3), on_disconnect="drain"
    )
    route = choose_route(settings(models={"groq/bot": alias}), "groq/bot", b"")
    assert (route.provider, route.model, route.timeouts.total_s, route.drain) == ("groq", "m", 3, True)


def test_provider_clocks_without_alias() -> None:
    assert choose_route(settings(), "groq/x", b"").timeouts.total_s == 7


def test_unknown_default_provider_is_a_404_with_a_hint() -> None:
    with pytest.raises(Refused, match="groq/…") as caught:
        choose_route(settings(default_provider="gone"), "gpt-5", b"")
    assert (caught.value.code, caught.value.status) == (Code.UNKNOWN_MODEL, 404)


def test_simulator_switched_off() -> None:
    with pytest.raises(Refused, match="switched off"):
        choose_route(settings(simulator=Simulator(enabled=False)), "sim/echo", b"")


def targets(*weights: float) -> list[Target]:
    return [Target(provider="acme", model=str(n), weight=weight) for n, weight in enumerate(weights)]


def pick(among: list[Target], sticky: bytes) -> Target:
    return rank_targets(among, sticky)[0]


@given(
    st.binary(max_size=40), st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.randoms(use_true_random=False)
)
def test_a_conversation_stays_with_its_target_whatever_their_order(
    sticky: bytes, weights: list[float], random: Random
) -> None:
    given_order = targets(*weights)
    shuffled = random.sample(given_order, len(given_order))
    assert rank_targets(shuffled, sticky) == rank_targets(given_order, sticky)
    doubled = [target.model_copy(update={"weight": target.weight * 2}) for target in given_order]
    assert pick(doubled, sticky).model == pick(given_order, sticky).model


@given(st.binary(max_size=40), st.lists(st.floats(0.01, 100), min_size=2, max_size=5), st.floats(1.01, 10))
def test_a_heavier_target_only_gains_conversations(sticky: bytes, weights: list[float], factor: float) -> None:
    before = pick(targets(*weights), sticky).model
    after = pick(targets(weights[0] * factor, *weights[1:]), sticky).model
    assert after in {before, "0"}


@given(st.binary(max_size=40), st.lists(st.floats(0.01, 100), min_size=2, max_size=5))
def test_a_target_that_is_gone_moves_nobody_elses_conversations(sticky: bytes, weights: list[float]) -> None:
    all_of_them = targets(*weights)
    ranked = rank_targets(all_of_them, sticky)
    assert rank_targets([each for each in all_of_them if each != ranked[0]], sticky) == ranked[1:]


@pytest.mark.parametrize("weights", [(90.0, 10.0), (10.0, 90.0), (1.0, 1.0, 2.0), (0.7, 0.0, 0.3)])
def test_weights_are_shares(weights: tuple[float, ...]) -> None:
    counted = Counter(pick(targets(*weights), f"s{n}".encode()).model for n in range(10_000))
    for n, weight in enumerate(weights):
        # Five standard deviations of a binomial; the keys are fixed, so this does not flicker.
        share = weight / sum(weights)
        assert abs(counted[str(n)] - 10_000 * share) <= 500 * sqrt(share * (1 - share)), counted


def test_zero_weight_gets_nothing() -> None:
    assert {tuple(each.model for each in rank_targets(targets(0, 1), bytes([n]))) for n in range(256)} == {("1",)}


def bot(sticky: bytes = b"", **changes: Any) -> Plan:
    changes.setdefault("targets", (Target(provider="openai", model="a"),))
    return plan(settings(models={"bot": ModelAlias.model_validate(changes)}), "bot", sticky)


def names(made: Plan) -> list[str]:
    return [f"{route.provider}/{route.model}" for route in made.targets]


def test_fallbacks_come_in_their_order() -> None:
    fallback = ("groq/x/y", Fallback(provider="sim", model="echo"), "openai/b")
    assert names(bot(fallback=fallback)) == ["openai/a", "groq/x/y", "sim/echo", "openai/b"]


def test_without_fallbacks_the_other_targets_are_tried() -> None:
    both = (Target(provider="openai", model="a"), Target(provider="groq", model="b"), Target(provider="sim", model="c"))
    parked = (*both, Target(provider="groq", model="parked", weight=0))
    for sticky in (b"1", b"2", b"3", b"4"):
        ranked = [f"{each.provider}/{each.model}" for each in rank_targets(both, sticky)]
        assert names(bot(sticky, targets=parked)) == ranked
        assert names(bot(sticky, targets=parked, fallback=())) == ranked[:1]


def test_a_target_is_tried_once_though_it_is_its_own_fallback() -> None:
    both = (Target(provider="openai", model="a", timeout=Timeouts(total_s=1)), Target(provider="groq", model="b"))
    plans = [bot(bytes([n]), targets=both, fallback=("openai/a",)) for n in range(64)]
    assert {tuple(names(each)) for each in plans} == {("openai/a",), ("groq/b", "openai/a")}
    own = next(each for each in plans if len(each.targets) == 1)
    assert own.targets[0].timeouts.total_s == 1


def test_the_nearest_setting_counts() -> None:
    own = Target(provider="groq", model="a", timeout=Timeouts(total_s=1), max_concurrency=3)
    clocks = Timeouts(total_s=2)
    made = bot(targets=(own,), fallback=("groq/b", "sim/c"), timeout=clocks, on_disconnect="drain")
    assert [(each.timeouts.total_s, each.max_concurrency) for each in made.targets] == [(1, 3), (2, 9), (2, None)]
    assert made.drain
    assert all(each.drain for each in made.targets)
    assert [each.timeouts.total_s for each in bot(fallback=("groq/b",)).targets] == [900, 7]


def test_an_alias_has_its_own_rules_or_those_of_all() -> None:
    own = bot(retry=Retry(attempts=5), cooldown=Cooldown(after=1), cache=Cache(ttl_s=1))
    assert (own.alias, own.retry.attempts, own.cooldown.after) == ("bot", 5, 1)
    assert own.cache == Cache(ttl_s=1)
    common = Routing(retry=Retry(attempts=7), cooldown=Cooldown(after=9))
    configured = settings(routing=common, models={"bot": ModelAlias(targets=(Target(provider="sim", model="a"),))})
    for made in (plan(configured, "bot", b""), plan(configured, "groq/x", b""), plan_to(configured, "groq")):
        assert (made.retry.attempts, made.cooldown.after, made.cache) == (7, 9, None)
    assert plan(configured, "groq/x", b"").alias is None


def test_shadows_are_targets_with_their_own_providers_clocks() -> None:
    made = bot(shadow=(Shadow(provider="groq", model="s", share=0.5),), timeout=Timeouts(total_s=1))
    ((route, share),) = [(copied.route, copied.share) for copied in made.shadows]
    assert (route.provider, route.model, route.timeouts.total_s, share) == ("groq", "s", 7, 0.5)


def test_a_dialect_comes_with_its_provider() -> None:
    claude = Provider(base_url="https://anthropic.test/v1", dialect="anthropic")
    made = plan(settings(providers={**PROVIDERS, "claude": claude}), "claude/opus", b"")
    assert [each.dialect for each in made.targets] == ["anthropic"]
    assert made == plan(settings(providers={**PROVIDERS, "claude": claude}), "claude/opus", b"other")


def test_a_call_without_a_model_goes_to_the_provider_it_names() -> None:
    assert (route_to(settings(), "groq").provider, route_to(settings(), "groq").timeouts.total_s) == ("groq", 7)
    assert names(plan_to(settings(), "sim")) == ["sim/"]
    with pytest.raises(Refused, match=r"no provider 'gone'\. Known: openai, groq, sim") as caught:
        plan_to(settings(), "gone")
    assert (caught.value.code, caught.value.status) == (Code.UNKNOWN_PROVIDER, 404)


def test_session_outranks_everything_in_the_sticky_key() -> None:
    assert sticky_key("s", "k1", "u1", "hello") == sticky_key("s", "k2", None, "other")
    assert sticky_key(None, "k1", None, "hello") != sticky_key(None, "k2", None, "hello")
