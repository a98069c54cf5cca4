"""A request's bytes → its parts. Pure.

System and developer messages stay out of the path, so that a timestamp in one does not copy the conversation; tools are
filed one by one, so that one changed schema does not copy the others. What is not of the usual form stays in `params`.
"""

from dataclasses import replace
from typing import Final

import orjson

from tailrace.chains.canonical import canonical, content_hash
from tailrace.records import Endpoint, Json
from tailrace.store.layout import CONVERSATION
from tailrace.store.parts import divide, whole
from tailrace.wire.exact import is_exact
from tailrace.writer.prepared import Content, RequestParts

_KNOWN: Final = frozenset(Endpoint)
_APART: Final = frozenset(("system", "developer"))
_WORTH_DIVIDING_BYTES: Final = 160
"""A row that refers to its core costs about as much as repeating a message of this length."""


def request_parts(body: bytes, endpoint: str, project: str) -> RequestParts:
    """The parts of a request's `body`; with a `raw_reason` where they are not proven to rebuild it."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return RequestParts(raw_reason="not JSON")
    parts = _divided(parsed, endpoint, project)
    return parts if is_exact(body, parsed) else replace(parts, raw_reason="not exactly representable")


def content(value: Json, project: str) -> Content:
    """A value addressed by its content."""
    body = canonical(value)
    return Content(content_hash(body, project), body)


def _divided(parsed: Json, endpoint: str, project: str) -> RequestParts:
    field = CONVERSATION.get(Endpoint(endpoint)) if endpoint in _KNOWN else None
    if type(parsed) is not dict or field is None:
        return RequestParts(params=content(parsed, project), parsed=parsed)
    params = dict(parsed)
    messages = params.pop(field) if _is_list(parsed.get(field)) else []
    tools = params.pop("tools") if _is_list(parsed.get("tools")) else []
    path: list[Content] = []
    system: list[tuple[int, Content]] = []
    for position, message in enumerate(messages):
        if _is_apart(message):
            system.append((position, content(message, project)))
        else:
            path.append(_message(message, project))
    return RequestParts(
        params=content(params, project),
        path=tuple(path),
        system=tuple(system),
        tools=tuple(content(tool, project) for tool in tools),
        parsed=parsed,
    )


def _is_list(value: Json) -> bool:
    return type(value) is list and len(value) > 0


def _is_apart(message: Json) -> bool:
    role = message.get("role") if type(message) is dict else None
    return type(role) is str and role in _APART


def _message(message: Json, project: str) -> Content:
    """A message, divided where that saves more than it costs and is proven to be undone."""
    full = content(message, project)
    if len(full.body) < _WORTH_DIVIDING_BYTES:
        return full
    core, rest = divide(message)
    if rest is None or canonical(whole(core, rest)) != full.body:
        return full
    return Content(full.hash, canonical(rest), content(core, project))
