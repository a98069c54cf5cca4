"""Which settings contradict each other. Pure: settings in, problems out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tailrace.settings import SIMULATED, Settings

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the setting at `path`, and what to do."""

    path: tuple[str | int, ...]
    text: str


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Every problem that only shows when settings are seen together."""
    yield from _sizes(settings)
    for name in settings.providers:
        yield from _provider(settings, name)
    yield from _target(settings, settings.default_provider, ("default_provider",))
    for name, alias in settings.models.items():
        if name.partition("/")[0] == SIMULATED:
            yield Problem(("models", name), f"names that begin with `{SIMULATED}/` are the simulator's; choose another")
        if not any(target.weight for target in alias.targets):
            yield Problem(("models", name, "targets"), "no target has a weight above 0; give one a weight")
        for index, target in enumerate(alias.targets):
            yield from _target(settings, target.provider, ("models", name, "targets", index, "provider"))


def _sizes(settings: Settings) -> Iterator[Problem]:
    log = settings.log
    if log.part_bytes >= log.segment_bytes:
        yield Problem(("log", "part_bytes"), f"must be less than log.segment_bytes ({log.segment_bytes})")
    if log.segment_bytes > log.journal_max_bytes:
        yield Problem(("log", "segment_bytes"), f"must not exceed log.journal_max_bytes ({log.journal_max_bytes})")


def _provider(settings: Settings, name: str) -> Iterator[Problem]:
    provider = settings.providers[name]
    here = ("providers", name)
    if name == SIMULATED:
        yield Problem(here, f"`{SIMULATED}` is the built-in simulator; choose another name")
    elif not _PLAIN_NAME.fullmatch(name):
        yield Problem(here, "a provider's name is letters, digits, `.`, `_` and `-`; choose another name")
    if provider.http2 and provider.transport != "httpx":
        yield Problem((*here, "http2"), 'needs transport = "httpx"; our own pool speaks HTTP/1.1')
    for header, value in provider.headers.items():
        if not _TOKEN.fullmatch(header) or header.lower() in _OURS:
            yield Problem(
                (*here, "headers", header), "cannot be set; Tailrace or the HTTP client sets it, or it is no name"
            )
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable()):
            yield Problem((*here, "headers", header), "holds a character that no header can carry; use printable ASCII")


def _target(settings: Settings, name: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if name == SIMULATED:
        if not settings.simulator.enabled:
            yield Problem(path, f"`{SIMULATED}` is switched off; set simulator.enabled = true")
    elif name not in settings.providers:
        known = ", ".join(sorted(settings.providers))
        yield Problem(path, f'there is no provider "{name}"; add [providers.{name}] or choose one of: {known}')
