"""Settings that contradict each other are told with the place of each, and what is sensible is left alone."""

from pathlib import Path

import pytest

from tailrace.errors import SettingsError
from tailrace.settings import Settings, split_base_url
from tailrace.settings_load import load

ACME = '[providers.acme]\nbase_url = "https://acme.test/v1"\n'
BOT = '[models.bot]\ntargets = [{provider="sim", model="a"}]\n'


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "t.toml"
    path.write_text('default_provider = "sim"\n' + text)
    return load(path, environ or {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ACME.replace("acme.test", "{model}.test"), "acme.base_url: may hold {model} once and in its path"),
        (ACME.replace("v1", "{model}/{model}"), "acme.base_url: may hold {model} once"),
        (ACME.replace("v1", "{deployment}"), "acme.base_url: may hold {model} once and in its path, and no other"),
        (
            ACME + 'auth = "x-goog-api-key"',
            "acme.auth: no provider that speaks openai takes a key so; choose of: bearer",
        ),
        (ACME + 'dialect = "gemini"\nauth = "api-key"', "acme.auth: no provider that speaks gemini"),
        (ACME + 'auth = "basic"', "acme.auth: expected 'bearer', 'x-api-key'"),
        (ACME + 'api_key = "env:K"\nheaders = {Authorization = "Basic x"}', "acme.headers: sets authorization, which"),
        (
            ACME + 'api_key = "env:K"\ndialect = "anthropic"\nheaders = {X-Api-Key = "x"}',
            "acme.headers: sets x-api-key",
        ),
        (ACME + 'query = {API_KEY = "x"}', "acme.query.API_KEY: a key does not travel in an address"),
        (ACME + 'proxy = "http://p:1"', 'acme.proxy: needs transport = "httpx"'),
        (ACME + 'transport = "httpx"\nproxy = "socks5://p:1"', "acme.proxy: is no proxy's address"),
        (ACME + 'transport = "httpx"\nproxy = "env:GONE"', "acme.proxy: the variable GONE is not set"),
        (ACME + "max_concurrency = 0", "acme.max_concurrency: expected at least 1, found 0"),
        (
            '[models.bot]\ntargets = [{provider="sim", model="a"}, {provider="sim", model="a", weight=2}]',
            "targets[1]: names sim/a",
        ),
        (BOT + 'fallback = ["sim/a"]', "fallback[0]: is the alias's target itself"),
        (BOT + 'fallback = ["sim/b", "sim/b"]', "fallback[1]: names sim/b a second"),
        (BOT + 'fallback = ["gone/b"]', "fallback[0].provider: there is no provider"),
        (BOT + 'fallback = ["b"]', 'fallback[0]: expected "provider/model" or {'),
        (
            BOT + 'fallback = [{provider="sim", model="b", weight=1}]',
            "fallback[0].weight: unknown key; known here are",
        ),
        (
            BOT + 'fallback = [{provider="sim", modl="b"}]',
            'fallback[0].modl: unknown key; did you mean "model"?',
        ),
        (
            BOT + 'shadow = [{provider="gone", model="b", share=1}]',
            "shadow[0].provider: there is no provider",
        ),
        (
            BOT + 'shadow = [{provider="sim", model="b", share=1.5}]',
            "shadow[0].share: expected at most 1.0, found 1.5",
        ),
        (
            BOT + "cache = {max_bytes = 10, max_entry_bytes = 11}",
            "cache.max_entry_bytes: must not exceed max_bytes (10)",
        ),
        (BOT + "retry = {attempts = 0}", "retry.attempts: expected at least 1"),
        ("[routing]\nretry_budget = 2", "routing.retry_budget: expected at most 1"),
        ("[prices.m]\ninput_usd_per_mtok = -1\noutput_usd_per_mtok = 1", "input_usd_per_mtok: expected at least 0"),
        ("[prices.m]\ninput_usd_per_mtok = 1", "output_usd_per_mtok: is missing; A million output tokens"),
        ('[server]\ntrusted_proxies = ["10.0.0.1", "10.0.0.1/8"]', "server.trusted_proxies[1]: is no address"),
    ],
)
def test_a_contradiction_is_told_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, {"K": "secret"})
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_makes_sense_is_left_alone(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n'
        '[providers.acme]\nbase_url = "https://acme.test/{model}/v1"\nquery = {api-version = "1"}\nauth = "x-api-key"\n'
        'transport = "httpx"\nproxy = "env:PROXY"\nheaders = {Authorization = "Basic x"}\n'
        '[models.bot]\ntargets = [{provider = "sim", model = "a"}, {provider = "acme", model = "b"}]\n'
        'fallback = ["sim/a", {provider = "acme", model = "c/d", timeout = {total_s = 1}}]\n',
        {"PROXY": "http://user:word@proxy.test:3128"},
    )
    proxy = settings.providers["acme"].proxy
    assert proxy is not None
    assert proxy.get_secret_value() == "http://user:word@proxy.test:3128"
    fallback = settings.models["bot"].fallback
    assert fallback is not None
    assert [(target.provider, target.model) for target in fallback] == [("sim", "a"), ("acme", "c/d")]


def test_the_path_with_the_model_is_apart_from_the_address() -> None:
    assert split_base_url("https://a.test/openai/deployments/{model}/") == (
        "https://a.test",
        "/openai/deployments/{model}",
    )
    assert split_base_url("https://a.test/v1") == ("https://a.test/v1", "")


def test_a_providers_own_price_goes_before_the_models(tmp_path: Path) -> None:
    price = "input_usd_per_mtok = {}\noutput_usd_per_mtok = 0\n"
    settings = read(tmp_path, f'[prices."m/x"]\n{price.format(1)}[prices."azure/m/x"]\n{price.format(2)}')
    found = [settings.price_of(provider, "m/x") for provider in ("azure", "openai")]
    assert [price.input_usd_per_mtok for price in found if price] == [2, 1]
    assert settings.price_of("azure", "x") is None
