"""What a client tells about a call beside what it asks: session, user, tags and the like, by all conventions in use.

Headers and body fields of many tools mean the same thing. For each meaning the first source that says something is
taken, in this order: our own header, other tools' headers, the body's fields, its metadata.

    session      x-tailrace-session · x-session-id · helicone-session-id · x-litellm-session-id ·
                 x-claude-code-session-id · session_id (Codex) · x-openwebui-chat-id · baggage (session.id) ·
                 litellm_session_id · tensorzero::episode_id · episode_id · langfuse_session_id · session_id ·
                 metadata.session_id · metadata.langfuse_session_id · conversation (a string or its id) ·
                 the session in the metadata.user_id of Claude Code
    user         x-tailrace-user · helicone-user-id · x-litellm-end-user-id · x-litellm-customer-id ·
                 x-openwebui-user-id · _user of x-portkey-metadata · baggage (user.id, enduser.id) ·
                 safety_identifier · user · langfuse_user_id · metadata.user_id · metadata.langfuse_user_id
    step         x-tailrace-step
    trace        traceparent (its trace id) · x-portkey-trace-id · litellm_trace_id
    external id  x-tailrace-external-id · x-client-request-id
    tags         all of them, see `tags`
    not logged   x-tailrace-log: `full` logs all, anything else (`metadata`) neither body; without it
                 helicone-omit-request · helicone-omit-response · x-litellm-enable-message-redaction (both)

`previous_response_id` is no session: it links exactly. An id longer than MAX_ID_CHARS is taken for none, since a cut
one may be another's; control characters are taken out. Pure; runs once per call on the event loop.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.tags import PROPERTY, TAG_FIELDS, TAG_HEADERS, header_text, json_object, read_tags, spoken

MAX_ID_CHARS: Final = 512
"""A longer value is taken for no id."""

PRIVATE_FIELDS: Final[frozenset[str]] = frozenset(
    (
        "litellm_session_id",
        "litellm_trace_id",
        "litellm_metadata",
        "episode_id",
        "langfuse_session_id",
        "langfuse_user_id",
        *(
            f"tensorzero::{name}"
            for name in (
                *("cache_options", "credentials", "deny_unknown_fields", "dryrun", "episode_id", "extra_body"),
                *("extra_headers", "include_original_response", "include_raw_response", "include_raw_usage"),
                *("internal_dynamic_variant_config", "namespace", "params", "provider_tools", "tags", "variant_name"),
            )
        ),
    )
)
"""Top-level body fields of other tools that no provider knows. `session_id` stays: it is OpenRouter's own."""

_MAX_STEP: Final = 2**31 - 1

_SESSION_HEADERS: Final = (
    b"x-tailrace-session",
    b"x-session-id",
    b"helicone-session-id",
    b"x-litellm-session-id",
    b"x-claude-code-session-id",
    b"session_id",
    b"x-openwebui-chat-id",
)
_SESSION_FIELDS: Final = (
    "litellm_session_id",
    "tensorzero::episode_id",
    "episode_id",
    "langfuse_session_id",
    "session_id",
)
_USER_HEADERS: Final = (
    b"x-tailrace-user",
    b"helicone-user-id",
    b"x-litellm-end-user-id",
    b"x-litellm-customer-id",
    b"x-openwebui-user-id",
)
_USER_FIELDS: Final = ("safety_identifier", "user", "langfuse_user_id")
_TRACE_FIELDS: Final = ("litellm_trace_id",)
_ID_HEADERS: Final = (b"x-tailrace-external-id", b"x-client-request-id")
_STEP: Final = b"x-tailrace-step"
_LOG: Final = b"x-tailrace-log"
_TRACEPARENT: Final = b"traceparent"
_BAGGAGE: Final = b"baggage"
_PORTKEY_TRACE: Final = b"x-portkey-trace-id"
_PORTKEY_METADATA: Final = b"x-portkey-metadata"
_OMIT_REQUEST: Final = (b"helicone-omit-request", b"x-litellm-enable-message-redaction")
_OMIT_ANSWER: Final = (b"helicone-omit-response", b"x-litellm-enable-message-redaction")

_HEADERS: Final = frozenset(
    (
        *(*_SESSION_HEADERS, *_USER_HEADERS, *_ID_HEADERS, *_OMIT_REQUEST, *_OMIT_ANSWER, *TAG_HEADERS),
        *(_STEP, _LOG, _TRACEPARENT, _BAGGAGE, _PORTKEY_TRACE),
    )
)
_FIELDS: Final = frozenset((*_SESSION_FIELDS, *_USER_FIELDS, *_TRACE_FIELDS, *TAG_FIELDS, "conversation"))

_BAGGAGE_SESSION: Final = ("session.id", "langfuse_session_id")
_BAGGAGE_USER: Final = ("user.id", "enduser.id", "langfuse_user_id")
_W3C: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_CLAUDE_CODE: Final = ("user_", "_session_")
"""How its `metadata.user_id` was put together before it became a JSON object: `user_HASH_account_ID_session_UUID`."""


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


_NOTHING: Final = Told()


def read_told(headers: Iterable[tuple[bytes, bytes]], parsed: dict[str, Any]) -> Told:
    """What `headers` (names in lower case) and the body `parsed` tell. Of two headers of a name the first counts.

    Never fails.
    """
    found: dict[bytes, bytes] = {}
    for header in headers:
        name = header[0]
        if name in _HEADERS or (name[:1] == b"h" and name.startswith(PROPERTY)):
            found.setdefault(name, header[1])
    if not found and _FIELDS.isdisjoint(parsed):
        return _NOTHING
    metadata = parsed.get("metadata")
    return _read(found, parsed, metadata if isinstance(metadata, dict) else {})


def _read(found: dict[bytes, bytes], parsed: dict[str, Any], metadata: dict[str, Any]) -> Told:
    baggage = _baggage(found.get(_BAGGAGE))
    asked_as = _id(metadata.get("user_id"))
    account, inside = _parts_of(asked_as) if asked_as is not None else (None, None)
    return Told(
        session=_first_header(found, _SESSION_HEADERS)
        or _first_id(baggage, _BAGGAGE_SESSION)
        or _first_id(parsed, _SESSION_FIELDS)
        or _first_id(metadata, ("session_id", "langfuse_session_id"))
        or _conversation(parsed.get("conversation"))
        or inside,
        user=_first_header(found, _USER_HEADERS)
        or _id(json_object(found.get(_PORTKEY_METADATA)).get("_user"))
        or _first_id(baggage, _BAGGAGE_USER)
        or _first_id(parsed, _USER_FIELDS)
        or account
        or _first_id(metadata, ("langfuse_user_id",)),
        tags=read_tags(found, parsed),
        step=_step(found.get(_STEP)),
        trace=_trace(found, parsed),
        external_id=_first_header(found, _ID_HEADERS),
        omits=_omits(found),
    )


def _id(value: Json) -> str | None:
    """A value as an id: text without control characters, neither empty nor too long."""
    text = spoken(value) if isinstance(value, str) else ""
    return text if 0 < len(text) <= MAX_ID_CHARS else None


def _first_id(fields: Mapping[str, Json], names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in fields and (found := _id(fields[name])) is not None:
            return found
    return None


def _first_header(found: dict[bytes, bytes], names: tuple[bytes, ...]) -> str | None:
    for name in names:
        if name in found and (value := _id(header_text(found[name]))) is not None:
            return value
    return None


def _conversation(value: Json) -> str | None:
    """OpenAI's conversation: its id, or an object that has it."""
    return _id(value.get("id") if isinstance(value, dict) else value)


def _parts_of(user_id: str) -> tuple[str, str | None]:
    """The user and the session in a `metadata.user_id`, which Claude Code makes of both; else the user alone."""
    prefix, joint = _CLAUDE_CODE
    user, _, session = user_id.rpartition(joint)
    if user.startswith(prefix) and session:
        return user.rstrip("_"), session
    if user_id.startswith("{"):
        fields = json_object(user_id.encode())
        return _first_id(fields, ("account_uuid", "device_id")) or user_id, _id(fields.get("session_id"))
    return user_id, None


def _baggage(value: bytes | None) -> dict[str, str]:
    """The entries of a W3C baggage header, without their properties. Values stay percent-encoded."""
    entries: dict[str, str] = {}
    for entry in header_text(value).split(",") if value else ():
        name, equals, rest = entry.partition("=")
        if equals:
            entries.setdefault(name.strip(), rest.partition(";")[0].strip())
    return entries


def _trace(found: dict[bytes, bytes], parsed: dict[str, Any]) -> str | None:
    """The trace id of a valid `traceparent` (W3C Trace Context, section 3.2), else what another tool calls so."""
    parent = _W3C.fullmatch(header_text(found[_TRACEPARENT]).strip()) if _TRACEPARENT in found else None
    return parent[1] if parent else _first_header(found, (_PORTKEY_TRACE,)) or _first_id(parsed, _TRACE_FIELDS)


def _step(value: bytes | None) -> int | None:
    text = value.strip() if value else b""
    return int(text) if text.isdigit() and len(text) <= 10 and 0 < int(text) <= _MAX_STEP else None


def _omits(found: dict[bytes, bytes]) -> str | None:
    wish = found.get(_LOG, b"").strip().lower()
    if wish:
        return None if wish == b"full" else "both"
    request = any(_is_on(found.get(name)) for name in _OMIT_REQUEST)
    answer = any(_is_on(found.get(name)) for name in _OMIT_ANSWER)
    if request and answer:
        return "both"
    return "request" if request else "answer" if answer else None


def _is_on(value: bytes | None) -> bool:
    return value is not None and value.strip().lower() in {b"true", b"1", b"yes", b"on"}
