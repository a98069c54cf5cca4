"""Every other path under `/v1/`: passed to a provider as it is, streamed both ways, its metadata logged.

Which provider: the one that a JSON body's `model` leads to, as for any completion; else `x-tailrace-provider`; else the
one that speaks the path's dialect, the default provider first. Only a JSON body of a known and modest length is read
for its model; any other goes up as it comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

from tailrace import metrics
from tailrace.errors import ANTHROPIC, OPENAI, CallError, Code, Refused
from tailrace.records import Endpoint, Json, Origin
from tailrace.relay.asked import Arrival, Prepared, arrive
from tailrace.relay.body import ClientLeft, too_large
from tailrace.relay.callers import NOBODY, Caller
from tailrace.relay.completion import carry_out
from tailrace.relay.guard import Receive
from tailrace.relay.limiting import Lease
from tailrace.relay.live import Connection, Live, Relay
from tailrace.relay.outbound import Header, header, header_text
from tailrace.relay.outgoing import pass_through
from tailrace.relay.reply import Reply, Send
from tailrace.relay.routing import Plan, Route, plan, plan_to
from tailrace.relay.tap import BodyTap
from tailrace.relay.upload import ClientBody
from tailrace.settings import SIMULATED, Settings
from tailrace.templates.match import Templates
from tailrace.upstream.client import Upload
from tailrace.wire.splice import replace_model
from tailrace.wire.told import Told, read_told

_READ_BYTES: Final = 2**20
"""A longer JSON body is not read for its model."""
_DOTS: Final = frozenset((b".", b".."))
_DIALECT_PATHS: Final = {b"/v1/messages/": "anthropic"}


@dataclass(frozen=True, slots=True)
class Passed:
    """As `Asked`, of a call that is passed through. `parsed` and `body` are there where its JSON was read."""

    arrival: Arrival
    method: str
    path: str  # behind `/v1`
    query: bytes
    headers: list[Header]
    told: Told
    upload: Upload | None
    body: bytes
    parsed: dict[str, Any]
    endpoint: Endpoint = Endpoint.OTHER
    stream: bool = False
    step: int = 1
    origin: Origin = Origin.APP
    source: str | None = None
    caller: Caller = NOBODY
    lease: Lease | None = None

    @property
    def model(self) -> str:
        model = self.parsed.get("model")
        return model if isinstance(model, str) else ""

    @property
    def logged(self) -> bytes:
        """Metadata, no body."""
        told: dict[str, Json] = {"method": self.method, "path": f"/v1{self.path}"}
        if self.query:
            told["query"] = self.query.decode("latin-1")
        return orjson.dumps(told)

    @property
    def repeatable(self) -> bool:
        return self.upload is None

    @property
    def idempotent(self) -> bool:
        return self.method in ("GET", "HEAD")

    def plan(self, settings: Settings) -> Plan:
        named = header_text(self.headers, b"x-tailrace-provider")
        if named is not None:
            return plan_to(settings, named)
        if self.model:
            return plan(settings, self.model, b"")
        path = f"/v1{self.path}".encode()
        dialect = next((dialect for begin, dialect in _DIALECT_PATHS.items() if path.startswith(begin)), None)
        return plan_to(settings, _speaker(settings, dialect) if dialect else settings.default_provider)

    def prepare(self, connection: Connection, model: str, templates: Templates | None) -> Prepared:  # noqa: ARG002 - what passes through is never pruned
        body: bytes | Upload = self.body
        if self.upload is not None:
            body = self.upload
        elif model and model != self.model:
            body = replace_model(self.body, self.parsed, model)
        outgoing = pass_through(self.method, self.path, self.query, self.headers, body, connection)
        return Prepared(outgoing, stream_tap=BodyTap, body_tap=BodyTap)


async def pass_on(relay: Relay, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answers one call of a path under `/v1/` that no endpoint of ours takes."""
    arrival, live = arrive(relay), relay.live
    path = scope["raw_path"]
    shape = ANTHROPIC if path.startswith(b"/v1/messages") else OPENAI
    reply = Reply(send, str(arrival.id).encode(), shape)
    server = live.settings.server
    client = ClientBody(receive, limit=server.max_request_bytes, pause_s=server.body_timeout_s)
    try:
        relay.admit()
        _check(path, scope["headers"])
        caller = relay.callers.who(scope["headers"], arrival.at_us)
        asked = await _read(live, arrival, scope, client, caller)
        caller.must_be_allowed(Endpoint.OTHER, asked.model)
        lease = relay.limiter.enter(caller, live.settings, asked.parsed, partial(_first_target, asked, live.settings))
    except ClientLeft:
        return
    except CallError as refused:
        metrics.refused(refused.code)
        await reply.fail(refused)
        return
    if lease is None:
        await carry_out(relay, live, asked, client.receive, reply, client)
        return
    reply.ours = lease.headers
    try:
        await carry_out(relay, live, replace(asked, lease=lease), client.receive, reply, client)
    finally:
        lease.end()


def _first_target(asked: Passed, settings: Settings) -> Route:
    return asked.plan(settings).targets[0]


def _check(path: bytes, headers: list[Header]) -> None:
    """Raises Refused for what is never passed on."""
    if header(headers, b"upgrade") is not None and b"websocket" in (header(headers, b"upgrade") or b"").lower():
        message = "Tailrace passes no WebSockets on; use the HTTP endpoints."
        raise Refused(Code.WEBSOCKET, message, status=501)
    if not _DOTS.isdisjoint(unquote_to_bytes(path).replace(b"\\", b"/").split(b"/")):
        raise Refused(Code.INVALID_REQUEST, "The path has `.` or `..` in it.", status=400)


async def _read(live: Live, arrival: Arrival, scope: Mapping[str, Any], client: ClientBody, caller: Caller) -> Passed:
    headers = scope["headers"]
    length = header(headers, b"content-length")
    size = int(length) if length is not None else None
    limit = live.settings.server.max_request_bytes
    if size is not None and size > limit:
        raise too_large(limit)
    upload: Upload | None = None
    body, parsed = b"", {}
    if _is_json(headers) and size is not None and size <= _READ_BYTES:
        body = await client.whole()
        parsed = _object(body)
    elif size or header(headers, b"transfer-encoding") is not None:
        upload = Upload(client.pieces(), size)
    else:
        client.nothing_more()
    told = read_told(headers, parsed)
    path = scope["raw_path"].decode("ascii", "replace").removeprefix("/v1")
    return Passed(
        arrival, scope["method"], path, scope["query_string"], headers, told, upload=upload, body=body, parsed=parsed,
        origin=caller.origin, source=caller.source, caller=caller,
    )  # fmt: skip


def _is_json(headers: list[Header]) -> bool:
    kind = header(headers, b"content-type")
    return kind is not None and kind.partition(b";")[0].strip().lower() == b"application/json"


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _speaker(settings: Settings, dialect: str) -> str:
    """The provider that speaks `dialect`, the default one first. Raises Refused where there is none."""
    names = [settings.default_provider, *settings.providers]
    for name in names:
        provider = settings.providers.get(name)
        if provider is not None and provider.dialect == dialect:
            return name
    if settings.default_provider == SIMULATED or settings.simulator.enabled:
        return SIMULATED
    raise Refused(Code.UNKNOWN_PATH, f"No provider that speaks {dialect} is configured.", status=404)
