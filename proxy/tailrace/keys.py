"""Keys: what a client, an administrator or a reader of the log shows to be let in. Pure.

    token  tr-…, 256 random bits, shown once     hash      SHA-256 of the token: all that is kept, and what is looked up
    Key    what the token may do                 snapshot  all keys of a folder, as the writer publishes them

A token is as random as a key of a cipher, so a fast hash is enough: there is nothing to guess.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

import orjson

from tailrace.records import DEFAULT_PROJECT, Json

SNAPSHOT: Final = "keys.json"
"""Name of the snapshot in the data folder: derived from the store, and written anew with every change."""
TOKEN_BYTES: Final = 32
_VERSION: Final = 1


class KeyKind(StrEnum):
    """What a key opens."""

    CLIENT = "client"  # /v1
    ADMIN = "admin"  # /api, all of it
    READ = "read"  # /api, what only reads


class OnRevoke(StrEnum):
    """What becomes of a key's open streams when it is revoked."""

    FINISH = "finish"
    CUT = "cut"


_PREFIX: Final = {KeyKind.CLIENT: "tr-", KeyKind.ADMIN: "tr-admin-", KeyKind.READ: "tr-read-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and what it may do. None and empty mean: no limit."""

    id: str
    hash: bytes
    kind: KeyKind
    name: str
    created_us: int
    project: str = DEFAULT_PROJECT
    expires_us: int | None = None
    revoked_us: int | None = None
    models: tuple[str, ...] = ()
    """Shell patterns over the model that a client asks for."""
    endpoints: tuple[str, ...] = ()
    """`records.Endpoint` words."""
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    concurrency: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    on_revoke: OnRevoke = OnRevoke.FINISH

    def is_open(self, now_us: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)


class NoKey(ValueError):
    """What should be a key, or a snapshot of keys, is none."""


def new_token(kind: KeyKind, randomness: bytes) -> str:
    """A token from `TOKEN_BYTES` random bytes."""
    assert len(randomness) == TOKEN_BYTES
    return _PREFIX[kind] + base64.urlsafe_b64encode(randomness).decode().rstrip("=")


def is_token(text: bytes) -> bool:
    """Whether a credential says of itself that it is one of ours: such a one is never shown to a provider."""
    return text.startswith(b"tr-")


def token_hash(token: bytes) -> bytes:
    """Under which a token is looked up."""
    return hashlib.sha256(token).digest()


def key_json(key: Key) -> Json:
    """A key as JSON, its hash in hex."""
    said: dict[str, Json] = {name: getattr(key, name) for name in _NAMES}
    said |= {"hash": key.hash.hex(), "kind": key.kind.value, "on_revoke": key.on_revoke.value}
    said |= {"models": list(key.models), "endpoints": list(key.endpoints)}
    return {name: value for name, value in said.items() if value is not None}


def key_of(said: Mapping[str, Json]) -> Key:
    """What `key_json` wrote. A member that this version does not know is passed over.

    Raises:
        NoKey: it is no such thing.
    """
    try:
        known = {name: said[name] for name in _NAMES if name in said}
        known["hash"] = bytes.fromhex(known["hash"])
        known["kind"] = KeyKind(known["kind"])
        known["on_revoke"] = OnRevoke(known.get("on_revoke", OnRevoke.FINISH))
        known["models"], known["endpoints"] = tuple(known.get("models", ())), tuple(known.get("endpoints", ()))
        return Key(**known)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise NoKey(f"no key: {exc}") from exc


_NAMES: Final = tuple(field.name for field in fields(Key))


def snapshot(keys: Iterable[Key], at_us: int) -> bytes:
    """The published form of all keys of a folder."""
    return orjson.dumps({"version": _VERSION, "at_us": at_us, "keys": [key_json(key) for key in keys]})


def read_snapshot(raw: bytes) -> dict[bytes, Key]:
    """The keys of a snapshot, by hash.

    Raises:
        NoKey: it is none, or of a version that this code does not know.
    """
    try:
        said = orjson.loads(raw)
        if said["version"] != _VERSION:
            raise NoKey(f"version {said['version']} of the keys' snapshot; this Tailrace reads {_VERSION}")
        return {key.hash: key for key in map(key_of, said["keys"])}
    except (KeyError, TypeError, orjson.JSONDecodeError) as exc:
        raise NoKey(f"no snapshot of keys: {exc}") from exc
