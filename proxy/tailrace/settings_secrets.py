"""Secrets by reference: `env:NAME`, `file:/path`, for a key also `client` or `none`. Refuses keys written down.

No message here repeats a value: what stands where a reference should may be the secret itself.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tailrace.records import Json
from tailrace.settings import OPENAI_URL
from tailrace.settings_checks import Problem

CLIENT: Final = "client"
"""The caller's own key is passed on."""
NO_KEY: Final = "none"
"""No key is sent, the caller's neither. In the settings it is an empty secret."""
_WORDS: Final = {CLIENT: None, NO_KEY: ""}
_MAX_SECRET_BYTES: Final = 64 * 2**10


class UnresolvedError(Exception):
    """A reference leads nowhere; `str` says why and what to do."""


def resolve_secrets(values: dict[str, Json], environ: Mapping[str, str]) -> Iterator[Problem]:
    """Put secrets in place of references, in `values` itself; yields what could not be resolved."""
    if "providers" not in values and environ.get("OPENAI_API_KEY"):
        values["providers"] = {"openai": {"base_url": OPENAI_URL, "api_key": "env:OPENAI_API_KEY"}}
    providers = values.get("providers")
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        if isinstance(provider, dict):
            yield from _resolve_key(name, provider, environ)
            headers = provider.get("headers")
            if isinstance(headers, dict):
                for header in headers:
                    yield from _resolve_text(headers, header, ("providers", name, "headers"), environ)
            yield from _resolve_text(provider, "proxy", ("providers", name), environ)
    for table, key, example in (("webhooks", "secret", "WEBHOOK_SECRET"), ("keys", "admin", "ADMIN_KEY")):
        inside = values.get(table)
        if isinstance(inside, dict):
            yield from _resolve_secret(table, inside, key, environ, example)


def _resolve_secret(
    table: str, values: dict[str, Json], key: str, environ: Mapping[str, str], example: str
) -> Iterator[Problem]:
    reference = values.get(key)
    if isinstance(reference, str):
        try:
            values[key] = resolve(reference, environ, example)
        except UnresolvedError as exc:
            values[key] = None
            yield Problem((table, key), str(exc))


def _resolve_key(name: str, provider: dict[str, Json], environ: Mapping[str, str]) -> Iterator[Problem]:
    reference = provider.get("api_key")
    if not isinstance(reference, str):
        return
    if reference in _WORDS:
        provider["api_key"] = _WORDS[reference]
        return
    try:
        provider["api_key"] = resolve(reference, environ, f"{name}_API_KEY")
    except UnresolvedError as exc:
        provider["api_key"] = None
        yield Problem(("providers", name, "api_key"), f"{exc}; or write {CLIENT!r} to pass the caller's own key on")


def _resolve_text(
    table: dict[str, Json], key: str, place: tuple[str, ...], environ: Mapping[str, str]
) -> Iterator[Problem]:
    """Resolves the reference at `key`; text that is no reference stands for itself."""
    reference = table.get(key)
    if isinstance(reference, str) and reference.startswith(("env:", "file:")):
        try:
            table[key] = resolve(reference, environ, f"{place[1]}_API_KEY")
        except UnresolvedError as exc:
            yield Problem((*place, key), str(exc))


def resolve(reference: str, environ: Mapping[str, str], variable: str) -> str:
    """What `reference` refers to; `variable` is the name to suggest where it is the secret itself.

    Raises:
        UnresolvedError: it leads nowhere.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        secret = _from_environment(rest, environ)
    elif scheme == "file":
        secret = _from_file(rest)
    else:
        variable = re.sub(r"[^A-Z0-9]", "_", variable.upper())
        raise UnresolvedError(f'a secret is not written here; put it into a variable and write "env:{variable}"')
    if not (secret.isascii() and secret.isprintable()):
        raise UnresolvedError(f"{reference} holds a line break or a character that no header can carry; store it anew")
    return secret


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise UnresolvedError(f"the variable {name or '(no name)'} is not set; export it")
    secret = environ[name].strip()
    if not secret:
        raise UnresolvedError(f"the variable {name} is empty; export the key")
    return secret


def _from_file(name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise UnresolvedError('a secret\'s file needs an absolute path; write "file:/run/secrets/…"')
    try:
        with path.open("rb") as stream:
            secret = stream.read(_MAX_SECRET_BYTES).decode().strip()
    except UnicodeDecodeError as exc:
        raise UnresolvedError(f"{path} holds no text; store the key alone in it") from exc
    except OSError as exc:
        raise UnresolvedError(f"{path} cannot be read ({exc.strerror}); put the key there") from exc
    if not secret:
        raise UnresolvedError(f"{path} is empty; put the key there")
    return secret
