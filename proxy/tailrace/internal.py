"""How Tailrace's own processes and commands prove to the relay that they may call on its behalf.

Who may read the data folder has its secret; the key derived from it opens nothing but `x-tailrace-origin` and
`x-tailrace-source`. Owns the names of these headers and of the secret's file.
"""

from hashlib import blake2b
from pathlib import Path
from typing import Final

from tailrace.errors import UserError
from tailrace.records import Origin

CALLERS_FILE: Final = "callers.key"
"""Holds the secret of a data folder."""
KEY_HEADER: Final = b"x-tailrace-internal"
ORIGIN_HEADER: Final = b"x-tailrace-origin"
SOURCE_HEADER: Final = b"x-tailrace-source"


def internal_key(secret: bytes) -> str:
    """The key of Tailrace's own callers, from the data folder's secret."""
    return blake2b(b"internal", key=secret, digest_size=32).hexdigest()


def read_internal_key(data_dir: Path) -> str:
    """The key of this folder. Raises UserError: there is none yet, or it may not be read."""
    path = data_dir / CALLERS_FILE
    try:
        return internal_key(path.read_bytes())
    except OSError as exc:
        raise UserError(f"{path}: cannot be read ({exc.strerror}); it is made by `tailrace serve`") from exc


def internal_headers(key: str, origin: Origin, source: str | None) -> tuple[tuple[bytes, bytes], ...]:
    """What a call of ours carries. `source` is the id of the completion on whose account it is made."""
    headers = ((b"content-type", b"application/json"), (KEY_HEADER, key.encode()), (ORIGIN_HEADER, origin.encode()))
    return headers if source is None else (*headers, (SOURCE_HEADER, source.encode()))
