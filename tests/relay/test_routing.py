"""Routing: which provider and model a name leads to, and that a conversation stays with its target."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import Code, Refused
from tailrace.relay.routing import choose_route, pick_target, sticky_key
from tailrace.settings import ModelAlias, Provider, Settings, Simulator, Target, Timeouts

PROVIDERS = {
    "openai": Provider(base_url="https://api.openai.test/v1"),
    "groq": Provider(base_url="https://groq.test/openai/v1", timeout=Timeouts(total_s=7)),
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


@given(st.binary(max_size=40))
def test_a_conversation_stays_with_its_target(sticky: bytes) -> None:
    targets = [Target(provider="a", model="1", weight=9), Target(provider="b", model="2", weight=1)]
    assert pick_target(targets, sticky) == pick_target(targets, sticky)


def test_weights_are_shares() -> None:
    targets = [Target(provider="a", model="1", weight=90), Target(provider="b", model="2", weight=10)]
    counted = Counter(pick_target(targets, f"s{n}".encode()).provider for n in range(10_000))
    assert 800 <= counted["b"] <= 1200


def test_zero_weight_gets_nothing() -> None:
    targets = [Target(provider="a", model="1", weight=0), Target(provider="b", model="2", weight=1)]
    assert {pick_target(targets, bytes([n])).provider for n in range(256)} == {"b"}


def test_session_outranks_everything_in_the_sticky_key() -> None:
    assert sticky_key("s", "k1", "u1", "hello") == sticky_key("s", "k2", None, "other")
    assert sticky_key(None, "k1", None, "hello") != sticky_key(None, "k2", None, "hello")
