"""The keys that the relay lets in, from the snapshot that the writer publishes; no store, no lock, no wait on a call.

As soon as there is a key, every call needs one. A snapshot that the writer has not stood behind for `keys.stale_s` is
believed no longer: a key may have been revoked meanwhile, and nobody could have told us.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from tailrace.errors import Code, Refused
from tailrace.keys import SNAPSHOT, Key, KeyKind, NoKey, is_token, read_snapshot, token_hash
from tailrace.relay.outbound import Header, credentials
from tailrace.settings import Keys

_NEVER: Final = (0, 0)

log = structlog.get_logger("tailrace.relay")


@dataclass(slots=True)
class Keyring:
    """The keys of one data folder, and the settings' own admin key, as its hash."""

    path: Path
    now_s: Callable[[], float]
    """Seconds since 1970 as the file system has them."""
    stale_s: float = 0.0
    admin: bytes | None = None
    keys: dict[bytes, Key] = field(default_factory=dict)
    _seen: tuple[int, int] = _NEVER
    _stood_s: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether calls need a key."""
        return bool(self.keys) or self.admin is not None

    def adopt(self, settings: Keys) -> None:
        """The settings in force."""
        self.stale_s = settings.stale_s
        self.admin = None if settings.admin is None else token_hash(settings.admin.get_secret_value().encode())

    def refresh(self) -> list[Key]:
        """Take what was published since; returns the keys that were revoked by it. A snapshot that cannot be read
        changes nothing: it grows stale."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                self._stood_s = stat.st_mtime
                seen = (stat.st_ino, stat.st_size)
                if seen == self._seen:
                    return []
                keys = read_snapshot(file.read())
        except FileNotFoundError:
            return []
        except (NoKey, OSError) as exc:
            log.warning("the keys cannot be read, the old ones stay", path=str(self.path), reason=str(exc))
            return []
        revoked = [
            key
            for hash_, key in keys.items()
            if key.revoked_us is not None and hash_ in self.keys and self.keys[hash_].revoked_us is None
        ]
        self.keys, self._seen = keys, seen
        return revoked

    def client(self, headers: Iterable[Header], now_us: int) -> Key:
        """The client key that a call of `/v1` brought.

        Raises:
            Refused: 401, it brought none that is in force; 503, whether one is cannot be known.
        """
        key = self._brought(headers, now_us)
        if key is None or key.kind is not KeyKind.CLIENT:
            raise Refused(Code.NO_KEY, _WITHOUT, status=401)
        return key

    def administrator(self, headers: Iterable[Header], now_us: int, *, writes: bool) -> str:
        """Who calls `/api`: a key's id, or `settings`. `writes`: it changes something.

        Raises:
            Refused: 401, it brought no admin or read key in force; 403, a read key may not do that; 503, as `client`.
        """
        headers = list(headers)
        if self.admin is not None and self.admin in map(token_hash, credentials(headers)):
            return "settings"
        key = self._brought(headers, now_us)
        if key is None or key.kind is KeyKind.CLIENT:
            raise Refused(Code.NO_KEY, "The API needs an admin or a read key.", status=401)
        if writes and key.kind is KeyKind.READ:
            raise Refused(Code.FORBIDDEN, "A read key changes nothing; use an admin key.", status=403)
        return key.id

    def _brought(self, headers: Iterable[Header], now_us: int) -> Key | None:
        for credential in credentials(headers):
            if not is_token(credential):
                continue
            key = self.keys.get(token_hash(credential))
            if key is not None and key.is_open(now_us):
                self._must_be_fresh()
                return key
        return None

    def _must_be_fresh(self) -> None:
        if self.now_s() - self._stood_s > self.stale_s:
            message = "Which keys are in force cannot be told: the proxy's writer is down for longer than keys.stale_s."
            raise Refused(Code.KEYS_UNKNOWN, message, status=503, retry_after_s=5)


def open_keyring(data_dir: Path, settings: Keys, now_s: Callable[[], float]) -> Keyring:
    """The keyring of a data folder, with what is published there now."""
    ring = Keyring(data_dir / SNAPSHOT, now_s)
    ring.adopt(settings)
    ring.refresh()
    return ring


_WITHOUT: Final = (
    "This proxy needs a key of its own (tr-…), as the API key of the client; `tailrace keys create` makes one."
)
