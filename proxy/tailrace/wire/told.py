"""What a client tells about a call beside what it asks: session, user, tags and the like, by all conventions in use.

Headers and body fields of many tools mean the same thing; one is taken, by a stated precedence: ours before theirs,
headers before the body. Pure. What is not the provider's own is kept from it (`PRIVATE_FIELDS`; headers travel by an
allow-list).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tailrace.records import Json

MAX_ID_CHARS: Final = 512
"""A longer value is taken for no id."""

PRIVATE_FIELDS: Final[frozenset[str]] = frozenset()
"""Top-level body fields of other tools that no provider knows."""

_USER_FIELDS: Final = ("safety_identifier", "user")
_SESSION_FIELDS: Final = (
    "litellm_session_id",
    "tensorzero::episode_id",
    "episode_id",
    "langfuse_session_id",
    "session_id",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client told. `omits`: which body it asked not to be logged, `request`, `answer` or `both`."""

    session: str | None = None
    user: str | None = None
    tags: dict[str, str] | None = None
    step: int | None = None
    trace: str | None = None
    external_id: str | None = None  # the caller's own id of this call
    omits: str | None = None

    @property
    def omits_request(self) -> bool:
        """The request's body is not to be logged."""
        return self.omits in ("request", "both")

    @property
    def omits_answer(self) -> bool:
        """The answer's body is not to be logged."""
        return self.omits in ("answer", "both")


def read_told(headers: Iterable[tuple[bytes, bytes]], parsed: dict[str, Any]) -> Told:
    """What `headers` (names in lower case) and the body `parsed` tell. Never fails."""
    session = None
    for name, value in headers:
        if name == b"x-tailrace-session":
            session = value[:MAX_ID_CHARS].decode("latin-1")
    return Told(session=session or _session(parsed), user=_first_id(parsed, _USER_FIELDS))


def _first_id(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS:
            return value
    return None


def _session(parsed: dict[str, Json]) -> str | None:
    named = _first_id(parsed, _SESSION_FIELDS)
    if named is None and isinstance(metadata := parsed.get("metadata"), dict):
        return _first_id(metadata, ("session_id",))
    return named
