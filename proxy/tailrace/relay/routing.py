"""Where a call goes: the model a client asked for becomes a provider, a model there, and clocks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final

from tailrace.errors import Code, Refused
from tailrace.settings import SIMULATED, ModelAlias, Settings, Target, Timeouts

_SIMULATED_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Route:
    """One call's way: `provider` is a table of the settings or `sim`."""

    provider: str
    model: str  # as sent to the provider
    timeouts: Timeouts
    drain: bool  # read the provider's answer to its end after the client left


def sticky_key(session: str | None, key: str | None, user: str | None, first_user: str) -> bytes:
    """What keeps a conversation with its target: the session where there is one, else who asks and how it began."""
    parts = (session,) if session else (key or "", user or "", first_user)
    return "\0".join(parts).encode("utf-8", "surrogatepass")


def choose_route(settings: Settings, model: str, sticky: bytes) -> Route:
    """The route for `model`: an alias, else `provider/model`, else the default provider.

    Raises:
        Refused: 404, the model names a simulator that is switched off, or a provider that does not exist.
    """
    alias = settings.models.get(model)
    if alias is not None:
        return _to_target(settings, pick_target(alias.targets, sticky), alias)
    prefix, slash, rest = model.partition("/")
    if slash and prefix == SIMULATED:
        return _simulated(settings, model)
    if slash and rest and prefix in settings.providers:
        return Route(prefix, rest, settings.providers[prefix].timeout, drain=False)
    if settings.default_provider == SIMULATED:
        return _simulated(settings, model)
    if settings.default_provider not in settings.providers:
        raise Refused(Code.UNKNOWN_MODEL, _unknown(settings, model), status=404)
    return Route(settings.default_provider, model, settings.providers[settings.default_provider].timeout, drain=False)


def route_to(settings: Settings, provider: str) -> Route:
    """The way to `provider`, for a call that names no model.

    Raises:
        Refused: 404, there is no such provider.
    """
    if provider == SIMULATED:
        return _simulated(settings, "")
    if provider not in settings.providers:
        known = ", ".join([*settings.providers, SIMULATED][:20])
        raise Refused(Code.UNKNOWN_PROVIDER, f"There is no provider {provider[:100]!r}. Known: {known}.", status=404)
    return Route(provider, "", settings.providers[provider].timeout, drain=False)


def pick_target(targets: Sequence[Target], sticky: bytes) -> Target:
    """A target by weight; the same `sticky` always gets the same one while the targets stay as they are."""
    if len(targets) == 1:
        return targets[0]
    total = sum(target.weight for target in targets)
    point = int.from_bytes(blake2b(sticky, digest_size=8).digest(), "big") / 2**64 * total
    for target in targets:
        point -= target.weight
        if point < 0:
            return target
    return targets[-1]


def _to_target(settings: Settings, target: Target, alias: ModelAlias) -> Route:
    own = _SIMULATED_TIMEOUTS if target.provider == SIMULATED else settings.providers[target.provider].timeout
    return Route(target.provider, target.model, alias.timeout or own, alias.on_disconnect == "drain")


def _simulated(settings: Settings, model: str) -> Route:
    if not settings.simulator.enabled:
        message = "Simulated models are switched off here (simulator.enabled = false)."
        raise Refused(Code.UNKNOWN_MODEL, message, status=404)
    return Route(SIMULATED, model, _SIMULATED_TIMEOUTS, drain=False)


def _unknown(settings: Settings, model: str) -> str:
    known = [*settings.models, *(f"{name}/…" for name in settings.providers), "sim/…"]
    close = get_close_matches(model, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known[:20])}."
    return f"No provider is configured for the model {model[:200]!r}.{hint}"
