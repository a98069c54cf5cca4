"""A webhook's call: its body, its idempotency key and its signature. Pure; whoever sends it follows no redirect.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com), so receivers need no code of ours:
`webhook-signature: v1,BASE64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY"))`. A retry has the same id and the same body, and
a new timestamp.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import orjson

from tailrace.records import Json

_PREFIX: Final = "whsec_"


def key_of(chain: str, node: str, version: str) -> str:
    """The idempotency key: one for each prompt of a chain and version of the classifier, so that a client's retry of a
    call, or ours of a webhook, fires nothing twice."""
    parts = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in (chain, node, version))
    return f"msg_{hashlib.blake2b(parts, digest_size=16).hexdigest()}"


def body_of(values: Mapping[str, Json]) -> bytes:
    """The body: JSON with sorted keys, the same bytes each time it is tried."""
    return orjson.dumps(dict(values), option=orjson.OPT_SORT_KEYS)


def headers_of(secret: str, key: str, body: bytes, now_s: int) -> dict[str, str]:
    """The headers of a call at `now_s` (Unix time, seconds).

    Raises:
        ValueError: the secret is empty: it would sign for everybody.
    """
    return {
        "content-type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": str(now_s),
        "webhook-signature": sign(secret, key, now_s, body),
    }


def sign(secret: str, key: str, timestamp_s: int, body: bytes) -> str:
    """The signature, with its version before it. Raises ValueError where the secret is empty."""
    signed = b".".join((key.encode(), str(timestamp_s).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 behind `whsec_`, as the standard writes it, else the text's own."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = secret.encode()
    if not key:
        raise ValueError("a webhook's secret is empty")
    return key
