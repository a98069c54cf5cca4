"""Which settings contradict each other. Pure: settings in, problems out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from tailrace.settings import MODEL_PLACE, SIMULATED, Fallback, ModelAlias, Provider, Settings, Shadow

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PROXY: Final = re.compile(r"https?://[^/?#\s]+/?")
_KEY_NAMES: Final = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "token"})
_AUTHS: Final = {
    "openai": ("bearer", "api-key", "x-api-key"),
    "anthropic": ("x-api-key", "bearer", "api-key"),
    "gemini": ("x-goog-api-key", "bearer"),
}
"""How providers of a dialect take their keys; the first is the dialect's own."""

_ADMIN_CHARS: Final = 32

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the setting at `path`, and what to do."""

    path: Path
    text: str


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Every problem that only shows when settings are seen together."""
    yield from _sizes(settings)
    yield from _trusted(settings)
    yield from _admin(settings)
    for name, provider in settings.providers.items():
        yield from _provider(name, provider)
    yield from _known(settings, settings.default_provider, ("default_provider",))
    for name, alias in settings.models.items():
        yield from _alias(settings, name, alias)


def _sizes(settings: Settings) -> Iterator[Problem]:
    log = settings.log
    if log.part_bytes >= log.segment_bytes:
        yield Problem(("log", "part_bytes"), f"must be less than log.segment_bytes ({log.segment_bytes})")
    if log.segment_bytes > log.journal_max_bytes:
        yield Problem(("log", "segment_bytes"), f"must not exceed log.journal_max_bytes ({log.journal_max_bytes})")


def _admin(settings: Settings) -> Iterator[Problem]:
    admin = settings.keys.admin
    if admin is not None and len(admin.get_secret_value()) < _ADMIN_CHARS:
        wanted = f"must have {_ADMIN_CHARS} characters or more; `openssl rand -hex 32` makes one"
        yield Problem(("keys", "admin"), wanted)


def _trusted(settings: Settings) -> Iterator[Problem]:
    for index, network in enumerate(settings.server.trusted_proxies):
        try:
            ip_network(network)
        except ValueError as exc:
            yield Problem(
                ("server", "trusted_proxies", index), f"is no address and no network ({exc}); write 10.0.0.0/8"
            )


def _provider(name: str, provider: Provider) -> Iterator[Problem]:
    here = ("providers", name)
    if name == SIMULATED:
        yield Problem(here, f"`{SIMULATED}` is the built-in simulator; choose another name")
    elif not _PLAIN_NAME.fullmatch(name):
        yield Problem(here, "a provider's name is letters, digits, `.`, `_` and `-`; choose another name")
    yield from _address(here, provider)
    yield from _transport(here, provider)
    yield from _credential(here, provider)
    for header, value in provider.headers.items():
        yield from _header((*here, "headers", header), value.get_secret_value())


def _address(here: Path, provider: Provider) -> Iterator[Problem]:
    host, _, path = provider.base_url.partition("://")[2].partition("/")
    if re.search(r"[{}]", host + path.replace(MODEL_PLACE, "", 1)):
        yield Problem((*here, "base_url"), f"may hold {MODEL_PLACE} once and in its path, and no other braces")


def _transport(here: Path, provider: Provider) -> Iterator[Problem]:
    if provider.http2 and provider.transport != "httpx":
        yield Problem((*here, "http2"), 'needs transport = "httpx"; our own pool speaks HTTP/1.1')
    if provider.proxy is None:
        return
    if provider.transport != "httpx":
        yield Problem((*here, "proxy"), 'needs transport = "httpx"; our own pool goes through no proxy')
    if not _PROXY.fullmatch(provider.proxy.get_secret_value()):
        yield Problem((*here, "proxy"), "is no proxy's address; write http://proxy.example:3128, or env:NAME")


def _credential(here: Path, provider: Provider) -> Iterator[Problem]:
    known = _AUTHS[provider.dialect]
    auth = provider.auth or known[0]
    if auth not in known:
        words = ", ".join(known)
        yield Problem((*here, "auth"), f"no provider that speaks {provider.dialect} takes a key so; choose of: {words}")
    carrier = "authorization" if auth == "bearer" else auth
    if provider.api_key is not None and carrier in {header.lower() for header in provider.headers}:
        yield Problem((*here, "headers"), f"sets {carrier}, which api_key sets already; leave one of them out")
    for name in provider.query:
        if name.lower() in _KEY_NAMES:
            yield Problem((*here, "query", name), "a key does not travel in an address; use api_key and auth")


def _header(here: Path, value: str) -> Iterator[Problem]:
    name = str(here[-1])
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        yield Problem(here, "cannot be set; Tailrace or the HTTP client sets it, or it is no name")
    if not (value.isascii() and value.isprintable()):
        yield Problem(here, "holds a character that no header can carry; use printable ASCII")


def _alias(settings: Settings, name: str, alias: ModelAlias) -> Iterator[Problem]:
    here = ("models", name)
    if name.partition("/")[0] == SIMULATED:
        yield Problem(here, f"names that begin with `{SIMULATED}/` are the simulator's; choose another")
    if not any(target.weight for target in alias.targets):
        yield Problem((*here, "targets"), "no target has a weight above 0; give one a weight")
    if alias.cache is not None and alias.cache.max_entry_bytes > alias.cache.max_bytes:
        yield Problem((*here, "cache", "max_entry_bytes"), f"must not exceed max_bytes ({alias.cache.max_bytes})")
    named: dict[str, Sequence[Fallback | Shadow]] = {
        "targets": alias.targets,
        "fallback": alias.fallback or (),
        "shadow": alias.shadow,
    }
    for key, places in named.items():
        for index, place in enumerate(places):
            yield from _known(settings, place.provider, (*here, key, index, "provider"))
    yield from _twice((*here, "targets"), alias.targets)
    yield from _fallback((*here, "fallback"), alias)


def _fallback(here: Path, alias: ModelAlias) -> Iterator[Problem]:
    fallback = alias.fallback or ()
    yield from _twice(here, fallback)
    weighted = [target for target in alias.targets if target.weight]
    for index, target in enumerate(fallback):
        # Behind several targets it stands for "whichever fails, then this one".
        if len(weighted) == 1 and _place(target) == _place(weighted[0]):
            yield Problem((*here, index), "is the alias's target itself; use retry.attempts to try it again")


def _twice(here: Path, targets: Sequence[Fallback]) -> Iterator[Problem]:
    seen = set()
    for index, target in enumerate(targets):
        if _place(target) in seen:
            yield Problem((*here, index), f"names {target.provider}/{target.model} a second time; leave it out")
        seen.add(_place(target))


def _place(target: Fallback) -> tuple[str, str]:
    return target.provider, target.model


def _known(settings: Settings, name: str, path: Path) -> Iterator[Problem]:
    if name == SIMULATED:
        if not settings.simulator.enabled:
            yield Problem(path, f"`{SIMULATED}` is switched off; set simulator.enabled = true")
    elif name not in settings.providers:
        known = ", ".join(sorted(settings.providers))
        yield Problem(path, f'there is no provider "{name}"; add [providers.{name}] or choose one of: {known}')
