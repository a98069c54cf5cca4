"""Who is calling, without keeping their key: the provider key a caller brought becomes a keyed hash of it.

Also tells Tailrace's own callers from the rest: a command of this machine that may read the data folder calls with a
key derived from its secret, and says on whose behalf.
"""

import hmac
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final
from uuid import UUID

from tailrace.errors import Code, Refused
from tailrace.internal import KEY_HEADER, ORIGIN_HEADER, SOURCE_HEADER, internal_key
from tailrace.records import Origin
from tailrace.relay.outbound import Header, caller_credential

_KNOWN: Final = 4096
_HASH_BYTES: Final = 6


class Callers:
    """Names callers by `blake2b(authorization, key=secret)`, with a bounded memory of those seen lately.

    `secret` is 16 to 64 random bytes of this data folder: without it a name cannot be tried against a list of keys.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._internal = internal_key(secret).encode()
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def name(self, headers: Iterable[Header]) -> str | None:
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

    def on_behalf(self, headers: Iterable[Header]) -> tuple[Origin, str | None]:
        """On whose behalf a call is made, and the id of the completion it copies.

        Raises:
            Refused: 403, it names an internal key that is not this folder's; 400, an origin or a source that is none.
        """
        told = {name: value for name, value in headers if name.startswith(b"x-tailrace-")}
        if KEY_HEADER not in told:
            return Origin.APP, None
        if not hmac.compare_digest(told[KEY_HEADER], self._internal):
            raise Refused(Code.FORBIDDEN, "The internal key is not that of this data folder.", status=403)
        try:
            source = told.get(SOURCE_HEADER)
            return Origin(told[ORIGIN_HEADER].decode()), None if source is None else str(UUID(source.decode()))
        except (KeyError, ValueError) as exc:
            message = "An internal call needs x-tailrace-origin, and x-tailrace-source is a completion's id."
            raise Refused(Code.INVALID_REQUEST, message, status=400) from exc
