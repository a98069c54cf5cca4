"""Who is calling: a client with a key of ours, or, where there are none, whoever it is, told apart by the provider key
that they brought, of which only a keyed hash is kept.

Also tells Tailrace's own callers from the rest: a command of this machine that may read the data folder calls with a
key derived from its secret, and says on whose behalf.
"""

import hmac
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final
from uuid import UUID

from tailrace.errors import Code, Refused
from tailrace.internal import KEY_HEADER, ORIGIN_HEADER, SOURCE_HEADER, internal_key
from tailrace.keys import Key
from tailrace.records import DEFAULT_PROJECT, Origin
from tailrace.relay.keyring import Keyring
from tailrace.relay.outbound import Header, caller_credential

_KNOWN: Final = 4096
_HASH_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call, and for whom."""

    name: str | None = None
    """In the log: the key's id, or a hash of the provider key; None where neither was brought."""
    project: str = DEFAULT_PROJECT
    key: Key | None = None
    origin: Origin = Origin.APP
    source: str | None = None
    """Id of the completion on whose account it is made."""

    def must_be_allowed(self, endpoint: str, model: str) -> None:
        """Raises Refused: 403, the key is not for this endpoint, or not for this model."""
        key = self.key
        if key is None:
            return
        if key.endpoints and endpoint not in key.endpoints:
            raise Refused(Code.KEY_FORBIDS, f"This key is not for the endpoint {endpoint}.", status=403)
        if not self.may_ask_for(model):
            named = f"the model {model!r}" if model else "a call that names no model"
            raise Refused(Code.KEY_FORBIDS, f"This key is not for {named}.", status=403)

    def may_ask_for(self, model: str) -> bool:
        """Whether the key is for this model."""
        return self.key is None or not self.key.models or any(fnmatchcase(model, each) for each in self.key.models)


NOBODY: Final = Caller()
"""Nobody is known by name, and nothing is forbidden to them."""


class Callers:
    """Names callers by their key, or by `blake2b(authorization, key=secret)`, with a bounded memory of those.

    `secret` is 16 to 64 random bytes of this data folder: without it a name cannot be tried against a list of keys.
    """

    def __init__(self, secret: bytes, keyring: Keyring) -> None:
        self.keyring = keyring
        self._secret = secret
        self._internal = internal_key(secret).encode()
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def who(self, headers: Iterable[Header], now_us: int) -> Caller:
        """Who makes a call of `/v1`.

        Raises:
            Refused: 401, keys are on and it brought none in force; 403, an internal key that is not this folder's; 400,
                an origin or a source that is none; 503, whether its key is in force cannot be known.
        """
        headers = list(headers)
        told = {name: value for name, value in headers if name.startswith(b"x-tailrace-")}
        if KEY_HEADER in told:
            return self._internal_caller(told)
        if self.keyring.is_on:
            key = self.keyring.client(headers, now_us)
            return Caller(key.id, key.project, key)
        return Caller(self._name(headers))

    def _name(self, headers: Iterable[Header]) -> str | None:
        """A short stable name (hex), or None where the caller brought no key."""
        brought = caller_credential(headers)
        if brought is None or not brought[1]:
            return None
        authorization = brought[1]
        known = self._known.get(authorization)
        if known is None:
            known = blake2b(authorization, key=self._secret, digest_size=_HASH_BYTES).hexdigest()
            self._known[authorization] = known
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return known

    def _internal_caller(self, told: dict[bytes, bytes]) -> Caller:
        if not hmac.compare_digest(told[KEY_HEADER], self._internal):
            raise Refused(Code.FORBIDDEN, "The internal key is not that of this data folder.", status=403)
        try:
            said = told.get(SOURCE_HEADER)
            source = None if said is None else str(UUID(said.decode()))
            return Caller(origin=Origin(told[ORIGIN_HEADER].decode()), source=source)
        except (KeyError, ValueError) as exc:
            message = "An internal call needs x-tailrace-origin, and x-tailrace-source is a completion's id."
            raise Refused(Code.INVALID_REQUEST, message, status=400) from exc
