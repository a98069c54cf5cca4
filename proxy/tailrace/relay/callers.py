"""Who is calling, without keeping their key: the provider key a caller brought becomes a keyed hash of it."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

_KNOWN: Final = 4096
_HASH_BYTES: Final = 6


class Callers:
    """Names callers by `blake2b(authorization, key=secret)`, with a bounded memory of those seen lately.

    `secret` is 16 to 64 random bytes of this data folder: without it a name cannot be tried against a list of keys.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def name(self, authorization: bytes | None) -> str | None:
        """A short stable name (hex), or None where the caller brought nothing."""
        if not authorization:
            return None
        known = self._known.get(authorization)
        if known is None:
            known = blake2b(authorization, key=self._secret, digest_size=_HASH_BYTES).hexdigest()
            self._known[authorization] = known
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return known
