"""Where a call may go: the model a client asked for becomes a plan, the targets in their order and the rules. Pure.

    alias ─▶ the conversation's target ─▶ its fallbacks, or the other targets where `fallback` is not set
    else  ─▶ `provider/model`, or the default provider's `model`

A conversation stays with its target by rendezvous hashing with weights (Schindelhauer and Schomaker, "Weighted
distributed hash tables", 2005): each target draws a lot from the conversation's key and its own name, the lowest wins.
So the order in the file does not matter, and a new weight moves only the conversations that it must.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import blake2b
from math import log
from pathlib import Path
from typing import Final

from tailrace.errors import Code, Refused
from tailrace.settings import (
    SIMULATED,
    Cache,
    Cooldown,
    Fallback,
    ModelAlias,
    Retry,
    Settings,
    Shadow,
    Target,
    Timeouts,
)

_SIMULATED_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Route:
    """One target of a call: `provider` is a table of the settings or `sim`."""

    provider: str
    model: str  # as sent to the provider
    timeouts: Timeouts
    drain: bool  # read the provider's answer to its end after the client left
    dialect: str = "openai"
    max_concurrency: int | None = None  # calls at once in this process
    templates: Path | None = None  # by which its requests are pruned


@dataclass(frozen=True, slots=True)
class Copied:
    """A target that is sent copies of a share of the calls."""

    route: Route
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one call may do: the targets in the order in which they are tried, each once, and the rules for it."""

    targets: tuple[Route, ...]
    retry: Retry
    cooldown: Cooldown
    alias: str | None = None
    shadows: tuple[Copied, ...] = ()
    cache: Cache | None = None

    @property
    def drain(self) -> bool:
        """Whether the answer is read to its end after the client left, whichever target gives it."""
        return self.targets[0].drain


def sticky_key(session: str | None, key: str | None, user: str | None, first_user: str) -> bytes:
    """What keeps a conversation with its target: the session where there is one, else who asks and how it began."""
    parts = (session,) if session else (key or "", user or "", first_user)
    return "\0".join(parts).encode("utf-8", "surrogatepass")


def plan(settings: Settings, model: str, sticky: bytes) -> Plan:
    """The plan for `model`: an alias, else `provider/model`, else the default provider.

    Raises:
        Refused: 404, the model names a simulator that is switched off, or a provider that does not exist.
    """
    alias = settings.models.get(model)
    if alias is not None:
        return _plan_alias(settings, model, alias, sticky)
    return _plan_one(settings, _named(settings, model))


def plan_to(settings: Settings, provider: str) -> Plan:
    """The plan for a call of `provider` that names no model.

    Raises:
        Refused: 404, there is no such provider.
    """
    if provider != SIMULATED and provider not in settings.providers:
        known = ", ".join([*settings.providers, SIMULATED][:20])
        raise Refused(Code.UNKNOWN_PROVIDER, f"There is no provider {provider[:100]!r}. Known: {known}.", status=404)
    return _plan_one(settings, _simulated(settings, "") if provider == SIMULATED else _route(settings, provider, ""))


def choose_route(settings: Settings, model: str, sticky: bytes) -> Route:
    """The first target of `plan`. Raises Refused as it does."""
    return plan(settings, model, sticky).targets[0]


def route_to(settings: Settings, provider: str) -> Route:
    """The target of `plan_to`. Raises Refused as it does."""
    return plan_to(settings, provider).targets[0]


def rank_targets(targets: Sequence[Target], sticky: bytes) -> list[Target]:
    """The targets with a weight, the conversation's own first. Each is first for its share of all keys."""
    if len(targets) == 1:
        return list(targets)
    lots = [(_lot(target, sticky), place, target) for place, target in enumerate(targets) if target.weight]
    return [target for _, _, target in sorted(lots)]


def _lot(target: Target, sticky: bytes) -> float:
    """An exponentially distributed number of rate `weight`: of several, each is the least as often as its rate says."""
    name = f"{target.provider}/{target.model}\0".encode()
    digest = blake2b(name + sticky, digest_size=8).digest()
    return -log((int.from_bytes(digest, "big") + 0.5) / 2**64) / target.weight


def _plan_one(settings: Settings, route: Route) -> Plan:
    return Plan((route,), settings.routing.retry, settings.routing.cooldown)


def _plan_alias(settings: Settings, name: str, alias: ModelAlias, sticky: bytes) -> Plan:
    ranked = rank_targets(alias.targets, sticky)
    chosen: Iterable[Fallback] = ranked if alias.fallback is None else (ranked[0], *alias.fallback)
    once: dict[tuple[str, str], Fallback] = {}
    for each in chosen:
        once.setdefault((each.provider, each.model), each)  # a fallback may be the conversation's own target
    drain = alias.on_disconnect == "drain"
    return Plan(
        targets=tuple(_target(settings, each, alias, drain=drain) for each in once.values()),
        retry=alias.retry or settings.routing.retry,
        cooldown=alias.cooldown or settings.routing.cooldown,
        alias=name,
        shadows=tuple(Copied(_shadow(settings, each), each.share) for each in alias.shadow),
        cache=alias.cache,
    )


def _named(settings: Settings, model: str) -> Route:
    prefix, slash, rest = model.partition("/")
    if slash and prefix == SIMULATED:
        return _simulated(settings, model)
    if slash and rest and prefix in settings.providers:
        return _route(settings, prefix, rest)
    if settings.default_provider == SIMULATED:
        return _simulated(settings, model)
    if settings.default_provider not in settings.providers:
        raise Refused(Code.UNKNOWN_MODEL, _unknown(settings, model), status=404)
    return _route(settings, settings.default_provider, model)


def _target(settings: Settings, target: Fallback, alias: ModelAlias, *, drain: bool) -> Route:
    timeouts = target.timeout or alias.timeout
    route = _route(settings, target.provider, target.model, timeouts, target.max_concurrency, drain=drain)
    return route if target.templates is None else replace(route, templates=target.templates)


def _shadow(settings: Settings, shadow: Shadow) -> Route:
    return replace(_route(settings, shadow.provider, shadow.model), templates=shadow.templates)


def _route(
    settings: Settings,
    provider: str,
    model: str,
    timeouts: Timeouts | None = None,
    max_concurrency: int | None = None,
    *,
    drain: bool = False,
) -> Route:
    if provider == SIMULATED:
        return Route(SIMULATED, model, timeouts or _SIMULATED_TIMEOUTS, drain, "openai", max_concurrency)
    table = settings.providers[provider]
    most = table.max_concurrency if max_concurrency is None else max_concurrency
    return Route(provider, model, timeouts or table.timeout, drain, table.dialect, most)


def _simulated(settings: Settings, model: str) -> Route:
    if not settings.simulator.enabled:
        message = "Simulated models are switched off here (simulator.enabled = false)."
        raise Refused(Code.UNKNOWN_MODEL, message, status=404)
    return _route(settings, SIMULATED, model)


def _unknown(settings: Settings, model: str) -> str:
    known = [*settings.models, *(f"{name}/…" for name in settings.providers), "sim/…"]
    close = get_close_matches(model, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known[:20])}."
    return f"No provider is configured for the model {model[:200]!r}.{hint}"
